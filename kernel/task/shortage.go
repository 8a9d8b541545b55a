package task

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// A thread waits victimTicks times victimTick for the memory of a process that is ended for want of it. A machine that its host
// doesn't run for a while loses one tick, and not all of its patience.
const (
	victimTick  = 50 * time.Millisecond
	victimTicks = 20
)

// wantMemory has a process end when fault has found no memory, and waits until that one's has come back. It returns what comes of the
// fault: mm.Handled also where the thread is to try it again, mm.OutOfMemory where its own process is to end.
func (t *Thread) wantMemory(fault func() mm.Outcome) mm.Outcome {
	v, outcome := t.Process.family.victim(t.Process, fault)
	if v == nil || v == t.Process || !t.awaitEnd(v) {
		return outcome
	}
	return mm.Handled
}

// WantKernelMemory has a process end when the kernel itself has found too little memory, and waits until that one's has come back. short
// tells whether it is still so.
func (t *Thread) WantKernelMemory(short func() bool) {
	v, outcome := t.Process.family.victim(t.Process, func() mm.Outcome {
		if short() {
			return mm.OutOfMemory
		}
		return mm.Handled
	})
	switch {
	case outcome != mm.OutOfMemory:
	case v == t.Process:
		v.endForWant(nil, v.AddressSpace().Private())
	default:
		t.awaitEnd(v)
	}
}

// awaitEnd waits until v has ended, or something wants the thread; it returns false if its patience is over before.
func (t *Thread) awaitEnd(v *Process) bool {
	tick := time.NewTicker(victimTick)
	defer tick.Stop()
	t.sleeping()
	defer t.awake()
	for ticks := 0; !t.Wanted(); {
		select {
		case <-v.done:
			return true
		case <-t.wake:
		case <-tick.C:
			if ticks++; ticks == victimTicks {
				return false
			}
		}
	}
	return true
}

// victim returns the process that ends for want of memory, p or one that has been told to, and mm.OutOfMemory. They end one by one: as
// long as one has not given back its memory nobody else is chosen, and fault is tried again before somebody is. With any other
// outcome of that no process is returned.
func (f *Family) victim(p *Process, fault func() mm.Outcome) (*Process, mm.Outcome) {
	f.shortage.Lock()
	defer f.shortage.Unlock()
	if v := f.chosen; v != nil && !v.over() {
		return v, mm.OutOfMemory
	}
	if outcome := fault(); outcome != mm.OutOfMemory {
		return nil, outcome
	}
	v, pages := f.largest(p)
	if v != p {
		v.endForWant(p, pages)
	}
	f.chosen = v
	return v, mm.OutOfMemory
}

// over tells whether the process has given back what it had.
func (p *Process) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// largest returns the process whose end frees most memory, and how many pages: one that is ending already, if there is any; p if others
// have only as much. The first process, with which all end, is chosen only if it has more than the others together.
//
// DEVIATION: Linux counts what is shared too, and never chooses process 1.
func (f *Family) largest(p *Process) (*Process, uint64) {
	best, most := (*Process)(nil), uint64(0)
	var first, others uint64
	for _, q := range f.Processes() {
		if q.over() { // others that share its memory have it still
			continue
		}
		pages := q.AddressSpace().Private()
		switch {
		case pages > 0 && q.Exiting():
			return q, pages
		case q == f.first:
			first = pages
			continue
		case pages > most, pages == most && q == p:
			best, most = q, pages
		}
		others += pages
	}
	if best == nil || first > others {
		return f.first, first
	}
	return best, most
}

// endForWant kills the process, which has so many pages, because there is none for another one, or, if that is nil, for the kernel.
func (p *Process) endForWant(other *Process, pages uint64) {
	p.mu.Lock()
	first := !p.exiting
	p.exitLocked(Status{Signal: unix.SIGKILL})
	p.mu.Unlock()
	if !first || p.options.Log == nil {
		return
	}
	b := append([]byte(nil), "SIGKILL: process "...)
	b = p.appendName(b)
	b = append(b, " ends for its "...)
	b = strconv.AppendUint(b, pages*mm.PageSize>>10, 10)
	b = append(b, " KiB: no memory is left for "...)
	if other == nil {
		b = append(b, "the kernel"...)
	} else {
		b = append(b, "process "...)
		b = other.appendName(b)
	}
	b = append(b, "; give the machine more\n"...)
	p.options.Log(string(b))
}

// appendName appends the id and the name of the process.
func (p *Process) appendName(b []byte) []byte {
	b = strconv.AppendInt(b, int64(p.PID), 10)
	b = append(b, " ("...)
	b = append(b, p.Leader().Name()...)
	return append(b, ')')
}
