package linux

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// pollfd is a struct pollfd as a word.
func pollfd(fd int32, events, revents uint16) uint64 {
	return uint64(uint32(fd)) | uint64(events)<<32 | uint64(revents)<<48
}

func TestPoll(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_PIPE, dataAt) // 0, 1
	p.open(2, "/f", unix.O_RDONLY)
	expect := func(fds ...uint64) {
		t.Helper()
		p.check(func() {
			t.Helper()
			for i, want := range fds {
				if got := p.word(dataAt + 8*uint64(i)); got != want {
					t.Errorf("pollfd %d: %#x, want %#x", i, got, want)
				}
			}
		})
	}
	p.store(dataAt, pollfd(0, unix.POLLIN, 77))
	p.returns(0, unix.SYS_POLL, dataAt, 1, 0)
	expect(pollfd(0, unix.POLLIN, 0))
	p.returns(0, unix.SYS_POLL, dataAt, 1, 1)
	p.store(dataAt, pollfd(0, unix.POLLIN, 0), pollfd(1, unix.POLLOUT, 0), pollfd(-1, unix.POLLIN, 5), pollfd(9, 0, 0), pollfd(2, unix.POLLIN|unix.POLLPRI, 0))
	p.returns(3, unix.SYS_POLL, dataAt, 5, minus1)
	expect(pollfd(0, unix.POLLIN, 0), pollfd(1, unix.POLLOUT, unix.POLLOUT), pollfd(-1, unix.POLLIN, 0),
		pollfd(9, 0, unix.POLLNVAL), pollfd(2, unix.POLLIN|unix.POLLPRI, unix.POLLIN))
	p.store(dataAt, pollfd(0, unix.POLLIN, 0), pollfd(0, 0, 0))
	p.later(func() { p.write(1, "x") })
	p.returns(1, unix.SYS_POLL, dataAt, 2, minus1)
	expect(pollfd(0, unix.POLLIN, unix.POLLIN), pollfd(0, 0, 0))
	p.later(func() { p.proc.FDs.Close(1) })
	p.returns(1, unix.SYS_POLL, dataAt+8, 1, minus1) // a hang-up is reported unasked
	expect(pollfd(0, unix.POLLIN, unix.POLLIN), pollfd(0, 0, unix.POLLHUP))
	p.returns(unix.EFAULT, unix.SYS_POLL, bad, 1, 0)
	p.returns(unix.EINVAL, unix.SYS_POLL, dataAt, 1025, 0)
	p.returns(0, unix.SYS_POLL, bad, 0, 1)
	p.run()
}

func TestPpoll(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_PIPE, dataAt)
	const spec = dataAt + 100
	p.store(dataAt, pollfd(0, unix.POLLIN, 0))
	p.store(spec, 0, 1000)
	p.returns(0, unix.SYS_PPOLL, dataAt, 1, spec, 0, 0)
	p.check(func() {
		if p.word(spec) != 0 || p.word(spec+8) != 0 {
			t.Errorf("%d s, %d ns are left", p.word(spec), p.word(spec+8))
		}
	})
	p.store(spec, 0, 1e9)
	p.returns(unix.EINVAL, unix.SYS_PPOLL, dataAt, 1, spec, 0, 0)
	p.store(spec, 0, 0)
	p.returns(unix.EINVAL, unix.SYS_PPOLL, dataAt, 1, spec, dataAt, 4)
	p.returns(0, unix.SYS_PPOLL, dataAt, 1, spec, spec, 8)
	p.later(func() { p.write(1, "x") })
	p.returns(1, unix.SYS_PPOLL, dataAt, 1, 0, spec, 8)
	p.run()
}

func TestSelect(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_PIPE, dataAt) // 0, 1
	const in, out, ex, tv = dataAt, dataAt + 128, dataAt + 256, dataAt + 384
	expect := func(wantIn, wantOut, wantEx uint64) {
		t.Helper()
		p.check(func() {
			t.Helper()
			if a, b, c := p.word(in), p.word(out), p.word(ex); a != wantIn || b != wantOut || c != wantEx {
				t.Errorf("sets %b, %b, %b; want %b, %b, %b", a, b, c, wantIn, wantOut, wantEx)
			}
		})
	}
	p.store(tv, 0, 0)
	p.store(in, 0b11)
	p.store(out, 0b10)
	p.store(ex, 0b11)
	p.returns(1, unix.SYS_SELECT, 2, in, out, ex, tv)
	expect(0, 0b10, 0)
	p.store(in, 0b01)
	p.store(tv, 0, 1)
	p.returns(0, unix.SYS_SELECT, 2, in, 0, 0, tv)
	p.store(in, 0b01)
	p.later(func() { p.write(1, "x") })
	p.returns(1, unix.SYS_SELECT, 2, in, 0, 0, 0)
	expect(0b01, 0b10, 0)
	p.store(in, 0b101)
	p.returns(unix.EBADF, unix.SYS_SELECT, 3, in, 0, 0, 0)
	p.returns(1, unix.SYS_SELECT, 2, in, 0, 0, 0) // descriptor 2 is beyond nfds
	p.returns(unix.EINVAL, unix.SYS_SELECT, minus1, in, 0, 0, 0)
	p.returns(unix.EFAULT, unix.SYS_SELECT, 2, bad, 0, 0, 0)
	p.store(tv, minus1, 0)
	p.returns(unix.EINVAL, unix.SYS_SELECT, 2, in, 0, 0, tv)
	p.store(in, 0b01)
	p.returns(1, unix.SYS_SELECT, 1<<20, in, 0, 0, 0) // more than there can be
	p.store(tv, 0, 1000)
	p.store(ex, 0, 8)
	p.returns(0, unix.SYS_PSELECT6, 0, 0, 0, 0, tv, ex)
	p.store(ex, dataAt, 9)
	p.returns(unix.EINVAL, unix.SYS_PSELECT6, 0, 0, 0, 0, tv, ex)
	p.run()
}

