package main

import (
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtiorng"
	"wick/kernel/ground"
)

// How the random numbers of the kernel, and so of the program, take in what the host's entropy device gives: before anything
// depends on them, and again now and then.
const (
	entropyBytes    = 32
	entropyPatience = 5 * time.Second // the device answers within microseconds, or, if the host is busy, when it gets to it
	entropyInterval = time.Minute
)

// entropy is the machine's entropy device.
type entropy struct {
	device *virtiorng.Device
	bytes  int // taken in at the start
}

// startEntropy takes bytes in and goes on with that. A machine may have no such device, and one that fails costs nothing but
// itself: wick run has put a seed beside the program.
func (k *kernel) startEntropy() entropy {
	for _, d := range virtioDevices() {
		if d.kind != virtio.TypeEntropy {
			continue
		}
		transport, err := d.open()
		if err != nil {
			k.log("wick: the entropy device can't be used: %v", err)
			continue
		}
		device, err := virtiorng.New(virtiorng.Config{Transport: transport, Memory: machine{}})
		if err != nil {
			k.log("wick: the entropy device can't be used: %v", err)
			continue
		}
		e := entropy{device: device}
		if e.bytes, err = e.feed(); err != nil {
			k.log("wick: the entropy device has failed: %v", err)
		}
		go e.goOn(k.log)
		return e
	}
	return entropy{}
}

// feed takes bytes in once, and returns how many.
func (e *entropy) feed() (int, error) {
	var b [entropyBytes]byte
	n, err := e.device.Read(b[:], entropyPatience)
	ground.AddEntropy(b[:n])
	clear(b[:])
	return n, err
}

// goOn takes bytes in now and then, until the device has failed for good.
func (e *entropy) goOn(log func(string, ...any)) {
	for {
		time.Sleep(entropyInterval)
		if _, err := e.feed(); err != nil && err != virtiorng.ErrSilent {
			log("wick: the entropy device has failed: %v", err)
			return
		}
	}
}
