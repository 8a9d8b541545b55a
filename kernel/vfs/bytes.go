package vfs

import (
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
