package mm

import "golang.org/x/sys/unix"

// Outcome is what became of a page fault.
type Outcome uint8

const (
	Handled     Outcome = iota // the access can be made now
	MapError                   // nothing is mapped there: SIGSEGV, SEGV_MAPERR
	AccessError                // the area forbids the access: SIGSEGV, SEGV_ACCERR
	BusError                   // beyond the end of the mapped file, or no room for its page: SIGBUS, BUS_ADRERR
	OutOfMemory                // no frame is left for programs
)

var outcomeNames = [...]string{"handled", "address not mapped", "access not permitted", "beyond the end of the mapped file", "out of memory"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown outcome"
}

// si_code values of sigaction(2), from asm-generic/siginfo.h.
const (
	segvMapErr = 1
	segvAccErr = 2
	busAdrErr  = 2
)

// Signal returns the signal for the outcome and its si_code. There is none (0) for Handled; for
// OutOfMemory it is SIGKILL, as from Linux's out-of-memory killer.
func (o Outcome) Signal() (sig unix.Signal, code int32) {
	switch o {
	case MapError:
		return unix.SIGSEGV, segvMapErr
	case AccessError:
		return unix.SIGSEGV, segvAccErr
	case BusError:
		return unix.SIGBUS, busAdrErr
	case OutOfMemory:
		return unix.SIGKILL, 0
	}
	return 0, 0
}

// err is the error of a system call whose copy met the outcome.
//
// DEVIATION: without memory a copy fails with ENOMEM, where Linux kills the process.
func (o Outcome) err() error {
	switch o {
	case Handled:
		return nil
	case OutOfMemory:
		return unix.ENOMEM
	}
	return unix.EFAULT
}

// faultAround is how many pages, a power of two, are looked at when a file's page is mapped: those that can be
// mapped in place are mapped too, as by Linux's do_fault_around.
const faultAround = 16

// faultAhead is how many pages more are filled when anonymous memory is written page after page.
const faultAhead = 7

// Fault handles a page fault of a thread in ring 3: a read, a write or an instruction fetch at va.
// A fault on a page that allows the access already is Handled: another thread was quicker, or the
// CPU used an old translation.
func (s *Space) Fault(va uint64, write, fetch bool) Outcome {
	s.mu.RLock()
	_, outcome := s.fault(va, write, fetch)
	s.runlock()
	return outcome
}

// page returns the memory of the page at va after making it accessible. s.mu is held, for as long as
// the memory is used.
func (s *Space) page(va uint64, write bool) (*[PageSize]byte, Outcome) {
	if t := s.leaf(va); t != nil {
		if e := t.load(va >> shiftPage); e.allows(write) {
			return s.machine.Page(e.frame()), Handled
		}
	}
	e, outcome := s.fault(va, write, false)
	if outcome != Handled {
		return nil, outcome
	}
	return s.machine.Page(e.frame()), Handled
}

// fault makes the page at va accessible and returns its entry. s.mu is held.
func (s *Space) fault(va uint64, write, fetch bool) (entry, Outcome) {
	a := s.areas.find(va)
	if a == nil {
		return 0, MapError
	}
	if !a.allows(write, fetch) {
		return 0, AccessError
	}
	t := s.makeLeaf(va)
	if t == nil {
		return 0, OutOfMemory
	}
	if e := t.load(va >> shiftPage); e != 0 {
		if e.allows(write) {
			return e, Handled
		}
		return s.copyOnWrite(t, va, a, write)
	}
	e, outcome := s.newPage(t, pageDown(va), a, write)
	if outcome != Handled {
		return 0, outcome
	}
	if !t.set(va>>shiftPage, e) {
		// Another thread was quicker; look at what it has put there.
		if e&pteBorrowed == 0 {
			s.machine.FreeFrames([]PhysAddr{e.frame()})
		}
		if e = t.load(va >> shiftPage); e.allows(write) {
			return e, Handled
		}
		return s.copyOnWrite(t, va, a, write)
	}
	if !s.isZero(e) {
		s.resident.Add(1)
	}
	if write && a.src == nil {
		s.fillAhead(t, pageDown(va), a)
	}
	return e, Handled
}

// fillAhead gives the pages after va, which has just been written for the first time, frames too, if the page
// before it has one: memory is then being filled from bottom to top, and the next faults are saved.
func (s *Space) fillAhead(t *table, va uint64, a *area) {
	i := va >> shiftPage & 511
	if i == 0 || t.load(i-1)&(ptePresent|pteBorrowed) != ptePresent {
		return
	}
	var pages int64
	last := min(i+faultAhead, 511, (a.end-1)>>shiftPage-va>>shiftPage+i)
	for i++; i <= last && t.load(i) == 0; i++ {
		frame, ok := s.machine.AllocFrame()
		if !ok {
			break
		}
		if !t.set(i, entry(frame).protect(int(a.prot))) { // another fault was quicker
			s.machine.FreeFrames([]PhysAddr{frame})
			break
		}
		pages++
	}
	s.resident.Add(pages)
}

