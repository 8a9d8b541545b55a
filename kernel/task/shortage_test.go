package task

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
)

// siblings returns the first process, which has written pages of its data, and two children of it.
func (w *world) siblings(pages int) (first, a, b *Process) {
	w.tb.Helper()
	th := w.bareThread()
	w.dirty(th.Process, 0, pages)
	child := func() *Process {
		args := CloneArgs{Flags: sigchld}
		p, err := th.Fork(&args, Options{Log: func(report string) { w.reports = append(w.reports, report) }})
		if err != nil || !th.Process.family.adopt(p, th, &args) {
			w.tb.Fatalf("no child: %v", err)
		}
		w.tb.Cleanup(p.Space.Release)
		return p
	}
	return th.Process, child(), child()
}

// dirty has a process write n pages of its data, beginning with a number.
func (w *world) dirty(p *Process, page, n int) {
	w.tb.Helper()
	for i := page + n - 1; i >= page; i-- { // from top to bottom: nothing is filled ahead
		if err := p.Space.PutUint64(dataAt+uint64(i)*mm.PageSize, 1); err != nil {
			w.tb.Fatal(err)
		}
	}
}

func TestLargestProcessIsThatWhoseEndFreesMost(t *testing.T) {
	w := newWorld(t)
	first, a, b := w.siblings(4)
	f := first.family
	expect := func(what string, p, want *Process, pages uint64) {
		t.Helper()
		if got, n := f.largest(p); got != want || n != pages {
			t.Errorf("%s: process %d with %d pages, want %d with %d", what, got.PID, n, want.PID, pages)
		}
	}
	w.dirty(a, 4, 6) // and a page table
	w.dirty(b, 4, 2)
	expect("what is shared counts for nobody", b, a, 7)
	w.dirty(b, 6, 4)
	expect("as large as another one: who wants memory", b, b, 7)
	expect("as large as another one: who wants memory", a, a, 7)
	w.dirty(first, 4, 12)
	expect("the first, beside others with more together", first, a, 7)
	w.dirty(a, 0, 4) // the parent's pages are still b's too
	w.dirty(b, 0, 4)
	expect("the first, whose pages the others have copied", first, a, 11)
	b.ExitGroup(0)
	expect("who ends anyway", first, b, 11)
	close(b.done)
	expect("never who has ended, though its memory is still used", a, first, 17)
}

func TestFirstProcessEndsForWantIfItHasMoreThanTheOthersTogether(t *testing.T) {
	w := newWorld(t)
	first, a, b := w.siblings(0)
	w.dirty(first, 0, 6)
	w.dirty(a, 0, 2)
	w.dirty(b, 0, 2)
	if got, n := first.family.largest(a); got != first || n != 7 {
		t.Errorf("process %d with %d pages", got.PID, n)
	}
}

// Processes end for want of memory one after the other: the first one's memory may be enough for the second.
func TestVictimsOfWantEndOneByOne(t *testing.T) {
	w := newWorld(t)
	first, a, b := w.siblings(0)
	f := first.family
	w.dirty(a, 0, 6)
	w.dirty(b, 0, 3)
	none := func() mm.Outcome { return mm.OutOfMemory }
	expect := func(who string, p, want *Process) {
		t.Helper()
		if v, outcome := f.victim(p, none); v != want || outcome != mm.OutOfMemory {
			t.Errorf("%s: process %d and outcome %v, want process %d", who, v.PID, outcome, want.PID)
		}
	}
	expect("the smaller", b, a)
	if a.status != (Status{Signal: unix.SIGKILL}) || !a.exiting || b.exiting || first.exiting {
		t.Errorf("ends: %v %v %v, status %v", first.exiting, a.exiting, b.exiting, a.status)
	}
	name := a.leader.Name()
	want := "SIGKILL: process 2 (" + name + ") ends for its 28 KiB: no memory is left for process 3 (" + name + "); give the machine more\n"
	if got := strings.Join(w.reports, ""); got != want {
		t.Errorf("report: %q, want %q", got, want)
	}
	expect("the first beside it", first, a)
	expect("the victim itself", a, a)
	close(a.done)
	f.mu.Lock()
	delete(f.processes, a.PID)
	f.mu.Unlock()
	expect("when that has gone, the larger of the others", b, b)
	if b.exiting || len(w.reports) != 1 {
		t.Errorf("who wants memory itself has been ended, not left to do so; reports: %q", w.reports)
	}
	if v, outcome := f.victim(a, func() mm.Outcome { t.Error("tried again beside a victim"); return mm.Handled }); v != b || outcome != mm.OutOfMemory {
		t.Errorf("beside b: %v, %v", v, outcome)
	}
	close(b.done)
	if v, outcome := f.victim(first, func() mm.Outcome { return mm.BusError }); v != nil || outcome != mm.BusError {
		t.Errorf("with another outcome: %v, %v", v, outcome)
	}
}

// TestMemoryThatCameMeanwhileEndsNoProcess: the victim before gave its memory back after this one's fault had found none, and before this
// one was chosen.
func TestMemoryThatCameMeanwhileEndsNoProcess(t *testing.T) {
	w := newWorld(t)
	th := w.bareThread()
	th.Regs.Vec, th.Regs.Err, th.Regs.CR2 = regs.PageFault, regs.FaultUser|regs.FaultWrite, dataAt
	allocations := 0
	w.machine.OnAlloc(func() {
		allocations++
		if allocations == 1 {
			w.machine.FailAfter(0)
		} else {
			w.machine.FailAfter(-1)
		}
	})
	th.pageFault()
	if allocations < 2 || th.Wanted() || len(w.reports) != 0 {
		t.Errorf("allocations: %d, the thread is to end: %v, reports: %q", allocations, th.Wanted(), w.reports)
	}
}

// TestProcessEndsForTheKernelsWant: the largest, whoever it is, but only while the kernel still wants memory.
func TestProcessEndsForTheKernelsWant(t *testing.T) {
	w := newWorld(t)
	first, a, b := w.siblings(0)
	w.dirty(a, 0, 6)
	w.dirty(b, 0, 3)
	b.leader.WantKernelMemory(func() bool { return false })
	if a.exiting || b.exiting || first.exiting {
		t.Fatal("one has ended though there was memory")
	}
	close(a.done)
	a.family.mu.Lock()
	delete(a.family.processes, a.PID)
	a.family.mu.Unlock()
	b.leader.WantKernelMemory(func() bool { return true })
	if !b.exiting || first.exiting || b.status != (Status{Signal: unix.SIGKILL}) {
		t.Errorf("ends: %v %v, status %v", first.exiting, b.exiting, b.status)
	}
	name := b.leader.Name()
	want := "SIGKILL: process 3 (" + name + ") ends for its 16 KiB: no memory is left for the kernel; give the machine more\n"
	if got := strings.Join(w.reports, ""); got != want {
		t.Errorf("report: %q, want %q", got, want)
	}
}
