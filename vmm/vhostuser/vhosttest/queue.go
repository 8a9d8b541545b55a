package vhosttest

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each queue has its rings, and a buffer for each descriptor, at a place of its own in the memory.
const (
	queueSpace  = 7 << 20
	queueBase   = 1<<20 - 1<<14 // the first buffers lie across the border of the regions
	bufferSpace = 128 << 10
)

// Flags of descriptors.
const (
	Next  = 1
	Write = 2
	Table = 4
)

// Queue is a virtqueue, seen from the driver. It is not safe for concurrent use.
type Queue struct {
	Index      int
	Size       uint16
	Kick, Call *os.File

	f                 *FrontEnd
	desc, avail, used uint64 // guest physical addresses
	nextAvail         uint16
	lastUsed          uint16
	eventIdx          bool
}

func newQueue(f *FrontEnd, index int, size uint16) *Queue {
	q := &Queue{Index: index, Size: size, f: f}
	base := uint64(queueBase - 1<<15 + index*queueSpace)
	q.desc = base
	q.avail = q.desc + 16*uint64(size) + 2 // aligned to 2 only, which is allowed
	q.used = (q.avail + 6 + 2*uint64(size) + 3) &^ 3
	q.Kick, q.Call = EventFD(f.T), EventFD(f.T)
	q.reset(false)
	return q
}

// EventFD returns an eventfd that is closed at the end of the test.
func EventFD(t testing.TB) *os.File {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "eventfd")
	t.Cleanup(func() { file.Close() })
	return file
}

// Rings returns the address of the descriptors, behind which the available ring begins.
func (q *Queue) Rings() uint64 { return q.desc }

// NoInterrupt tells the device whether to interrupt.
func (q *Queue) NoInterrupt(no bool) {
	flags := uint16(0)
	if no {
		flags = 1
	}
	binary.LittleEndian.PutUint16(q.f.Memory[q.avail:], flags)
	fence()
}

func (q *Queue) reset(eventIdx bool) {
	clear(q.f.Memory[q.desc : q.used+6+8*uint64(q.Size)])
	q.nextAvail, q.lastUsed, q.eventIdx = 0, 0, eventIdx
}

// Addr returns the payload of SET_VRING_ADDR.
func (q *Queue) Addr() []byte {
	b := State(q.Index, 0)
	for _, a := range []uint64{user(q.desc), user(q.used), user(q.avail), 0} {
		b = binary.NativeEndian.AppendUint64(b, a)
	}
	return b
}

// Buffer returns the address of a descriptor's buffer.
func (q *Queue) Buffer(desc uint16) uint64 {
	return uint64(queueBase + q.Index*queueSpace + int(desc)*bufferSpace)
}

// Desc writes a descriptor.
func (q *Queue) Desc(i uint16, addr uint64, size uint32, flags, next uint16) {
	PutDesc(q.f.Memory[q.desc+16*uint64(i):], addr, size, flags, next)
}

// PutDesc writes a descriptor at the start of b.
func PutDesc(b []byte, addr uint64, size uint32, flags, next uint16) {
	le := binary.LittleEndian
	le.PutUint64(b, addr)
	le.PutUint32(b[8:], size)
	le.PutUint16(b[12:], flags)
	le.PutUint16(b[14:], next)
}

// Offer makes a descriptor available, and notifies the device.
func (q *Queue) Offer(head uint16) {
	q.OfferQuietly(head)
	q.Notify()
}

// OfferQuietly makes a descriptor available, and doesn't notify the device.
func (q *Queue) OfferQuietly(head uint16) {
	le := binary.LittleEndian
	le.PutUint16(q.f.Memory[q.avail+4+2*uint64(q.nextAvail%q.Size):], head)
	q.nextAvail++
	q.SetIndex(q.nextAvail)
}

// SetIndex sets the index of the available ring.
func (q *Queue) SetIndex(i uint16) {
	binary.LittleEndian.PutUint16(q.f.Memory[q.avail+2:], i)
	fence()
}

// Notify notifies the device if it wants that.
func (q *Queue) Notify() {
	le := binary.LittleEndian
	wanted := le.Uint16(q.f.Memory[q.used:])&1 == 0
	if q.eventIdx {
		wanted = le.Uint16(q.f.Memory[q.used+4+8*uint64(q.Size):]) == q.nextAvail-1
	}
	if wanted {
		q.Kick.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// Used returns the next chain that the device has given back. ok is false if there is none.
func (q *Queue) Used() (head uint16, written uint32, ok bool) {
	le := binary.LittleEndian
	fence()
	if le.Uint16(q.f.Memory[q.used+2:]) == q.lastUsed {
		return 0, 0, false
	}
	e := q.f.Memory[q.used+4+8*uint64(q.lastUsed%q.Size):]
	q.lastUsed++
	return uint16(le.Uint32(e)), le.Uint32(e[4:]), true
}

// Await is like Used and waits for an interrupt if there is none yet.
func (q *Queue) Await() (head uint16, written uint32) {
	q.f.T.Helper()
	for {
		q.WantInterrupt()
		if head, written, ok := q.Used(); ok {
			return head, written
		}
		if !q.Interrupted() {
			q.f.T.Fatalf("queue %d: no interrupt", q.Index)
		}
	}
}

// WantInterrupt asks for an interrupt when the device gives the next chain back.
func (q *Queue) WantInterrupt() {
	if q.eventIdx {
		binary.LittleEndian.PutUint16(q.f.Memory[q.avail+4+2*uint64(q.Size):], q.lastUsed)
	}
	fence()
}

// patience is how long tests wait for what should come at once.
const patience = 20 * time.Second

// Interrupted waits for an interrupt.
func (q *Queue) Interrupted() bool {
	q.Call.SetReadDeadline(time.Now().Add(patience))
	_, err := q.Call.Read(make([]byte, 8))
	return err == nil
}

// Pending takes an interrupt if there is one.
func (q *Queue) Pending() bool {
	_, err := unix.Read(number(q.Call), make([]byte, 8))
	return err == nil
}
