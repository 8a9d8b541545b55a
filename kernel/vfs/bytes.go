package vfs

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
)

// Bytes is kernel memory as a Dst or a Src: what is left of it, from the front.
type Bytes []byte

// Len returns the bytes left.
func (b *Bytes) Len() int { return len(*b) }

// Write stores p, or as much as there is room for (and unix.EFAULT).
func (b *Bytes) Write(p []byte) (int, error) {
	n := copy(*b, p)
	*b = (*b)[n:]
	if n < len(p) {
		return n, unix.EFAULT
	}
	return n, nil
}

// Read fetches the next bytes into p, or as many as are left (and unix.EFAULT).
func (b *Bytes) Read(p []byte) (int, error) {
	n := copy(p, *b)
	*b = (*b)[n:]
	if n < len(p) {
		return n, unix.EFAULT
	}
	return n, nil
}

// bounceSize is the size of the buffers through which data pass that must be copied with a
// lock held: program memory is never touched under a lock that a page fault may need.
const bounceSize = 16 << 10

var bounces = sync.Pool{New: func() any { return new([bounceSize]byte) }}

func newBounce() *[bounceSize]byte { return bounces.Get().(*[bounceSize]byte) }

func freeBounce(b *[bounceSize]byte) { bounces.Put(b) }

// words are buffers for the 8 bytes of an eventfd or timerfd: memory that is passed through an interface is
// on the heap, and these are used too often to be made each time.
var words = sync.Pool{New: func() any { return new([8]byte) }}

// writeUint64 stores a number as programs read it from an eventfd.
func writeUint64(dst Dst, v uint64) (int64, error) {
	b := words.Get().(*[8]byte)
	defer words.Put(b)
	binary.NativeEndian.PutUint64(b[:], v)
	n, err := dst.Write(b[:])
	return int64(n), err
}

// readUint64 fetches a number as programs write it to an eventfd.
func readUint64(src Src) (uint64, error) {
	b := words.Get().(*[8]byte)
	defer words.Put(b)
	_, err := src.Read(b[:])
	return binary.NativeEndian.Uint64(b[:]), err
}
