package pcapng

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reader reads a capture.
type Reader struct {
	r          *bufio.Reader
	big        bool // byte order of the section
	section    Section
	sections   int
	interfaces []*Interface // of the section
	all        []*Interface

	head   [headerSize]byte
	buf    []byte // the body of the current block
	at     int64  // where the current block starts
	pos    int64  // bytes read
	count  int    // packets read
	err    error  // what ends the reading
	fault  error  // the first thing that was wrong in a block that could be skipped
	faults int    // how many such things there were
}

// NewReader reads the first section header. Its errors wrap ErrFormat or ErrDamaged, or are those of r.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: bufio.NewReaderSize(r, 64<<10)}
	start, err := d.r.Peek(headerSize + 4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case len(start) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	case len(start) < 4:
		return nil, fmt.Errorf("%w: it has %d bytes", ErrFormat, len(start))
	case binary.LittleEndian.Uint32(start) != blockSection:
		return nil, fmt.Errorf("%w: it starts with % x", ErrFormat, start[:4])
	case len(start) < headerSize+4:
		return nil, fmt.Errorf("%w: section header has %d bytes", ErrDamaged, len(start))
	}
	if _, ok := byteOrder(start[headerSize:]); !ok {
		return nil, fmt.Errorf("%w: byte-order magic is % x", ErrFormat, start[headerSize:])
	}
	if _, err := d.block(); err != nil {
		return nil, err
	}
	return d, nil
}

// byteOrder tells the order from a section's magic.
func byteOrder(b []byte) (bigEndian, ok bool) {
	little, big := binary.LittleEndian.Uint32(b) == byteOrderMagic, binary.BigEndian.Uint32(b) == byteOrderMagic
	return big, little || big
}

func (d *Reader) u16(b []byte) uint16 {
	if d.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (d *Reader) u32(b []byte) uint32 {
	if d.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (d *Reader) u64(b []byte) uint64 {
	if d.big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// Section returns what the last section header has told.
func (d *Reader) Section() Section { return d.section }

// Interfaces returns the interfaces that have been described so far, of all sections.
func (d *Reader) Interfaces() []*Interface { return d.all }

// Next returns the next packet, io.EOF behind the last.
//
// If the file breaks off, or a block's length can't be, the error wraps ErrDamaged and says where; nothing more can be
// read then. What is wrong within a block is passed over as far as the rest can be read: then the error that wraps
// ErrDamaged comes at the end, instead of io.EOF, and tells of the first such thing and how many there are.
func (d *Reader) Next() (Packet, error) {
	for d.err == nil {
		kind, err := d.block()
		if err != nil {
			d.err = d.ending(err)
			break
		}
		var p Packet
		ok := false
		switch kind {
		case blockEnhanced:
			p, ok = d.enhanced(d.buf)
		case blockSimple:
			p, ok = d.simple(d.buf)
		case blockPacket:
			p, ok = d.obsolete(d.buf)
		}
		if ok {
			d.count++
			return p, nil
		}
	}
	return Packet{}, d.err
}

// ending returns the error of the end, where a fault that was passed over counts more than that the file is at its end.
func (d *Reader) ending(err error) error {
	if err != io.EOF || d.fault == nil {
		return err
	}
	switch d.faults {
	case 1:
		return d.fault
	case 2:
		return fmt.Errorf("%w (and another fault)", d.fault)
	}
	return fmt.Errorf("%w (and %d more faults)", d.fault, d.faults-1)
}

// note remembers something wrong that the rest of the file doesn't suffer from.
func (d *Reader) note(format string, args ...any) {
	d.faults++
	if d.fault == nil {
		d.fault = d.damaged(format, args...)
	}
}

// damaged says what is wrong with the current block.
func (d *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: after packet %d, block at byte %d: %s", ErrDamaged, d.count, d.at, fmt.Sprintf(format, args...))
}

// block reads the next block and handles those that hold no packet. The body of one that holds a packet is in d.buf.
func (d *Reader) block() (kind uint32, err error) {
	d.at = d.pos
	h := d.head[:]
	if err := d.full(h, "block header"); err != nil {
		return 0, err
	}
	kind = d.u32(h)
	if kind == blockSection { // its length can't be read before its byte order is known
		magic, err := d.r.Peek(4)
		if err != nil {
			return 0, d.broken(err, "section header", headerSize+len(magic), headerSize+4)
		}
		big, ok := byteOrder(magic)
		if !ok {
			return 0, d.damaged("byte-order magic is % x", magic)
		}
		d.big = big
	}
	length := d.u32(h[4:])
	if length < frameSize || length%4 != 0 {
		return 0, d.damaged("block length is %d", length)
	}
	body := int64(length) - frameSize
	if err := d.body(kind, body); err != nil {
		return 0, err
	}
	tail := d.head[:4]
	if err := d.full(tail, "block"); err != nil {
		return 0, err
	}
	if again := d.u32(tail); again != length {
		return 0, d.damaged("block length is %d in front and %d behind", length, again)
	}
	return kind, d.describe(kind)
}

// body reads the body of a block into d.buf, or skips it if nothing is to be had from it.
func (d *Reader) body(kind uint32, size int64) error {
	switch kind {
	case blockSection, blockInterface, blockPacket, blockSimple, blockStatistics, blockEnhanced:
	default:
		n, err := io.CopyN(io.Discard, d.r, size)
		d.pos += n
		if err != nil {
			return d.broken(err, "block", int(n)+headerSize, int(size)+frameSize)
		}
		return nil
	}
	if size > maxBody {
		return d.damaged("block length is %d, more than %d", size+frameSize, maxBody+frameSize)
	}
	if int64(cap(d.buf)) < size {
		d.buf = make([]byte, max(size, 4096))
	}
	d.buf = d.buf[:size]
	return d.full(d.buf, "block")
}

// full fills b with what follows.
func (d *Reader) full(b []byte, what string) error {
	n, err := io.ReadFull(d.r, b)
	d.pos += int64(n)
	if err == nil {
		return nil
	}
	if err == io.EOF && d.pos == d.at {
		return io.EOF
	}
	return d.broken(err, what, int(d.pos-d.at), int(d.pos-d.at)-n+len(b))
}

// broken is the error of a file that ends within a block.
func (d *Reader) broken(err error, what string, got, want int) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return d.damaged("%s has %d of %d bytes", what, got, want)
	}
	return err
}