func TestEpollCalls(t *testing.T) {
	p := newFileProgram(t)
	const event, events = dataAt, dataAt + 64
	set := func(bits uint32, data uint64) {
		p.store(event, uint64(bits)|data<<32, data>>32)
	}
	p.returns(0, unix.SYS_EPOLL_CREATE1, unix.EPOLL_CLOEXEC)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_CREATE1, 1)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_CREATE, 0)
	p.returns(0, unix.SYS_PIPE, dataAt) // 1, 2
	set(unix.EPOLLIN|unix.EPOLLET, 0x1122334455667788)
	p.returns(0, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 1, event)
	p.returns(unix.EEXIST, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 1, event)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 0, event)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_CTL, 1, unix.EPOLL_CTL_ADD, 2, event)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_CTL, 0, 7, 2, event)
	p.returns(unix.EBADF, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 9, event)
	p.returns(unix.EBADF, unix.SYS_EPOLL_CTL, 9, unix.EPOLL_CTL_ADD, 1, event)
	p.returns(unix.ENOENT, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_MOD, 2, event)
	p.returns(unix.ENOENT, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_DEL, 2, 0)
	p.returns(unix.EFAULT, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 2, bad)
	p.open(3, "/f", unix.O_RDONLY)
	p.returns(unix.EPERM, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_ADD, 3, event)
	p.returns(0, unix.SYS_EPOLL_WAIT, 0, events, 8, 0)
	p.returns(0, unix.SYS_EPOLL_WAIT, 0, events, 8, 1)
	p.later(func() { p.write(2, "x") })
	p.returns(1, unix.SYS_EPOLL_WAIT, 0, events, 8, minus1)
	p.holds(events, "\x01\x00\x00\x00\x88\x77\x66\x55\x44\x33\x22\x11")
	p.returns(0, unix.SYS_EPOLL_PWAIT, 0, events, 8, 0, 0, 0)
	set(unix.EPOLLIN, 5)
	p.returns(0, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_MOD, 1, event)
	p.returns(1, unix.SYS_EPOLL_PWAIT, 0, events, 8, minus1, event, 8)
	p.returns(unix.EFAULT, unix.SYS_EPOLL_WAIT, 0, bad, 8, minus1)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_WAIT, 0, events, 0, 0)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_WAIT, 1, events, 1, 0)
	p.returns(unix.EBADF, unix.SYS_EPOLL_WAIT, 9, events, 1, 0)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_PWAIT, 0, events, 8, 0, event, 4)
	p.returns(0, unix.SYS_EPOLL_CTL, 0, unix.EPOLL_CTL_DEL, 1, 0)
	p.store(dataAt+32, 0, 1000)
	p.returns(0, unix.SYS_EPOLL_PWAIT2, 0, events, 8, dataAt+32, 0, 0)
	p.store(dataAt+32, 0, minus1)
	p.returns(unix.EINVAL, unix.SYS_EPOLL_PWAIT2, 0, events, 8, dataAt+32, 0, 0)
	p.run()
}

// TestEpollWaitDoesNotAllocate is what Go's netpoller does all day.
func TestEpollWaitDoesNotAllocate(t *testing.T) {
	p := newFileProgram(t)
	e, event := p.fs.NewEpoll(), vfs.NewEventFD(0, false)
	p.proc.FDs.Open(e, 0)
	p.proc.FDs.Open(event, unix.O_RDWR)
	if err := e.Add(p.file(1), 1, vfs.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}); err != nil {
		t.Fatal(err)
	}
	c := &Call{Process: p.proc}
	p.put(dataAt, 1)
	if n := testing.AllocsPerRun(100, func() {
		c.Args = [6]uint64{1, dataAt, 8}
		if _, err := c.write(); err != nil {
			t.Fatal(err)
		}
		c.Args = [6]uint64{0, dataAt + 64, 128, 0}
		if n, err := c.epollPwait(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.run()
}

// TestEpollWaitReturnsAllThatIsReady has more files ready than are stored in one go: fewer events than were asked for
// would say that there are no more.
func TestEpollWaitReturnsAllThatIsReady(t *testing.T) {
	const files = 2*epollBatch + 100
	p := newFileProgram(t)
	e := p.fs.NewEpoll()
	p.proc.FDs.Open(e, 0)
	for i := range files {
		p.proc.FDs.Open(vfs.NewEventFD(1, false), unix.O_RDWR)
		if err := e.Add(p.file(1+i), 1+i, vfs.EpollEvent{Events: unix.EPOLLIN, Data: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	c := &Call{Process: p.proc}
	for _, asked := range []uint64{1, epollBatch, epollBatch + 1, files, files + 1, 1 << 20} {
		c.Args = [6]uint64{0, dataAt, asked, 0}
		if n, err := c.epollWait(); n != min(asked, files) || err != nil {
			t.Errorf("%d of %d events, %v", n, asked, err)
		}
	}
	seen := make(map[uint64]bool)
	for i := range uint64(files) {
		seen[p.word(dataAt+i*sizeofEpollEvent+4)] = true
	}
	if len(seen) != files {
		t.Errorf("%d different files", len(seen))
	}
	p.run()
}
