package vfs

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// counted is a file that counts how often it is closed.
type counted struct {
	alwaysReady
	closed atomic.Int32
}

func (c *counted) Read(Dst, int64) (int64, error) {
	if c.closed.Load() != 0 {
		return 0, unix.EIO
	}
	return 0, nil
}
func (c *counted) Write(Src, int64) (int64, error) { return 0, nil }
func (c *counted) Stat() (unix.Stat_t, error)      { return unix.Stat_t{}, nil }
func (c *counted) Close() error                    { c.closed.Add(1); return nil }

func TestTableLowestNumber(t *testing.T) {
	table := NewTable()
	for want := range 200 {
		if fd, err := table.Open(&counted{}, 0); fd != want || err != nil {
			t.Fatalf("Open = %d, %v; want %d", fd, err, want)
		}
	}
	for _, fd := range []int{150, 3, 64} {
		if err := table.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{3, 64, 150, 200} {
		if fd, err := table.Open(&counted{}, 0); fd != want || err != nil {
			t.Fatalf("Open = %d, %v; want %d", fd, err, want)
		}
	}
	o, err := table.Get(3)
	if err != nil {
		t.Fatal(err)
	}
	if fd, err := table.Install(o, 190, true); fd != 201 || err != nil {
		t.Errorf("Install from 190 = %d, %v; want 201", fd, err)
	}
	if on, err := table.CloseOnExec(201); !on || err != nil {
		t.Errorf("CloseOnExec = %v, %v", on, err)
	}
	table.Close(5)
	if fd, err := table.Open(&counted{}, unix.O_CLOEXEC); fd != 5 || err != nil {
		t.Errorf("Open = %d, %v; want 5", fd, err)
	}
	if on, _ := table.CloseOnExec(5); !on {
		t.Error("O_CLOEXEC is lost")
	}
}

func TestTableLimit(t *testing.T) {
	table := NewTable()
	table.SetLimit(2)
	for range 2 {
		if _, err := table.Open(&counted{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	f := &counted{}
	if _, err := table.Open(f, 0); err != unix.EMFILE {
		t.Errorf("Open over the limit = %v, want EMFILE", err)
	}
	if f.closed.Load() != 1 {
		t.Error("the file that found no room isn't closed")
	}
	o, _ := table.Get(0)
	if _, err := table.Install(o, 2, false); err != unix.EINVAL {
		t.Errorf("Install from the limit = %v, want EINVAL", err)
	}
	o, _ = table.Get(0)
	if err := table.Dup(o, 2, false); err != unix.EBADF {
		t.Errorf("Dup to the limit = %v, want EBADF", err)
	}
	table.SetLimit(1 << 20)
	if got := table.Limit(); got != MaxFDLimit {
		t.Errorf("limit = %d", got)
	}
	o, _ = table.Get(0)
	if err := table.Dup(o, 60000, false); err != nil {
		t.Errorf("Dup to 60000: %v", err)
	}
	if fd, ok := table.Next(2); !ok || fd != 60000 {
		t.Errorf("Next = %d, %v", fd, ok)
	}
}

func TestTableReserve(t *testing.T) {
	table := NewTable()
	fd, err := table.Reserve()
	if fd != 0 || err != nil {
		t.Fatalf("Reserve = %d, %v", fd, err)
	}
	if _, err := table.Get(0); err != unix.EBADF {
		t.Errorf("Get of a reserved number = %v", err)
	}
	if err := table.Close(0); err != unix.EBADF {
		t.Errorf("Close of a reserved number = %v", err)
	}
	if err := table.Dup(NewOpenFile(&counted{}, 0), 0, false); err != unix.EBUSY {
		t.Errorf("Dup to a reserved number = %v, want EBUSY", err)
	}
	table.Unreserve(0)
	if fd, _ := table.Reserve(); fd != 0 {
		t.Errorf("Reserve after Unreserve = %d", fd)
	}
}

func TestTableDupReplaces(t *testing.T) {
	table := NewTable()
	a, b := &counted{}, &counted{}
	table.Open(a, 0)
	table.Open(b, 0)
	o, _ := table.Get(0)
	if err := table.Dup(o, 1, true); err != nil {
		t.Fatal(err)
	}
	if b.closed.Load() != 1 {
		t.Error("what was open before isn't closed")
	}
	table.Close(0)
	if a.closed.Load() != 0 {
		t.Error("closed with a descriptor left")
	}
	table.Close(1)
	if a.closed.Load() != 1 {
		t.Error("not closed with the last descriptor")
	}
}

func TestTableCloseRange(t *testing.T) {
	table := NewTable()
	files := make([]*counted, 10)
	for i := range files {
		files[i] = &counted{}
		table.Open(files[i], 0)
	}
	table.CloseRange(2, 4, false)
	table.CloseRange(7, ^uint(0), true)
	for i, f := range files {
		if want := i >= 2 && i <= 4; (f.closed.Load() == 1) != want {
			t.Errorf("descriptor %d closed: %v", i, !want)
		}
	}
	if on, _ := table.CloseOnExec(9); !on {
		t.Error("no FD_CLOEXEC")
	}
	table.CloseAll()
	for i, f := range files {
		if f.closed.Load() != 1 {
			t.Errorf("descriptor %d closed %d times", i, f.closed.Load())
		}
	}
	if _, err := table.Open(&counted{}, 0); err == nil {
		t.Error("Open after CloseAll succeeds")
	}
}

// TestTableGetAgainstClose has readers use descriptors that others close, reopen and dup all the
// time: no reader may see a file that is closed.
func TestTableGetAgainstClose(t *testing.T) {
	table := NewTable()
	const numbers = 8
	for range numbers {
		table.Open(&counted{}, 0)
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for r := range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for fd := r; ; fd = (fd + 1) % numbers {
				select {
				case <-stop:
					return
				default:
				}
				o, err := table.Get(fd)
				if err != nil {
					continue
				}
				if _, err := o.File().Read(nil, 0); err != nil {
					t.Error("a file was closed while in use")
				}
				o.Release()
			}
		}()
	}
	for w := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := range 6000 {
				fd := (i + w) % numbers
				switch i % 3 {
				case 0:
					table.Close(fd)
				case 1:
					table.Open(&counted{}, 0)
				case 2:
					table.Dup(NewOpenFile(&counted{}, 0), fd+i%128, false)
				}
			}
		}()
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

func TestTableGetDoesNotAllocate(t *testing.T) {
	table := NewTable()
	table.Open(&counted{}, 0)
	if n := testing.AllocsPerRun(100, func() {
		o, _ := table.Get(0)
		o.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A process may stay long after it has closed everything: what others ask of its table then has an answer.
func TestTableAfterItsProcess(t *testing.T) {
	table := NewTable()
	fd, err := table.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	table.CloseAll()
	table.Unreserve(fd)
	if _, err := table.Get(fd); err != unix.EBADF {
		t.Errorf("Get: %v, want EBADF", err)
	}
	if err := table.Close(fd); err != unix.EBADF {
		t.Errorf("Close: %v, want EBADF", err)
	}
	if _, err := table.Reserve(); err != unix.EMFILE {
		t.Errorf("Reserve: %v, want EMFILE", err)
	}
	if fd, ok := table.Next(0); ok || table.Size() != 0 {
		t.Errorf("Next: %d, %v; Size: %d; want nothing", fd, ok, table.Size())
	}
	table.CloseRange(0, MaxFDLimit, true)
	table.CloseMarked()
	if n := table.Fork().Size(); n == 0 {
		t.Error("a child's table has no room at all")
	}
}
