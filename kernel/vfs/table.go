package vfs

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Limits on the number of descriptors of a process (RLIMIT_NOFILE, getrlimit(2)). A machine with little memory
// has a lower highest one.
const (
	DefaultFDLimit = 1024
	MaxFDLimit     = 65536
)

// Table is the descriptor table of a process: numbers to open files.
//
// Get, on the path of each call, takes no lock: it loads a slot and takes a reference, which fails only
// if the last reference is gone, and then the slot has changed already.
type Table struct {
	slots atomic.Pointer[[]atomic.Pointer[OpenFile]] // replaced by longer copies, under mu

	mu      sync.Mutex
	used    []uint64 // guarded by mu: bit n: descriptor n is open or reserved
	cloexec []uint64 // guarded by mu: bit n: FD_CLOEXEC
	lowest  int      // guarded by mu: no number below it is free
	limit   int      // guarded by mu
	max     int      // that limit can be set to; fixed
	closed  bool     // guarded by mu: the process is gone, nothing more gets in
}

// NewTable returns an empty table with the default limit.
func NewTable() *Table {
	t := &Table{limit: DefaultFDLimit, max: MaxFDLimit}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.growLocked(64)
	return t
}

// Limit returns the soft RLIMIT_NOFILE: one more than the highest number that can be opened.
func (t *Table) Limit() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limit
}

// Size returns a number that all open descriptors are below.
func (t *Table) Size() int { return len(*t.slots.Load()) }

// MaxLimit returns what the limit can be set to: the hard limit at the start.
func (t *Table) MaxLimit() int { return t.max }

// SetLimit sets the limit, to MaxLimit at most. Descriptors beyond it stay open.
func (t *Table) SetLimit(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = min(max(n, 0), t.max)
}

// Get returns the file open as fd, with a reference that the caller must Release, or unix.EBADF.
func (t *Table) Get(fd int) (*OpenFile, error) {
	for {
		slots := *t.slots.Load()
		if uint(fd) >= uint(len(slots)) {
			return nil, unix.EBADF
		}
		o := slots[fd].Load()
		if o == nil {
			return nil, unix.EBADF
		}
		if o.tryRetain() {
			return o, nil
		}
	}
}

// Install opens o at the lowest free number from first on. The reference of the caller becomes the
// table's; with an error (unix.EMFILE; unix.EINVAL if first is not below the limit) it is released.
func (t *Table) Install(o *OpenFile, first int, cloexec bool) (int, error) {
	t.mu.Lock()
	fd, err := t.reserveLocked(first)
	if err != nil {
		t.mu.Unlock()
		o.Release()
		return -1, err
	}
	t.setLocked(fd, o, cloexec)
	t.mu.Unlock()
	return fd, nil
}

// Open makes an open file description of f with flags of open(2), O_CLOEXEC included, and installs
// it at the lowest free number. With an error f is closed.
func (t *Table) Open(f File, flags uint32) (int, error) {
	return t.Install(NewOpenFile(f, flags), 0, flags&unix.O_CLOEXEC != 0)
}

// Reserve takes the lowest free number without opening it, so that a call can fail with
// unix.EMFILE before it does anything. Fill or Unreserve must follow.
func (t *Table) Reserve() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reserveLocked(0)
}

// Fill opens o at the reserved number fd and takes over the reference.
func (t *Table) Fill(fd int, o *OpenFile, cloexec bool) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		o.Release()
		return
	}
	t.setLocked(fd, o, cloexec)
	t.mu.Unlock()
}

// Unreserve gives a reserved number back.
func (t *Table) Unreserve(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.clearLocked(fd)
	}
}

// Close closes fd.
func (t *Table) Close(fd int) error {
	t.mu.Lock()
	o := t.slotLocked(fd)
	if o == nil {
		t.mu.Unlock()
		return unix.EBADF
	}
	t.clearLocked(fd)
	t.mu.Unlock()
	t.giveUp(o)
	return nil
}

// Dup opens o's file at exactly fd, closing what was open there, as dup3(2) does. The reference of the
// caller becomes the table's. Errors: unix.EBADF out of range; unix.EBUSY while another thread is
// opening fd.
func (t *Table) Dup(o *OpenFile, fd int, cloexec bool) error {
	t.mu.Lock()
	if fd < 0 || fd >= t.limit || t.closed {
		t.mu.Unlock()
		o.Release()
		return unix.EBADF
	}
	t.growLocked(fd + 1)
	old := t.slotLocked(fd)
	if old == nil && bit(t.used, fd) {
		t.mu.Unlock()
		o.Release()
		return unix.EBUSY
	}
	setBit(t.used, fd, true)
	t.setLocked(fd, o, cloexec)
	t.mu.Unlock()
	if old != nil {
		t.giveUp(old)
	}
	return nil
}

// giveUp ends what a descriptor that was closed has held.
func (t *Table) giveUp(o *OpenFile) {
	t.dropLocks(o)
	o.Release()
}

