package virtiommio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"wick/kernel/hw"
)

// The byte code (AML) of a device [ACPI 20.2], as QEMU and Firecracker write it:
//
//	5B 82 PkgLength "VR07"                    DeviceOp
//	   08 "_HID" 0D "LNRO0005" 00             NameOp: the id of virtio-mmio devices
//	   08 "_CRS" 11 PkgLength size bytes      NameOp, BufferOp: its resources [ACPI 6.4]
//	      86 09 00 rw base length                Memory32Fixed
//	      89 06 00 flags 01 line                 Extended Interrupt
//	      79 00                                  End Tag
//
// An interpreter isn't needed for that: such a device computes nothing.
var (
	opDevice = []byte{0x5b, 0x82}
	nameHID  = []byte("\x08_HID\x0dLNRO0005\x00")
	nameCRS  = []byte("\x08_CRS\x11")
)

// Tags of resources [ACPI 6.4].
const (
	tagLarge             = 1 << 7 // a length of 16 bits follows; else the low three bits are the length
	tagMemory32Fixed     = 0x86
	tagExtendedInterrupt = 0x89
	tagEnd               = 0x78 // without its length
	interruptEdge        = 1 << 1
)

var errAML = errors.New("its byte code ends in the middle")

// FromDSDT returns the devices in the Differentiated System Description Table, in its order. The error tells of those that
// are announced wrongly; the others are returned all the same.
func FromDSDT(table []byte) ([]Device, error) {
	var devices []Device
	var errs []error
	for from := 0; ; {
		i := bytes.Index(table[from:], nameHID)
		if i < 0 {
			return devices, errors.Join(errs...)
		}
		at := from + i
		from = at + len(nameHID)
		d, err := parseDevice(enclosing(table, at))
		if err == nil {
			err = d.check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%w in ACPI's DSDT, byte %d: %w", ErrAnnouncement, at, err))
			continue
		}
		devices = append(devices, d)
	}
}

// enclosing returns the byte code of the innermost device around the byte at index at; nil if there is none.
func enclosing(table []byte, at int) []byte {
	for start := at; start > 0; {
		start = bytes.LastIndex(table[:start], opDevice)
		if start < 0 {
			break
		}
		body := start + len(opDevice)
		length, _, ok := pkgLength(table[body:])
		if ok && body+length > at && body+length <= len(table) {
			return table[body : body+length]
		}
	}
	return nil
}

// pkgLength reads a PkgLength [ACPI 20.2.4]: what it counts, itself included, and how many bytes it takes.
func pkgLength(b []byte) (length, size int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	more := int(b[0] >> 6)
	if more == 0 {
		return int(b[0] & 0x3f), 1, true
	}
	if len(b) <= more {
		return 0, 0, false
	}
	length = int(b[0] & 0xf)
	for i := range more {
		length |= int(b[1+i]) << (4 + 8*i)
	}
	return length, 1 + more, true
}

// parseDevice reads the resources of a device.
func parseDevice(code []byte) (Device, error) {
	if code == nil {
		return Device{}, errors.New("its id is in no device")
	}
	i := bytes.Index(code, nameCRS)
	if i < 0 {
		return Device{}, errors.New("it names no resources")
	}
	resources, err := buffer(code[i+len(nameCRS):])
	if err != nil {
		return Device{}, err
	}
	return parseResources(resources)
}

// buffer returns the bytes of a Buffer behind its BufferOp [ACPI 20.2.5.4]: its size is an integer, the rest is data.
func buffer(code []byte) ([]byte, error) {
	length, size, ok := pkgLength(code)
	if !ok || length > len(code) || length <= size {
		return nil, errAML
	}
	code = code[size:length]
	const bytePrefix, wordPrefix, dwordPrefix = 0x0a, 0x0b, 0x0c
	width := map[byte]int{bytePrefix: 1, wordPrefix: 2, dwordPrefix: 4}[code[0]]
	if width == 0 || len(code) < 1+width {
		return nil, errors.New("the size of its resources is no number")
	}
	return code[1+width:], nil
}

// parseResources reads a resource template.
func parseResources(b []byte) (d Device, err error) {
	memory, interrupt := false, false
	for len(b) > 0 && b[0]&^7 != tagEnd {
		tag, header, length := b[0], 1, int(b[0]&7)
		if tag&tagLarge != 0 {
			if len(b) < 3 {
				return d, errAML
			}
			header, length = 3, int(binary.LittleEndian.Uint16(b[1:]))
		}
		if len(b) < header+length {
			return d, errAML
		}
		body := b[header : header+length]
		b = b[header+length:]
		switch {
		case tag == tagMemory32Fixed && length >= 9:
			d.Base, d.Size = uint64(binary.LittleEndian.Uint32(body[1:])), uint64(binary.LittleEndian.Uint32(body[5:]))
			memory = true
		case tag == tagExtendedInterrupt && length >= 6 && body[1] >= 1:
			line := binary.LittleEndian.Uint32(body[2:])
			if line > 255 {
				return d, fmt.Errorf("interrupt line %d", line)
			}
			d.Line, d.Trigger = uint8(line), hw.Level
			if body[0]&interruptEdge != 0 {
				d.Trigger = hw.Edge
			}
			interrupt = true
		}
	}
	if !memory || !interrupt {
		return d, errors.New("it has no registers in memory, or no interrupt")
	}
	return d, nil
}
