package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrFormat is wrapped by the errors for files that are no classic pcap files.
var ErrFormat = errors.New("not a pcap file")

// ErrDamaged is wrapped by the errors for files that break off or hold impossible numbers.
var ErrDamaged = errors.New("damaged pcap file")

// Packet is one packet of a capture.
type Packet struct {
	Time    time.Time
	WireLen int    // bytes on the wire
	Data    []byte // bytes captured; valid until the next call of Next
}

// Reader reads a capture.
type Reader struct {
	r       *bufio.Reader
	order   binary.ByteOrder
	nanos   bool
	snapLen uint32
	link    LinkType
	fcsLen  int
	header  [packetHeaderSize]byte
	buf     []byte
	count   int   // packets read
	pos     int64 // bytes read
}

// NewReader reads the file header. Its errors wrap ErrFormat or ErrDamaged, or are those of r.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: bufio.NewReaderSize(r, 64<<10)}
	var h [fileHeaderSize]byte
	n, err := io.ReadFull(d.r, h[:])
	if err == io.EOF {
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	}
	if n < 4 && err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrFormat, n)
	}
	if n >= 4 {
		if err := d.magic(h[:4]); err != nil {
			return nil, err
		}
	}
	if err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: file header has %d of %d bytes", ErrDamaged, n, fileHeaderSize)
	}
	if err != nil {
		return nil, err
	}
	if major := d.order.Uint16(h[4:]); major != versionMajor {
		return nil, fmt.Errorf("%w: version %d.%d, want %d.%d", ErrFormat, major, d.order.Uint16(h[6:]), versionMajor, versionMinor)
	}
	d.snapLen = d.order.Uint32(h[16:])
	link := d.order.Uint32(h[20:])
	d.link = LinkType(link & linkMask)
	if link&fcsKnown != 0 {
		d.fcsLen = fcsUnits * int(link>>fcsShift)
	}
	d.pos = fileHeaderSize
	return d, nil
}

// magic learns byte order and resolution from the first four bytes.
func (d *Reader) magic(b []byte) error {
	little, big := binary.LittleEndian.Uint32(b), binary.BigEndian.Uint32(b)
	switch {
	case little == magicMicros || little == magicNanos:
		d.order, d.nanos = binary.LittleEndian, little == magicNanos
	case big == magicMicros || big == magicNanos:
		d.order, d.nanos = binary.BigEndian, big == magicNanos
	case big == magicNG:
		return fmt.Errorf("%w: it is a pcapng file", ErrFormat)
	default:
		return fmt.Errorf("%w: it starts with % x", ErrFormat, b)
	}
	return nil
}

// LinkType returns what the packets start with.
func (d *Reader) LinkType() LinkType { return d.link }

// FCSLen returns how many bytes of frame check sequence packets end with, 0 if that is not told.
func (d *Reader) FCSLen() int { return d.fcsLen }

// SnapLen returns how many bytes of a packet the capture holds at most; 0 means no limit.
func (d *Reader) SnapLen() int { return int(d.snapLen) }

// Nanos tells whether times are in nanoseconds rather than microseconds.
func (d *Reader) Nanos() bool { return d.nanos }

// Next returns the next packet, io.EOF behind the last. If the file breaks off within a packet, or a length can't be, the
// error wraps ErrDamaged and says where; nothing more can be read then.
func (d *Reader) Next() (Packet, error) {
	n, err := io.ReadFull(d.r, d.header[:])
	if err == io.EOF {
		return Packet{}, io.EOF
	}
	if err == io.ErrUnexpectedEOF {
		return Packet{}, d.damaged("packet header has %d of %d bytes", n, packetHeaderSize)
	}
	if err != nil {
		return Packet{}, err
	}
	sec, sub := d.order.Uint32(d.header[:]), d.order.Uint32(d.header[4:])
	size, wire := d.order.Uint32(d.header[8:]), d.order.Uint32(d.header[12:])
	if size > MaxPacket {
		return Packet{}, d.damaged("captured length is %d, more than %d", size, MaxPacket)
	}
	if cap(d.buf) < int(size) {
		d.buf = make([]byte, max(int(size), 2048))
	}
	data := d.buf[:size]
	n, err = io.ReadFull(d.r, data)
	if err == io.EOF && size > 0 || err == io.ErrUnexpectedEOF {
		return Packet{}, d.damaged("packet has %d of %d captured bytes", n, size)
	}
	if err != nil && size > 0 {
		return Packet{}, err
	}
	d.count++
	d.pos += packetHeaderSize + int64(size)
	if !d.nanos {
		sub *= 1000
	}
	return Packet{time.Unix(int64(sec), int64(sub)), int(wire), data}, nil
}

// damaged says what is wrong with the packet that Next is at.
func (d *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: packet %d at byte %d: %s", ErrDamaged, d.count+1, d.pos, fmt.Sprintf(format, args...))
}
