package linux

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

func TestCallsThatKeepMemoryAreRefusedWhileItIsShort(t *testing.T) {
	p := newFileProgram(t)
	var short atomic.Bool
	p.proc.Kernel.Short = short.Load
	set := func(v bool) { p.Do(func(*regs.User) { short.Store(v) }) }
	p.returns(0, unix.SYS_EPOLL_CREATE1, 0)
	p.returns(1, unix.SYS_EVENTFD2, 0, 0)
	p.returns(0, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 1, dataAt)
	set(true)
	p.returns(unix.ENOMEM, unix.SYS_EVENTFD2, 0, 0)
	p.returns(unix.ENOMEM, unix.SYS_PIPE2, dataAt, 0)
	p.returns(unix.ENOMEM, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 1, dataAt)
	p.returns(unix.EAGAIN, unix.SYS_CLONE, 0)
	p.returns(unix.ENOMEM, unix.SYS_SETGROUPS, 0, 0)
	p.returns(unix.ENOMEM, unix.SYS_FCNTL, 1, unix.F_SETPIPE_SZ, 1<<20)
	p.returns(2, unix.SYS_FCNTL, 1, unix.F_GETFL)
	p.returns(unix.ENOSYS, 5000)
	// What gives something back goes on, and so does what costs nothing.
	p.returns(0, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_DEL, 1, 0)
	p.returns(0, unix.SYS_CLOSE, 1)
	p.returns(1, unix.SYS_GETPID)
	set(false)
	p.returns(1, unix.SYS_EVENTFD2, 0, 0)
	p.run()
}

// TestPollingManyDescriptorsKeepsNothing: a process may have thousands of threads that have once polled thousands of descriptors.
func TestPollingManyDescriptorsKeepsNothing(t *testing.T) {
	p := newFileProgram(t)
	var short atomic.Bool
	p.proc.Kernel.Short = short.Load
	const many = 1000
	none := make([]uint64, many)
	for i := range none {
		none[i] = pollfd(-1, 0, 0)
	}
	p.store(dataAt, none...)
	p.returns(0, unix.SYS_POLL, dataAt, many, 1)
	p.check(func() {
		io := &p.proc.Leader().Local.(*Call).io
		if s := &io.poll; cap(s.items) > keptPolled || cap(s.entries) > keptPolled || cap(s.fds) > 0 || cap(io.scratch) > keptScratch {
			t.Errorf("room is kept for %d descriptors, %d entries, %d bytes of pollfds and %d of scratch",
				cap(s.items), cap(s.entries), cap(s.fds), cap(io.scratch))
		}
		short.Store(true)
	})
	p.returns(unix.ENOMEM, unix.SYS_POLL, dataAt, many, 1)
	p.returns(unix.ENOMEM, unix.SYS_POLL, dataAt, fewPolled+1, 1)
	p.returns(0, unix.SYS_POLL, dataAt, fewPolled, 1)
	p.check(func() { short.Store(false) })
	p.returns(0, unix.SYS_POLL, dataAt, keptPolled/2, 1)
	p.check(func() { short.Store(true) })
	p.returns(0, unix.SYS_POLL, dataAt, keptPolled/2, 1) // there is room
	p.run()
}

func TestLimitOnMappingsFollowsMemory(t *testing.T) {
	for memory, want := range map[uint64]int{0: 1024, 16 << 20: 2048, 100 << 20: 12800, 1 << 40: 65530} {
		if got := maxAreas(memory); got != want {
			t.Errorf("%d mappings with %d bytes, want %d", got, memory, want)
		}
	}
}

// TestCallsWaitForGarbageToBeCollectedWhileMemoryIsLow, whatever they are: any may make some.
func TestCallsWaitForGarbageToBeCollectedWhileMemoryIsLow(t *testing.T) {
	p := newFileProgram(t)
	var low, collections uint32
	p.proc.Kernel.Low, p.proc.Kernel.Relieve = &low, func() bool { collections++; low = 0; return true }
	p.returns(1, unix.SYS_GETPID)
	p.check(func() { low = 1 })
	p.returns(1, unix.SYS_GETPID)
	p.check(func() {
		if collections != 1 {
			t.Errorf("%d collections", collections)
		}
	})
	p.returns(1, unix.SYS_GETPID)
	p.run()
	if collections != 1 {
		t.Errorf("%d collections at the end", collections)
	}
}
