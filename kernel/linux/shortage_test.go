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
	p.returns(unix.ENOSYS, 5000)
	// What gives something back goes on, and so does what costs nothing.
	p.returns(0, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_DEL, 1, 0)
	p.returns(0, unix.SYS_CLOSE, 1)
	p.returns(1, unix.SYS_GETPID)
	set(false)
	p.returns(1, unix.SYS_EVENTFD2, 0, 0)
	p.run()
}

func TestLimitOnMappingsFollowsMemory(t *testing.T) {
	for memory, want := range map[uint64]int{0: 1024, 16 << 20: 2048, 100 << 20: 12800, 1 << 40: 65530} {
		if got := maxAreas(memory); got != want {
			t.Errorf("%d mappings with %d bytes, want %d", got, memory, want)
		}
	}
}
