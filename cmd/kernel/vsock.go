package main

import (
	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtiovsock"
	"wick/kernel/net"
	"wick/kernel/tap"
)

// hasVsock tells whether there is a device of AF_VSOCK sockets.
func hasVsock() bool {
	for _, device := range virtioDevices() {
		if device.kind == virtio.TypeVsock {
			return true
		}
	}
	return false
}

// startVsock finds the device of AF_VSOCK sockets and sets it up for a stack; nil if there is none. side, if not nil, looks on.
func startVsock(stack *net.Stack, side *tap.Side) (*virtiovsock.Device, error) {
	for _, device := range virtioDevices() {
		if device.kind != virtio.TypeVsock {
			continue
		}
		transport, err := device.open()
		if err != nil {
			return nil, err
		}
		config := virtiovsock.Config{Transport: transport, Memory: machine{}}
		if side != nil {
			config.Tap, config.Settle = side.Tap, func(drop string) { side.Settle(drop) }
		}
		d, err := virtiovsock.New(config)
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
