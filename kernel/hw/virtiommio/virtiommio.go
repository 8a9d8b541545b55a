// Package virtiommio finds the virtio devices whose registers are in memory: no bus lists them, so the machine announces them
// on the kernel's command line, or in its ACPI tables.
package virtiommio

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"wick/kernel/hw"
)

// Device is where a device is.
type Device struct {
	Base    uint64 // physical address of its registers, a multiple of 4 below 4 GiB
	Size    uint64 // of its registers, bytes
	Line    uint8  // interrupt line
	Trigger hw.Trigger
}

// ErrAnnouncement is wrapped by all errors of this package.
var ErrAnnouncement = errors.New("virtio-mmio device announced wrongly")

// addressLimit bounds the addresses of registers.
const addressLimit = 1 << 32

// check tells why a device can't be.
func (d *Device) check() error {
	switch {
	case d.Size == 0 || d.Size > addressLimit || d.Base == 0 || d.Base > addressLimit-d.Size:
		return fmt.Errorf("%d bytes at %#x: want some below 4 GiB", d.Size, d.Base)
	case d.Base%4 != 0:
		return fmt.Errorf("address %#x: want a multiple of 4", d.Base)
	}
	return nil
}

// parameter announces a device on the kernel's command line, and may stand there again and again:
//
//	virtio_mmio.device=<size>@<address>:<line>[:<id>]
//
// Size, address and line are numbers as in C; K, M or G may follow the size and the address. [linux/drivers/virtio/virtio_mmio.c]
const parameter = "virtio_mmio.device="

// FromCommandLine returns the devices that a kernel command line announces, in its order. The error tells of those that are
// announced wrongly; the others are returned all the same. The lines are edges, as they are of ISA, and as Linux takes them.
func FromCommandLine(line string) ([]Device, error) {
	var devices []Device
	var errs []error
	for _, word := range strings.Fields(line) {
		if word == "--" { // what follows is for the program [kernel parameters of Linux]
			break
		}
		text, found := strings.CutPrefix(word, parameter)
		if !found {
			continue
		}
		d, err := parse(text)
		if err == nil {
			err = d.check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %q: %w", ErrAnnouncement, word, err))
			continue
		}
		devices = append(devices, d)
	}
	return devices, errors.Join(errs...)
}

// parse reads <size>@<address>:<line>[:<id>]. The id would number Linux's device and means nothing here.
func parse(text string) (d Device, err error) {
	size, rest, found := strings.Cut(text, "@")
	address, rest, found2 := strings.Cut(rest, ":")
	if !found || !found2 {
		return d, errors.New("want SIZE@ADDRESS:LINE")
	}
	line, id, found := strings.Cut(rest, ":")
	if _, err := strconv.ParseUint(id, 10, 32); found && err != nil {
		return d, fmt.Errorf("id: %w", err)
	}
	if d.Size, err = parseSize(size); err != nil {
		return d, fmt.Errorf("size: %w", err)
	}
	if d.Base, err = parseSize(address); err != nil {
		return d, fmt.Errorf("address: %w", err)
	}
	n, err := strconv.ParseUint(line, 0, 8)
	if err != nil {
		return d, fmt.Errorf("interrupt line: %w", err)
	}
	d.Line, d.Trigger = uint8(n), hw.Edge
	return d, nil
}

// parseSize reads a number that K, M or G may follow.
func parseSize(s string) (uint64, error) {
	shift := uint(0)
	if s != "" {
		if i := strings.IndexByte("KMG", s[len(s)-1]&^0x20); i >= 0 {
			shift = uint(i+1) * 10
			s = s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, err
	}
	if n<<shift>>shift != n {
		return 0, strconv.ErrRange
	}
	return n << shift, nil
}
