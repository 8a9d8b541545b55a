package mm

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Space is the address space of a process.
//
// Locking. Map changes (mmap, munmap, mprotect, …) hold mu for writing. Faults and copies to and from
// user memory hold it for reading, many at a time: they only fill entries that are zero, by
// compare-and-swap, and replace borrowed frames by copies, with cow held. So under the read lock no
// frame is freed and no table goes away, and whoever has found a frame may use it until it unlocks.
// The order is mu, cow; then the locks that the methods of a Backing take; then those of a Machine. A file may hold other
// locks while it copies from user memory or calls View.Drop, which come before mu; see SharedBacking.
//
// Owned frames belong to exactly one entry of one space. Copy-on-write between processes (fork) would
// need a count for each frame, mapped as borrowed while more than one space has it. Frames of files belong to the file,
// which knows who maps it by the Views: fork would attach one more for each that the parent has.
type Space struct {
	machine Machine
	root    PhysAddr
	layout  Layout

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

	cow sync.Mutex // held while a borrowed frame is replaced

	zero     atomic.Uint64 // a frame of zeros for anonymous memory that is only read; 0: none yet
	resident atomic.Int64  // pages with a frame, the zero frame not counted
}

// errNoMemory is what NewSpace returns without a frame for the root.
var errNoMemory = errors.New("mm: no memory for a page-table root")

// NewSpace makes an empty address space.
func NewSpace(machine Machine, limits Limits) (*Space, error) {
	root, ok := machine.NewRoot()
	if !ok {
		return nil, errNoMemory
	}
	if limits.Areas == 0 {
		limits.Areas = defaultMaxAreas
	}
	return &Space{
		machine: machine,
		root:    root,
		limits:  limits,
		layout:  layoutFor(limits),
		top:     asTable(machine.Page(root)),
	}, nil
}

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

// Release frees the space with all its memory. No thread may run in it any more, and no CPU may
// load its root again. Copies and faults that come later find nothing mapped.
func (s *Space) Release() {
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
