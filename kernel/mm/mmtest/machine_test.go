package mmtest

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// recorder is a testing.TB that keeps what a Machine complains of.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return len(r.errors) > 0 }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// TestMachineNoticesBrokenRules breaks each rule of mm.Machine behind a Space's back.
func TestMachineNoticesBrokenRules(t *testing.T) {
	const va = 0x100000
	tests := []struct {
		name    string
		breakIt func(m *Machine, s *mm.Space, frame mm.PhysAddr)
		want    string
	}{
		{"mapped", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.FreeFrames([]mm.PhysAddr{frame})
		}, "is mapped with it"},
		{"not flushed", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.Touch(s, va, true, false)
			m.clearEntry(s.Root(), va)
			m.FreeFrames([]mm.PhysAddr{frame})
		}, "a TLB may have the translation"},
		{"other page flushed", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.FillTLB()
			m.clearEntry(s.Root(), va)
			m.Flush(s.Root(), va+mm.PageSize, 3)
			m.FreeFrames([]mm.PhysAddr{frame})
		}, "a TLB may have the translation"},
		{"table", func(m *Machine, s *mm.Space, _ mm.PhysAddr) {
			m.FreeFrames([]mm.PhysAddr{frame(loadEntry(m.Page(s.Root()), 0))})
		}, "a table was freed while it is used"},
		{"cached table", func(m *Machine, s *mm.Space, _ mm.PhysAddr) {
			top := frame(loadEntry(m.Page(s.Root()), 0))
			m.Flush(s.Root(), 0, 0)
			m.FillTLB()
			clear(m.Page(s.Root())[:8])
			m.FreeFrames([]mm.PhysAddr{top})
		}, "a CPU may have it cached"},
		{"twice", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.clearEntry(s.Root(), va)
			m.FreeFrames([]mm.PhysAddr{frame, frame})
		}, "is free already"},
		{"a file's", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			pa, _ := m.NewFile([]byte("x"), true).Frame(0)
			m.FreeFrames([]mm.PhysAddr{pa})
		}, "belongs to a file"},
		{"no frame", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.FreeFrames([]mm.PhysAddr{frame + 1})
		}, "no such frame"},
		{"flush of nothing", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.Flush(12345, 0, 0)
		}, "no such root"},
		{"leak", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.AllocFrame()
			for _, f := range m.tb.(*recorder).cleanups {
				f()
			}
		}, "have not been freed"},
		{"nothing", func(m *Machine, s *mm.Space, frame mm.PhysAddr) {
			m.FillTLB()
			if err := s.Munmap(va, mm.PageSize); err != nil {
				t.Error(err)
			}
		}, ""},
	}
	for _, test := range tests {
		r := new(recorder)
		m := New(r, 64)
		s := m.NewSpace(mm.Limits{})
		if _, err := s.Mmap(mm.Mapping{Addr: va, Length: 4096, Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: unix.MAP_PRIVATE}); err != nil {
			t.Fatal(err)
		}
		if o := s.Fault(va, true, false); o != mm.Handled {
			t.Fatal(o)
		}
		test.breakIt(m, s, frame(m.translate(s.Root(), va)))
		if all := strings.Join(r.errors, "\n"); (test.want == "") != (all == "") || !strings.Contains(all, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, all, test.want)
		}
	}
}

// clearEntry clears the page's entry without telling anyone.
func (m *Machine) clearEntry(r mm.PhysAddr, va uint64) {
	table := r
	for shift := 39; shift > 12; shift -= 9 {
		table = frame(loadEntry(m.Page(table), int(va>>shift&511)))
	}
	clear(m.Page(table)[va>>12&511*8:][:8])
}