// CloseRange closes the descriptors from first to last, or with cloexec marks them FD_CLOEXEC
// instead, see close_range(2).
func (t *Table) CloseRange(first, last uint, cloexec bool) {
	for fd := first; fd <= last; fd++ {
		t.mu.Lock()
		if fd >= uint(len(t.used))*64 {
			t.mu.Unlock()
			return
		}
		o := t.slotLocked(int(fd))
		switch {
		case o == nil:
		case cloexec:
			setBit(t.cloexec, int(fd), true)
			o = nil
		default:
			t.clearLocked(int(fd))
		}
		t.mu.Unlock()
		if o != nil {
			t.giveUp(o)
		}
	}
}

// CloseAll closes everything, at the end of the process. Nothing can be opened after it. What is left is small, for the process
// may never be waited for.
func (t *Table) CloseAll() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.CloseRange(0, MaxFDLimit, false)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots.Store(new([]atomic.Pointer[OpenFile]))
	t.used, t.cloexec = nil, nil
}

// Fork returns a table for a child, with the same files open by the same numbers, fork(2). What is only reserved isn't open
// there.
func (t *Table) Fork() *Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	child := &Table{limit: t.limit, max: t.max}
	words := max(1, len(t.used))
	for words > 1 && t.used[words-1] == 0 {
		words--
	}
	child.growLocked(words * 64)
	slots := *child.slots.Load()
	for fd := range *t.slots.Load() {
		if o := t.slotLocked(fd); o != nil {
			o.Retain() // the table has a reference, and t.mu keeps it
			slots[fd].Store(o)
			setBit(child.used, fd, true)
			setBit(child.cloexec, fd, bit(t.cloexec, fd))
		}
	}
	return child
}

// CloseMarked closes the descriptors with FD_CLOEXEC, execve(2).
func (t *Table) CloseMarked() {
	for fd := 0; ; fd++ {
		t.mu.Lock()
		if fd >= len(t.used)*64 {
			t.mu.Unlock()
			return
		}
		o := t.slotLocked(fd)
		if o == nil || !bit(t.cloexec, fd) {
			t.mu.Unlock()
			continue
		}
		t.clearLocked(fd)
		t.mu.Unlock()
		t.giveUp(o)
	}
}

// CloseOnExec returns the FD_CLOEXEC flag of fd.
func (t *Table) CloseOnExec(fd int) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slotLocked(fd) == nil {
		return false, unix.EBADF
	}
	return bit(t.cloexec, fd), nil
}

// SetCloseOnExec sets the FD_CLOEXEC flag of fd.
func (t *Table) SetCloseOnExec(fd int, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slotLocked(fd) == nil {
		return unix.EBADF
	}
	setBit(t.cloexec, fd, on)
	return nil
}

// Next returns the lowest open descriptor from fd on; ok is false if there is none.
func (t *Table) Next(fd int) (next int, ok bool) {
	slots := *t.slots.Load()
	for ; fd < len(slots); fd++ {
		if slots[fd].Load() != nil {
			return fd, true
		}
	}
	return 0, false
}

func (t *Table) slotLocked(fd int) *OpenFile {
	slots := *t.slots.Load()
	if uint(fd) >= uint(len(slots)) {
		return nil
	}
	return slots[fd].Load()
}

// reserveLocked finds the lowest free number from first on and marks it used.
func (t *Table) reserveLocked(first int) (int, error) {
	if first < 0 || first >= t.limit && first > 0 {
		return -1, unix.EINVAL
	}
	if t.closed {
		return -1, unix.EMFILE
	}
	fd := max(first, t.lowest)
	for word := fd / 64; word < len(t.used); word++ {
		free := ^t.used[word]
		if word == fd/64 {
			free &= ^uint64(0) << (fd % 64)
		}
		if free != 0 {
			fd = word*64 + bits.TrailingZeros64(free)
			break
		}
		if word == len(t.used)-1 {
			fd = len(t.used) * 64
		}
	}
	if fd >= t.limit {
		return -1, unix.EMFILE
	}
	t.growLocked(fd + 1)
	setBit(t.used, fd, true)
	if first <= t.lowest {
		t.lowest = fd + 1
	}
	return fd, nil
}

func (t *Table) setLocked(fd int, o *OpenFile, cloexec bool) {
	setBit(t.cloexec, fd, cloexec)
	(*t.slots.Load())[fd].Store(o)
}

func (t *Table) clearLocked(fd int) {
	(*t.slots.Load())[fd].Store(nil)
	setBit(t.used, fd, false)
	setBit(t.cloexec, fd, false)
	t.lowest = min(t.lowest, fd)
}

// growLocked makes room for n descriptors, doubling.
func (t *Table) growLocked(n int) {
	if n <= len(t.used)*64 {
		return
	}
	words := max(1, 2*len(t.used))
	for words*64 < n {
		words *= 2
	}
	t.used = append(t.used, make([]uint64, words-len(t.used))...)
	t.cloexec = append(t.cloexec, make([]uint64, words-len(t.cloexec))...)
	grown := make([]atomic.Pointer[OpenFile], words*64)
	if old := t.slots.Load(); old != nil {
		for i := range *old {
			grown[i].Store((*old)[i].Load())
		}
	}
	t.slots.Store(&grown)
}

func bit(set []uint64, n int) bool { return set[n/64]&(1<<(n%64)) != 0 }

func setBit(set []uint64, n int, on bool) {
	if on {
		set[n/64] |= 1 << (n % 64)
	} else {
		set[n/64] &^= 1 << (n % 64)
	}
}
