package main

import (
	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtiovsock"
	"wick/kernel/net"
	"wick/packet"
)

// startVsock finds the device of AF_VSOCK sockets and sets it up for a stack; nil if there is none.
func startVsock(stack *net.Stack, tap func(packet.Frame)) (*virtiovsock.Device, error) {
	for _, device := range virtioDevices() {
		if device.kind != virtio.TypeVsock {
			continue
		}
		transport, err := device.open()
		if err != nil {
			return nil, err
		}
		d, err := virtiovsock.New(virtiovsock.Config{Transport: transport, Memory: machine{}, Tap: tap})
		if err != nil {
			return nil, err
		}
		return d, d.Attach(stack.AttachVsock(d.CID, d.Kick))
	}
	return nil, nil
}

// tellVsockFailure tells when the device fails.
func tellVsockFailure(d *virtiovsock.Device, log func(string, ...any)) {
	<-d.Done()
	if err := d.Err(); err != nil {
		log("wick: the vsock device has failed: %v", err)
	}
}

// tellVsockCounters logs what the device has counted, for wick run -v.
func (k *kernel) tellVsockCounters(d *virtiovsock.Device) {
	for c, n := range d.Counters() {
		if n != 0 {
			k.detail("%s: %v %d", socketsName, virtiovsock.Counter(c), n)
		}
	}
}