// newPage returns an entry for the page at va, page-aligned, that has none. s.mu is held.
func (s *Space) newPage(t *table, va uint64, a *area, write bool) (entry, Outcome) {
	if a.src != nil {
		return s.newFilePage(t, va, a, write)
	}
	if !write {
		if zero, ok := s.zeroFrame(); ok {
			return (entry(zero) | pteBorrowed).protect(int(a.prot)), Handled
		}
		return 0, OutOfMemory
	}
	frame, ok := s.machine.AllocFrame()
	if !ok {
		return 0, OutOfMemory
	}
	return entry(frame).protect(int(a.prot)), Handled
}

// newFilePage is newPage for an area that maps a file.
func (s *Space) newFilePage(t *table, va uint64, a *area, write bool) (entry, Outcome) {
	off := a.offset(va)
	inPlace, ok := a.src.Frame(off)
	file := !write || a.flags&areaShared != 0 // not a copy for this space
	if !ok && file && a.src.shared != nil {
		var outcome Outcome
		if inPlace, outcome = a.src.shared.Page(off); outcome != Handled {
			return 0, outcome
		}
		ok = true
	}
	if ok && file {
		s.mapAround(t, va, a)
		return a.fileEntry(inPlace), Handled
	}
	frame, allocated := s.machine.AllocFrame()
	if !allocated {
		return 0, OutOfMemory
	}
	page := s.machine.Page(frame)
	if ok {
		*page = *s.machine.Page(inPlace)
	} else if n, _ := a.src.ReadAt(page[:], off); n <= 0 {
		s.machine.FreeFrames([]PhysAddr{frame})
		return 0, BusError
	}
	return entry(frame).protect(int(a.prot)), Handled
}

// mapAround maps the file's pages around va that can be mapped in place and aren't mapped yet.
func (s *Space) mapAround(t *table, va uint64, a *area) {
	const window = faultAround * PageSize
	start := max(va&^(window-1), a.start)
	end := min(va&^(window-1)+window, a.end)
	var pages int64
	for p := start; p < end; p += PageSize {
		if p == va || t.load(p>>shiftPage) != 0 {
			continue
		}
		frame, ok := a.src.Frame(a.offset(p))
		if ok && t.set(p>>shiftPage, a.fileEntry(frame)) {
			pages++
		}
	}
	s.resident.Add(pages)
}

// copyOnWrite gives the page at va, which has a borrowed or counted frame, a frame of its own if the access is a
// write, and returns the entry. s.mu is held.
//
// Other CPUs may have the old translation cached. Nobody may write to the copy while they still read
// the old frame, so the old entry goes first, then the translations, then the new entry comes. Who
// faults in between waits here for cow.
func (s *Space) copyOnWrite(t *table, va uint64, a *area, write bool) (entry, Outcome) {
	s.cow.Lock()
	defer s.cow.Unlock()
	old := t.load(va >> shiftPage)
	if old.allows(write) {
		return old, Handled
	}
	if old&pteCounted != 0 && s.shares.sole(old.frame()) { // the others have gone, or have their copies
		s.shares.end(old.frame())
		e := entry(old.frame()).protect(int(a.prot))
		t.store(va>>shiftPage, e)
		return e, Handled
	}
	frame, ok := s.machine.AllocFrame()
	if !ok {
		return 0, OutOfMemory
	}
	if s.isZero(old) {
		s.resident.Add(1)
	} else {
		*s.machine.Page(frame) = *s.machine.Page(old.frame())
	}
	t.store(va>>shiftPage, old&^ptePresent)
	s.machine.Flush(s.root, pageDown(va), 1)
	e := entry(frame).protect(int(a.prot))
	t.store(va>>shiftPage, e)
	if old&pteCounted != 0 {
		s.replaced = append(s.replaced, old.frame())
		s.anyReplaced.Store(true)
	}
	return e, Handled
}

// runlock gives s.mu, held for reading, up after faults, and what they have replaced: others may still have been reading that.
func (s *Space) runlock() {
	s.mu.RUnlock()
	if s.anyReplaced.Load() {
		s.mu.Lock()
		s.dropReplaced()
		s.mu.Unlock()
	}
}

// dropReplaced gives the counts of replaced frames back. s.mu is held for writing.
func (s *Space) dropReplaced() {
	s.cow.Lock()
	defer s.cow.Unlock()
	last := s.replaced[:0]
	for _, frame := range s.replaced {
		if s.shares.drop(frame) {
			last = append(last, frame)
		}
	}
	if len(last) > 0 {
		s.machine.FreeFrames(last)
	}
	s.replaced = s.replaced[:0]
	s.anyReplaced.Store(false)
}

// isZero tells whether e maps the zero frame.
func (s *Space) isZero(e entry) bool {
	return e&pteBorrowed != 0 && uint64(e.frame()) == s.zero.Load()
}

// zeroFrame returns the frame of zeros that untouched anonymous memory is read from.
func (s *Space) zeroFrame() (PhysAddr, bool) {
	if zero := s.zero.Load(); zero != 0 {
		return PhysAddr(zero), true
	}
	frame, ok := s.machine.AllocFrame()
	if ok && !s.zero.CompareAndSwap(0, uint64(frame)) {
		s.machine.FreeFrames([]PhysAddr{frame})
	}
	return PhysAddr(s.zero.Load()), ok
}
