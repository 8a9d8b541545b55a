package mm

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// entry is a paging-structure entry [SDM3 4.5, Tables 4-15 to 4-20].
//
// Of an entry that maps a page, not zero means that it holds a frame. If the present bit is clear
// all the same, the area has PROT_NONE, or the page is just being copied (see Space.copyOnWrite).
type entry uint64

const (
	ptePresent  entry = 1 << 0
	pteWrite    entry = 1 << 1
	pteUser     entry = 1 << 2
	pteAccessed entry = 1 << 5 // set from the start: the CPU needn't
	pteDirty    entry = 1 << 6
	pteNoExec   entry = 1 << 63

	// pteBorrowed (a bit that the CPU ignores) marks a frame that the space doesn't own: a file's, or
	// the zero frame. It is never freed by the space. It is not mapped writable but copied on write, unless
	// pteShared says that it is mapped by a MAP_SHARED area, which writes to the file itself.
	pteBorrowed entry = 1 << 9
	pteShared   entry = 1 << 10

	// pteCounted marks a frame of the space's own that other spaces may have, too, since a fork: it is in shares, and copied on
	// write unless it is the last.
	pteCounted entry = 1 << 11

	pteAddress entry = 0x000ffffffffff000

	// tableEntry are the flags of an entry that points to a table.
	tableEntry = ptePresent | pteWrite | pteUser | pteAccessed
)

func (e entry) frame() PhysAddr { return PhysAddr(e & pteAddress) }

// allows tells whether the CPU lets ring 3 do the access, instruction fetches aside.
func (e entry) allows(write bool) bool {
	return e&ptePresent != 0 && (!write || e&pteWrite != 0)
}

// protect returns e with the access bits that an area with prot gives it.
func (e entry) protect(prot int) entry {
	e &^= ptePresent | pteWrite | pteUser | pteNoExec
	if prot == unix.PROT_NONE {
		return e
	}
	e |= ptePresent | pteUser | pteAccessed
	if prot&unix.PROT_WRITE != 0 && e&(pteBorrowed|pteShared) != pteBorrowed && e&pteCounted == 0 {
		e |= pteWrite | pteDirty
	}
	if prot&unix.PROT_EXEC == 0 {
		e |= pteNoExec
	}
	return e
}

// table is a paging structure. The CPUs, and faults on several of them, use it at the same time.
type table [512]uint64

func (t *table) load(i uint64) entry     { return entry(atomic.LoadUint64(&t[i&511])) }
func (t *table) store(i uint64, e entry) { atomic.StoreUint64(&t[i&511], uint64(e)) }

// set stores e if the entry is zero.
func (t *table) set(i uint64, e entry) bool {
	return atomic.CompareAndSwapUint64(&t[i&511], 0, uint64(e))
}

// Shifts of the levels: an entry of the table covers 1<<shift bytes.
const (
	shiftPage = 12 // page table
	shiftPD   = 21 // page directory
	shiftPDPT = 30
	shiftPML4 = 39
)
