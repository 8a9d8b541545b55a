package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"wick/kernel/driver/virtio"
	"wick/kernel/ground"
	"wick/kernel/hw"
	"wick/kernel/hw/virtiommio"
)

// virtioDevice is a virtio device that the machine has. open makes it reachable; it is called once.
type virtioDevice struct {
	kind virtio.Type
	open func() (virtio.Transport, error)
}

// virtioDevices are those that the machine announces in memory, then those on its PCI buses.
var virtioDevices = sync.OnceValue(func() []virtioDevice {
	devices := announced()
	for _, f := range functions() {
		kind, ok := virtio.PCIType(&f)
		if !ok {
			continue
		}
		devices = append(devices, virtioDevice{kind, func() (virtio.Transport, error) {
			interrupt, err := openInterrupt(&f)
			if err != nil {
				return nil, err
			}
			return virtio.NewPCI(&f, window, interrupt)
		}})
	}
	return devices
})

// announced returns the devices that the machine has announced: on the command line, else in its ACPI tables. What is wrong
// with them is told on the first serial port, as the channel to the host may be one of them.
func announced() (out []virtioDevice) {
	tell := func(err error) { fmt.Fprintln(os.Stderr, "wick: kernel:", err) }
	devices, err := virtiommio.FromCommandLine(ground.CommandLine())
	if devices == nil && err == nil {
		devices, err = virtiommio.FromDSDT(ground.DSDT())
	}
	if err != nil {
		tell(err)
	}
	for _, d := range devices {
		window, size := hw.MMIO(ground.MMIO(d.Base, int(d.Size))), int(d.Size)
		kind, err := virtio.MMIOType(window, size)
		switch {
		case errors.Is(err, virtio.ErrNoDevice):
		case err != nil:
			tell(fmt.Errorf("virtio device at %#x: %w", d.Base, err))
		default:
			out = append(out, virtioDevice{kind, func() (virtio.Transport, error) {
				interrupt, err := hw.OpenInterrupt(d.Line, d.Trigger)
				if err != nil {
					return nil, fmt.Errorf("virtio device at %#x: interrupt line %d: %w", d.Base, d.Line, err)
				}
				return virtio.NewMMIO(window, size, interrupt)
			}})
		}
	}
	return out
}
