package mm

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Space is the address space of a process.
//
// Locking. Map changes (mmap, munmap, mprotect, fork, …) hold mu for writing. Faults and copies to and from
// user memory hold it for reading, many at a time: they only fill entries that are zero, by
// compare-and-swap, and replace borrowed and counted frames by copies, with cow held. So under the read lock no
// frame is freed and no table goes away, and whoever has found a frame may use it until it unlocks; a counted frame that has
// been replaced is given up under the lock for writing, by whoever replaced it (see runlock).
// The order is mu, a fork's parent before its child, cow; then the locks that the methods of a Backing take; then those of a Machine. A file may hold other
// locks while it copies from user memory or calls View.Drop, which come before mu; see SharedBacking.
//
// Owned frames belong to exactly one entry of one space, until a fork: then they are counted, see shares. Frames of files belong
// to the file, which knows who maps it by the Views; a fork makes one more for each that the parent has.
type Space struct {
	machine Machine
	shares  *shares // of all spaces that come of each other
	root    PhysAddr
	layout  Layout
	users   atomic.Int32 // processes that have the space; see Retain

	mu       sync.RWMutex
	limits   Limits   // guarded by mu
	top      *table   // the table at root; nil after Release. Guarded by mu.
	areas    areaList // guarded by mu
	size     uint64   // bytes of all areas; guarded by mu
	brkStart uint64   // guarded by mu
	brk      uint64   // the program break; guarded by mu
	lockNew  bool     // mlockall(MCL_FUTURE): new mappings are filled at once; guarded by mu
	unmapped gather   // guarded by mu, for writing
	gone     []*View  // that lost their last area since the last flush; guarded by mu

	cow         sync.Mutex  // held while a borrowed or counted frame is replaced
	replaced    []PhysAddr  // counted frames that no entry of the space has any more; guarded by cow
	anyReplaced atomic.Bool // whether there are any

	sharing  atomic.Bool // there is or was an area that is shared
	leaves   leafCache
	zero     atomic.Uint64 // a frame of zeros for anonymous memory that is only read; 0: none yet
	resident atomic.Int64  // pages with a frame, the zero frame not counted
}

// errNoMemory is what NewSpace returns without a frame for the root.
var errNoMemory = errors.New("mm: no memory for a page-table root")

// NewSpace makes an empty address space.
func NewSpace(machine Machine, limits Limits) (*Space, error) {
	return newSpace(machine, new(shares), limits)
}

// Sibling makes an empty address space for another program of the same machine, execve(2): the two keep the books on memory
// that forks share together.
func (s *Space) Sibling(limits Limits) (*Space, error) { return newSpace(s.machine, s.shares, limits) }

func newSpace(machine Machine, shares *shares, limits Limits) (*Space, error) {
	root, ok := machine.NewRoot()
	if !ok {
		return nil, errNoMemory
	}
	if limits.Areas == 0 {
		limits.Areas = defaultMaxAreas
	}
	s := &Space{
		machine: machine,
		shares:  shares,
		root:    root,
		limits:  limits,
		layout:  layoutFor(limits),
		top:     asTable(machine.Page(root)),
	}
	s.users.Store(1)
	return s, nil
}

// Retain says that one more process has the space (CLONE_VM), which calls Release in the end.
func (s *Space) Retain() { s.users.Add(1) }

// Shared tells whether more than one process has the space.
func (s *Space) Shared() bool { return s.users.Load() > 1 }

// Root returns the physical address of the page-table root, for CR3.
func (s *Space) Root() PhysAddr { return s.root }

// SetSizeLimit replaces Limits.Size; what is mapped already stays.
func (s *Space) SetSizeLimit(bytes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.Size = bytes
}

// Layout returns where things are put in the space.
func (s *Space) Layout() Layout { return s.layout }

// Release frees the space with all its memory, when the last process that has it calls. No thread may run in it any more then,
// and no CPU may load its root again. Copies and faults that come later find nothing mapped.
func (s *Space) Release() {
	if s.users.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.top == nil {
		return
	}
	s.unmapped.whole = true
	s.remove(0, lowerHalf)
	s.clear(0, lowerHalf)
	s.pruneTables(0, lowerHalf, 0, lowerHalf)
	s.unmapped.add(s, s.root)
	if zero := s.zero.Load(); zero != 0 {
		s.unmapped.add(s, PhysAddr(zero))
	}
	s.flush()
	s.areas, s.size, s.top = nil, 0, nil
	s.brkStart, s.brk = 0, 0
	s.zero.Store(0)
}

// Stats are sizes of an address space.
type Stats struct {
	Areas         int
	SizePages     uint64 // mapped
	ResidentPages uint64 // that have a frame
}

// Stats returns the sizes of the space.
func (s *Space) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{len(s.areas), s.size / PageSize, uint64(max(0, s.resident.Load()))}
}

// AreaInfo describes an area as /proc/self/maps does, proc_pid_maps(5).
type AreaInfo struct {
	Start, End uint64
	Prot       int // PROT_READ, PROT_WRITE, PROT_EXEC
	Shared     bool
	Offset     int64  // in the file
	Name       string // path of the file, "[heap]", "[stack]" or empty
}

// Maps returns the areas in the order of their addresses.
func (s *Space) Maps() []AreaInfo {
	s.mu.RLock()
	defer s.mu.RUnlock()
	infos := make([]AreaInfo, 0, len(s.areas))
	for i := range s.areas {
		a := &s.areas[i]
		info := AreaInfo{Start: a.start, End: a.end, Prot: int(a.prot), Shared: a.flags&areaShared != 0}
		switch {
		case a.src != nil:
			info.Name, info.Offset = a.src.name, a.off
		case a.flags&areaStack != 0:
			info.Name = "[stack]"
		case a.start <= s.brk && a.end > s.brkStart && s.brk > s.brkStart:
			info.Name = "[heap]"
		}
		infos = append(infos, info)
	}
	return infos
}

// Word says what memory an address stands for: the same for two spaces if they share it, futex(2).
type Word struct {
	object any // a Backing, or the Space
	at     uint64
}

// Offset returns where in its object the memory is: equal for equal Words.
func (w Word) Offset() uint64 { return w.at }

// Word returns what memory va stands for. What isn't mapped belongs to the space.
func (s *Space) Word(va uint64) Word {
	if s.sharing.Load() {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if a := s.areas.find(va); a != nil && a.flags&areaShared != 0 && a.src != nil {
			return Word{a.src.Backing, uint64(a.offset(va))}
		}
	}
	return Word{s, va}
}
