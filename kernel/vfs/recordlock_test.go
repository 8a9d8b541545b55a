package vfs

import (
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRecordLocks: locks are of a table and a range of bytes; a descriptor that is closed gives all of them up.
func TestRecordLocks(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	file := mustOpen(t, paths, "/f", unix.O_RDWR|unix.O_CREAT)
	defer file.Release()
	mine, other := NewTable(), NewTable()
	file.Retain()
	fd, err := mine.Install(file, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	set := func(table *Table, write, unlock bool, first, last int64, want error) {
		t.Helper()
		if err := file.SetLock(nil, table, RecordLock{Write: write, Start: first, End: last, PID: 7}, unlock, false); err != want {
			t.Errorf("lock %d to %d: %v, want %v", first, last, err, want)
		}
	}
	set(mine, true, false, 10, 29, nil)
	set(other, false, false, 0, 9, nil)
	set(other, false, false, 29, 40, unix.EAGAIN)
	set(mine, false, false, 20, 24, nil) // a part of it can be shared now
	set(other, false, false, 20, 24, nil)
	set(other, true, false, 20, 24, unix.EAGAIN)
	set(mine, true, true, 10, 14, nil)
	set(other, true, false, 10, 14, nil)
	set(other, true, false, 14, 15, unix.EAGAIN)
	if l, ok := file.LockConflict(other, RecordLock{Write: true, Start: 25, End: 100}); !ok || l.Start != 25 || l.End != 29 || !l.Write || l.PID != 7 {
		t.Errorf("in the way: %+v, %v", l, ok)
	}
	if err := mine.Close(fd); err != nil {
		t.Fatal(err)
	}
	set(other, true, false, 0, 100, nil)
	for _, c := range []struct {
		whence        uint16
		start, length int64
		first, last   int64
		err           error
	}{
		{0, 5, 10, 5, 14, nil}, {0, 5, -5, 0, 4, nil}, {0, 3, 0, 3, 1<<63 - 1, nil}, {2, 4, 1, 4, 4, nil},
		{0, -1, 1, 0, 0, unix.EINVAL}, {0, 5, -6, 0, 0, unix.EINVAL}, {3, 0, 1, 0, 0, unix.EINVAL},
		{0, 1<<63 - 1, 2, 0, 0, unix.EOVERFLOW},
	} {
		first, last, err := file.LockRange(c.whence, c.start, c.length)
		if err != c.err || err == nil && (first != c.first || last != c.last) {
			t.Errorf("whence %d, %d, %d: %d to %d, %v", c.whence, c.start, c.length, first, last, err)
		}
	}
}

// TestRecordLocksJoin: locks of a kind that touch are one, so that their number isn't bounded by that of the calls.
func TestRecordLocksJoin(t *testing.T) {
	file := mustOpen(t, emptyFS(t).NewPaths(), "/f", unix.O_RDWR|unix.O_CREAT)
	defer file.Release()
	mine, other := NewTable(), NewTable()
	lock := func(write bool, first, last int64) {
		t.Helper()
		if err := file.SetLock(nil, mine, RecordLock{Write: write, Start: first, End: last}, false, false); err != nil {
			t.Fatalf("lock %d to %d: %v", first, last, err)
		}
	}
	expect := func(at, first, last int64) {
		t.Helper()
		l, ok := file.LockConflict(other, RecordLock{Write: true, Start: at, End: at})
		if !ok || l.Start != first || l.End != last {
			t.Errorf("at %d: %+v, %v; want %d to %d", at, l, ok, first, last)
		}
	}
	for i := range int64(maxRecordLocks + 10) {
		lock(true, i+100, i+100)
	}
	expect(105, 100, 100+maxRecordLocks+9)
	lock(true, 1<<62, math.MaxInt64)
	lock(true, 0, 98)
	expect(98, 0, 98)
	lock(false, 50, 60) // another kind, between two of one kind
	expect(49, 0, 49)
	expect(55, 50, 60)
	lock(true, 50, 60)
	lock(true, 99, 99)
	expect(55, 0, 100+maxRecordLocks+9)
	lock(true, 1000, 1<<62)
	expect(55, 0, math.MaxInt64)
}

// toldSleeper tells when it sleeps.
type toldSleeper struct {
	sleeper
	sleeps chan struct{}
}

func (s toldSleeper) Sleep(deadline time.Time) error {
	s.sleeps <- struct{}{}
	return s.sleeper.Sleep(deadline)
}

// TestRecordLockSharedWakes: who waits to read gets the lock when the one in the way is no longer for writing.
func TestRecordLockSharedWakes(t *testing.T) {
	file := mustOpen(t, emptyFS(t).NewPaths(), "/f", unix.O_RDWR|unix.O_CREAT)
	defer file.Release()
	mine, other := NewTable(), NewTable()
	l := RecordLock{Write: true, Start: 10, End: 19}
	if err := file.SetLock(nil, mine, l, false, false); err != nil {
		t.Fatal(err)
	}
	sleeps, done := toldSleeper{newSleeper(), make(chan struct{}, 10)}, make(chan error)
	go func() { done <- file.SetLock(sleeps, other, RecordLock{Start: 12, End: 12}, false, true) }()
	<-sleeps.sleeps
	l.Write = false
	if err := file.SetLock(nil, mine, l, false, false); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still waiting")
	}
}

// TestForkedTable: a child's table has the same open files, and its own numbers and flags from then on.
func TestForkedTable(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	table := NewTable()
	for n := range 70 {
		if _, err := table.Install(mustOpen(t, paths, "/", unix.O_RDONLY), 0, n%2 == 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := table.Reserve(); err != nil { // a call that another thread is in the middle of
		t.Fatal(err)
	}
	child := table.Fork()
	a, _ := table.Get(69)
	b, err := child.Get(69)
	if err != nil || a != b {
		t.Errorf("descriptor 69: %v, the same %v", err, a == b)
	}
	a.Release()
	b.Release()
	table.Close(69)
	if _, err := child.CloseOnExec(69); err != nil {
		t.Error("the parent has closed the child's descriptor")
	}
	child.CloseMarked()
	for fd := range 70 {
		_, err := child.CloseOnExec(fd)
		if want := fd%2 == 1; (err == unix.EBADF) != want {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
	if fd, err := child.Reserve(); fd != 1 || err != nil {
		t.Errorf("the lowest free number is %d, %v", fd, err)
	}
	child.CloseAll()
	table.CloseAll()
}

// TestProcTellsOfOtherProcesses by their numbers, as long as they are there.
func TestProcTellsOfOtherProcesses(t *testing.T) {
	paths, _ := newProcessPaths(t)
	fs := paths.FS()
	other := fs.NewPaths()
	zombie := false
	info := &ProcessInfo{
		PID: 20, Exe: "/dev/null", Args: []string{"other"}, FDs: NewTable(),
		Name: func() string { return "the other" }, Zombie: func() bool { return zombie },
		Kin: func() (parent, group, session int) { return 17, 18, 16 },
	}
	other.SetProcess(info)
	there := true
	fs.SetProcesses(Processes{
		Find: func(pid int) *ProcessInfo {
			if pid == 20 && there {
				return info
			}
			return nil
		},
		List:  func() []int { return []int{17, 20} },
		Count: func() (threads int, forks uint64) { return 4, 9 },
	})
	if got := contents(t, paths, "/proc/20/cmdline"); got != "other\x00" {
		t.Errorf("cmdline %q", got)
	}
	zombie = true
	if got, want := contents(t, paths, "/proc/20/stat")[:30], "20 (the other) Z 17 18 16 0 -1"; got != want {
		t.Errorf("stat %q, want %q", got, want)
	}
	if got, err := other.Readlink(nil, "/proc/self"); got != "20" || err != nil {
		t.Errorf("the other's /proc/self: %q, %v", got, err)
	}
	if got, err := paths.Readlink(nil, "/proc/20/exe"); got != "/dev/null" || err != nil {
		t.Errorf("exe: %q, %v", got, err)
	}
	there = false
	if _, err := paths.Lookup(nil, "/proc/20", true); err != unix.ENOENT {
		t.Errorf("after its end: %v", err)
	}
}
