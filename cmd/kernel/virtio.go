package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"wick/kernel/driver/virtio"
	"wick/kernel/ground"
	"wick/kernel/ground/regs"
	"wick/kernel/hw"
	"wick/kernel/hw/virtiommio"
)

// virtioDevice is a virtio device that the machine has.
type virtioDevice struct {
	kind      virtio.Type
	reach     func() (virtio.Transport, error)
	transport virtio.Transport // nil until it is opened
}

// open makes the device reachable; it is called once.
func (d *virtioDevice) open() (virtio.Transport, error) {
	t, err := d.reach()
	if err == nil {
		d.transport = t
	}
	return t, err
}

// tellDevices logs, for wick run -v, which newer hardware is in use, and how the virtio devices that are in use are reached and
// interrupt.
func (k *kernel) tellDevices() {
	x2, deadline, kvmClock := ground.APIC()
	for _, part := range []struct {
		used bool
		name string
	}{{x2, "x2APIC"}, {deadline, "TSC deadline timer"}, {kvmClock, "KVM clock"}, {ground.Extent().Features&regs.AVX != 0, "AVX registers"}} {
		if part.used {
			k.detail("kernel: uses the %s", part.name)
		}
	}
	for _, d := range virtioDevices() {
		if d.transport != nil {
			k.detail("virtio: %v: %v", d.kind, d.transport)
		}
	}
}

// virtioDevices are those that the machine announces in memory, then those on its PCI buses.
var virtioDevices = sync.OnceValue(func() []*virtioDevice {
	devices := announced()
	for _, f := range functions() {
		kind, ok := virtio.PCIType(&f)
		if !ok {
			continue
		}
		devices = append(devices, &virtioDevice{kind: kind, reach: func() (virtio.Transport, error) {
			return virtio.NewPCI(&f, window, virtio.PCIInterrupts{
				Line:    func() (hw.Interrupt, error) { return openInterrupt(&f) },
				Message: openMessage,
			})
		}})
	}
	return devices
})

// announced returns the devices that the machine has announced: on the command line, else in its ACPI tables. What is wrong
// with them is told on the first serial port, as the channel to the host may be one of them.
func announced() (out []*virtioDevice) {
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
			out = append(out, &virtioDevice{kind: kind, reach: func() (virtio.Transport, error) {
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
