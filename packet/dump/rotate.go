package dump

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// Rotator takes the bytes of a little-endian pcapng capture, cut anywhere, and writes them to files of limited size, each of
// which begins with the header and the interfaces, so that it is a capture of its own.
//
// Files hold whole blocks only, as soon as those are complete: they can be read while they grow, and after any end.
type Rotator struct {
	path  string
	size  int64
	count int

	rest    []byte // an incomplete block
	head    []byte // what is in front of the first packet: section header, interfaces, when they began
	file    *os.File
	written int64 // to file
	packets bool  // the capture has some
	own     bool  // file has some
	number  int   // of file
	err     error
}

// NewRotator creates the first file. With a size of 0 all is written to path. Else files are called as path with a number
// before the extension, out-00001.pcapng, and each has size bytes at most, unless a single packet has more; of these the
// count newest are kept, or all if count is 0.
func NewRotator(path string, size int64, count int) (*Rotator, error) {
	r := &Rotator{path: path, size: size, count: count}
	if err := r.open(); err != nil {
		r.file.Close() // if it is open
		return nil, err
	}
	return r, nil
}

// Blocks that a file needs in front of its packets, those with packets, and the lengths of blocks, in bytes.
const (
	blockInterface = 1
	blockEnhanced  = 6
	blockHeader    = 8
	blockLeast     = 12
	blockMost      = pcap.MaxPacket + 1<<20

	headMost = 64 << 10 // of what is in front of the packets

	// statisticsRoom is left in each file for the statistics of two interfaces at the end, so that they don't need another one.
	// Only what they may comment on comes on top.
	statisticsRoom = 256
)

// Write writes the blocks that are complete, and keeps the rest.
func (r *Rotator) Write(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.rest = append(r.rest, b...)
	from, to := 0, 0 // of the blocks for the file
	for r.err == nil && len(r.rest)-to >= blockHeader {
		block := r.rest[to:]
		length := binary.LittleEndian.Uint32(block[4:])
		if length < blockLeast || length%4 != 0 || length > blockMost {
			r.err = fmt.Errorf("%w: block length is %d", pcapng.ErrDamaged, length)
			break
		}
		if uint32(len(block)) < length {
			break
		}
		if r.full(block[:length], to-from) {
			r.write(r.rest[from:to])
			from = to
			r.next()
		}
		r.note(block[:length])
		to += int(length)
	}
	r.write(r.rest[from:to])
	r.rest = append(r.rest[:0], r.rest[to:]...)
	return len(b), r.err
}

// full tells whether a block belongs in the next file. waiting bytes are still to be written to this one.
func (r *Rotator) full(block []byte, waiting int) bool {
	return r.size > 0 && r.own && binary.LittleEndian.Uint32(block) == blockEnhanced &&
		r.written+int64(waiting+len(block)+statisticsRoom) > r.size
}

// note remembers what a block means for the files.
func (r *Rotator) note(block []byte) {
	switch kind := binary.LittleEndian.Uint32(block); {
	case kind == pcapng.Magic:
		r.head = append(r.head[:0], block...)
	case kind == blockEnhanced:
		r.own, r.packets = true, true
	case kind != blockInterface && r.packets:
	case len(r.head)+len(block) > headMost:
		r.err = fmt.Errorf("%w: more than %d bytes of interfaces", pcapng.ErrDamaged, headMost)
	default:
		r.head = append(r.head, block...)
	}
}

// write writes whole blocks. If that fails in the middle of one, the file is cut back to those before.
func (r *Rotator) write(blocks []byte) {
	if r.err != nil || len(blocks) == 0 {
		return
	}
	n, err := r.file.Write(blocks)
	if err == nil {
		r.written += int64(n)
		return
	}
	r.err = err
	r.file.Truncate(r.written + wholeBlocks(blocks[:n])) // it fails for a pipe, which nothing can be taken back from
}

// wholeBlocks returns the length of the blocks that are complete in b.
func wholeBlocks(b []byte) (n int64) {
	for len(b) >= blockHeader {
		length := binary.LittleEndian.Uint32(b[4:])
		if uint32(len(b)) < length {
			break
		}
		n += int64(length)
		b = b[length:]
	}
	return n
}

// Name returns the name of the file that is being written.
func (r *Rotator) Name() string { return r.name(r.number) }

// name returns the name of the n-th file.
func (r *Rotator) name(n int) string {
	if r.size == 0 {
		return r.path
	}
	extension := filepath.Ext(r.path)
	return fmt.Sprintf("%s-%05d%s", strings.TrimSuffix(r.path, extension), n, extension)
}

// open creates the next file.
func (r *Rotator) open() error {
	r.number++
	r.written, r.own = 0, false
	// Not to be read: of a pipe that would make a reader of us, and we'd never learn that there is no other.
	file, err := os.OpenFile(r.Name(), os.O_WRONLY|os.O_CREATE, 0o666)
	if r.file = file; err != nil {
		return err
	}
	return empty(file)
}

// empty makes a regular file empty, unless another Rotator is writing it.
func empty(file *os.File) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		return fmt.Errorf("%s is being written by somebody else", file.Name())
	}
	return file.Truncate(0) // also where files can't be locked
}

// next goes on to another file, and removes the one that is too much.
func (r *Rotator) next() {
	if r.err != nil {
		return
	}
	if r.err = r.file.Close(); r.err != nil {
		return
	}
	if r.err = r.open(); r.err != nil {
		return
	}
	if r.count > 0 && r.number > r.count {
		if err := os.Remove(r.name(r.number - r.count)); err != nil && !os.IsNotExist(err) {
			r.err = err
			return
		}
	}
	r.write(r.head)
}

// Close closes the last file. It is an error if the capture breaks off within a block.
func (r *Rotator) Close() error {
	if r.file != nil {
		if err := r.file.Close(); r.err == nil {
			r.err = err
		}
		r.file = nil
	}
	if r.err == nil && len(r.rest) > 0 {
		return fmt.Errorf("%w: it ends with %d bytes of a block: %w", pcapng.ErrDamaged, len(r.rest), io.ErrUnexpectedEOF)
	}
	return r.err
}
