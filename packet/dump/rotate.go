package dump

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// Rotator takes the bytes of a little-endian pcapng capture, cut anywhere, and writes them to files of limited size, each of
// which begins with the header and the interfaces, so that it is a capture of its own.
type Rotator struct {
	path  string
	size  int64
	count int

	rest    []byte // an incomplete block
	head    []byte // section header and interfaces so far
	file    *os.File
	written int64 // to file
	packets bool  // file has some
	number  int   // of file
	err     error
}

// NewRotator returns a Rotator. With a size of 0 all is written to path. Else files are called as path with a number
// before the extension, out-00001.pcapng, and each has size bytes at most, unless a single packet has more; of these the
// count newest are kept, or all if count is 0.
func NewRotator(path string, size int64, count int) *Rotator {
	return &Rotator{path: path, size: size, count: count}
}

// Types of blocks that a file needs before its packets, and the length of a block without a body.
const (
	blockInterface = 1
	blockHeader    = 8
	blockLeast     = 12
	blockMost      = pcap.MaxPacket + 1<<20
)

// Write writes the blocks that are complete, and keeps the rest.
func (r *Rotator) Write(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.rest = append(r.rest, b...)
	at := 0
	for r.err == nil && len(r.rest)-at >= blockHeader {
		block := r.rest[at:]
		length := binary.LittleEndian.Uint32(block[4:])
		if length < blockLeast || length%4 != 0 || length > blockMost {
			r.err = fmt.Errorf("%w: block length is %d", pcapng.ErrDamaged, length)
			break
		}
		if uint32(len(block)) < length {
			break
		}
		r.err = r.block(block[:length])
		at += int(length)
	}
	r.rest = append(r.rest[:0], r.rest[at:]...)
	return len(b), r.err
}

// block writes one block.
func (r *Rotator) block(b []byte) error {
	switch binary.LittleEndian.Uint32(b) {
	case pcapng.Magic:
		r.head = append(r.head[:0], b...)
	case blockInterface:
		r.head = append(r.head, b...)
	default:
		if r.size > 0 && r.packets && r.written+int64(len(b)) > r.size {
			if err := r.next(); err != nil {
				return err
			}
			r.packets = true
			return r.write(b)
		}
		r.packets = true
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	return r.write(b)
}

func (r *Rotator) write(b []byte) error {
	n, err := r.file.Write(b)
	r.written += int64(n)
	return err
}

// name returns the name of the n-th file.
func (r *Rotator) name(n int) string {
	if r.size == 0 {
		return r.path
	}
	extension := filepath.Ext(r.path)
	return fmt.Sprintf("%s-%05d%s", strings.TrimSuffix(r.path, extension), n, extension)
}

// open creates the next file.
func (r *Rotator) open() (err error) {
	r.number++
	r.written, r.packets = 0, false
	r.file, err = os.Create(r.name(r.number))
	return err
}

// next goes on to another file, and removes the one that is too much.
func (r *Rotator) next() error {
	if err := r.file.Close(); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	if r.count > 0 && r.number > r.count {
		if err := os.Remove(r.name(r.number - r.count)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return r.write(r.head)
}

// Close closes the last file. It is an error if the capture breaks off within a block.
func (r *Rotator) Close() error {
	if r.file != nil {
		if err := r.file.Close(); r.err == nil {
			r.err = err
		}
	}
	if r.err == nil && len(r.rest) > 0 {
		return fmt.Errorf("%w: it ends with %d bytes of a block: %w", pcapng.ErrDamaged, len(r.rest), io.ErrUnexpectedEOF)
	}
	return r.err
}
