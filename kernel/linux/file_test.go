package linux

import (
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

func TestReadAndWrite(t *testing.T) {
	p := newFileProgram(t)
	hello := p.str("hello")
	p.open(0, "/new", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	p.open(unix.EEXIST, "/new", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	p.returns(5, unix.SYS_WRITE, 0, hello, 5)
	p.returns(0, unix.SYS_READ, 0, dataAt, 100)
	p.returns(1, unix.SYS_LSEEK, 0, 1, unix.SEEK_SET)
	p.returns(4, unix.SYS_READ, 0, dataAt, 100)
	p.holds(dataAt, "ello\x00")
	p.returns(3, unix.SYS_PREAD64, 0, dataAt, 3, 2)
	p.holds(dataAt, "llo")
	p.returns(2, unix.SYS_PWRITE64, 0, hello, 2, 8)
	p.returns(10, unix.SYS_LSEEK, 0, 0, unix.SEEK_END)
	p.returns(10, unix.SYS_PREAD64, 0, dataAt, 100, 0)
	p.holds(dataAt, "hello\x00\x00\x00he")
	p.returns(unix.EINVAL, unix.SYS_LSEEK, 0, minus1, unix.SEEK_SET)
	p.returns(unix.EINVAL, unix.SYS_LSEEK, 0, 0, 17)
	p.returns(unix.ENXIO, unix.SYS_LSEEK, 0, 10, unix.SEEK_DATA)
	p.returns(10, unix.SYS_LSEEK, 0, 3, unix.SEEK_HOLE)
	p.returns(unix.EINVAL, unix.SYS_PREAD64, 0, dataAt, 3, minus1)
	p.returns(unix.EINVAL, unix.SYS_READ, 0, dataAt, 1<<63)
	p.returns(unix.EFAULT, unix.SYS_WRITE, 0, bad, 5)
	p.returns(unix.EFAULT, unix.SYS_WRITE, 0, math.MaxInt64, 5)
	p.returns(unix.EFAULT, unix.SYS_PREAD64, 0, bad, 5, 0)
	p.returns(unix.EBADF, unix.SYS_READ, 7, dataAt, 1)
	p.returns(unix.EBADF, unix.SYS_WRITE, minus1, dataAt, 1)
	p.open(1, "/new", unix.O_RDONLY)
	p.returns(unix.EBADF, unix.SYS_WRITE, 1, hello, 1)
	p.open(2, "/new", unix.O_WRONLY|unix.O_APPEND)
	p.returns(unix.EBADF, unix.SYS_READ, 2, dataAt, 1)
	p.returns(1, unix.SYS_PWRITE64, 2, hello, 1, 0) // appends, says pwrite(2)
	p.returns(11, unix.SYS_PREAD64, 0, dataAt, 100, 0)
	p.open(3, "/d", unix.O_RDONLY)
	p.returns(unix.EISDIR, unix.SYS_READ, 3, dataAt, 1)
	p.returns(unix.EISDIR, unix.SYS_PREAD64, 3, dataAt, 1, 0)
	p.open(unix.EISDIR, "/d", unix.O_WRONLY)
	p.open(4, "/f", unix.O_PATH)
	p.returns(unix.EBADF, unix.SYS_READ, 4, dataAt, 1)
	p.returns(0, unix.SYS_FSTAT, 4, dataAt)
	p.run()
}

// TestPartialTransfers reads and writes memory that ends in the middle.
func TestPartialTransfers(t *testing.T) {
	p := newFileProgram(t)
	const end = dataAt + dataLen
	p.open(0, "/f", unix.O_RDWR)
	p.returns(4, unix.SYS_READ, 0, end-4, 8)
	p.holds(end-4, "0123")
	p.returns(6, unix.SYS_READ, 0, dataAt, 100) // the position is behind what was read
	p.returns(4, unix.SYS_WRITE, 0, end-4, 8)
	p.returns(unix.EFAULT, unix.SYS_WRITE, 0, end, 8)
	p.returns(14, unix.SYS_LSEEK, 0, 0, unix.SEEK_CUR)
	p.run()
}

func TestVectors(t *testing.T) {
	p := newFileProgram(t)
	hello, world := p.str("hello"), p.str(" world")
	p.open(0, "/new", unix.O_RDWR|unix.O_CREAT)
	p.store(dataAt, hello, 5, bad, 0, world, 6)
	p.returns(11, unix.SYS_WRITEV, 0, dataAt, 3)
	p.store(dataAt, dataAt+100, 4, dataAt+200, 100)
	p.returns(11, unix.SYS_PREADV, 0, dataAt, 2, 0)
	p.holds(dataAt+100, "hell")
	p.holds(dataAt+200, "o world")
	p.returns(9, unix.SYS_PREADV2, 0, dataAt, 2, 2, 0, 0)
	p.returns(0, unix.SYS_PREADV2, 0, dataAt, 2, minus1, 0, 0) // at the position, the end
	p.returns(unix.EOPNOTSUPP, unix.SYS_PREADV2, 0, dataAt, 2, 0, 0, 0x800)
	p.returns(unix.EINVAL, unix.SYS_PREADV, 0, dataAt, 2, minus1)
	p.returns(104, unix.SYS_PWRITEV, 0, dataAt, 2, 3)
	p.returns(0, unix.SYS_READV, 0, dataAt, 0)
	p.returns(unix.EINVAL, unix.SYS_READV, 0, dataAt, 1025)
	p.returns(unix.EINVAL, unix.SYS_READV, 0, dataAt, minus1)
	p.returns(unix.EFAULT, unix.SYS_READV, 0, bad, 1)
	p.store(dataAt, dataAt, minus1)
	p.returns(unix.EINVAL, unix.SYS_READV, 0, dataAt, 1)
	p.run()
}

func TestPipeCalls(t *testing.T) {
	p := newFileProgram(t)
	hello := p.str("hello")
	p.returns(0, unix.SYS_PIPE2, dataAt, unix.O_CLOEXEC)
	p.check(func() {
		if p.word(dataAt) != 1<<32 {
			t.Errorf("descriptors %#x", p.word(dataAt))
		}
	})
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 0, unix.F_GETFD)
	p.returns(unix.ESPIPE, unix.SYS_LSEEK, 0, 0, 0)
	p.returns(unix.ESPIPE, unix.SYS_PWRITE64, 1, hello, 5, 0)
	p.returns(5, unix.SYS_WRITE, 1, hello, 5)
	p.returns(0, unix.SYS_IOCTL, 0, unix.TIOCINQ, dataAt+64)
	p.returns(5, unix.SYS_READ, 0, dataAt, 100)
	p.holds(dataAt, "hello")
	p.check(func() {
		if p.word(dataAt+64) != 5 {
			t.Errorf("FIONREAD: %d", p.word(dataAt+64))
		}
	})
	p.later(func() { p.write(1, "later") })
	p.returns(5, unix.SYS_READ, 0, dataAt, 100) // waits
	p.returns(0, unix.SYS_FCNTL, 0, unix.F_SETFL, unix.O_NONBLOCK)
	p.returns(unix.O_NONBLOCK, unix.SYS_FCNTL, 0, unix.F_GETFL)
	p.returns(unix.EAGAIN, unix.SYS_READ, 0, dataAt, 100)
	p.returns(vfs.PipeSize, unix.SYS_FCNTL, 0, unix.F_GETPIPE_SZ)
	p.returns(1<<17, unix.SYS_FCNTL, 1, unix.F_SETPIPE_SZ, 100000)
	p.returns(unix.EPERM, unix.SYS_FCNTL, 1, unix.F_SETPIPE_SZ, 1<<30)
	p.returns(0, unix.SYS_CLOSE, 1)
	p.returns(0, unix.SYS_READ, 0, dataAt, 100)
	p.returns(unix.EBADF, unix.SYS_CLOSE, 1)
	p.returns(unix.EINVAL, unix.SYS_PIPE2, dataAt, 1)
	p.returns(unix.EFAULT, unix.SYS_PIPE, bad)
	p.returns(1, unix.SYS_DUP, 0) // the failed call left no descriptors
	p.run()
}

// TestBlockingWrite writes more than a pipe holds while somebody reads.
func TestBlockingWrite(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_PIPE, dataAt)
	done := make(chan int)
	p.later(func() {
		r := p.file(0)
		total := 0
		for {
			buf := vfs.Bytes(make([]byte, 1000))
			n, err := r.Read(&buf)
			if err == unix.EAGAIN && total == 4*dataLen {
				break
			}
			total += int(n)
		}
		done <- total
	})
	p.store(dataAt, dataAt, dataLen, dataAt, dataLen, dataAt, dataLen, dataAt, dataLen)
	p.returns(4*dataLen, unix.SYS_WRITEV, 1, dataAt, 4)
	p.check(func() {
		if n := <-done; n != 4*dataLen {
			t.Errorf("%d bytes came through", n)
		}
	})
	p.run()
}

func TestSIGPIPEKills(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_PIPE, dataAt)
	p.returns(0, unix.SYS_CLOSE, 0)
	p.Call(unix.SYS_WRITE, 1, dataAt, 1)
	p.start()
	p.wait(task.Status{Signal: unix.SIGPIPE})
}

func TestSIGPIPEIgnored(t *testing.T) {
	p := newFileProgram(t)
	p.store(dataAt, task.SigIgn, 0, 0, 0)
	p.returns(0, unix.SYS_RT_SIGACTION, uint64(unix.SIGPIPE), dataAt, 0, 8)
	p.returns(0, unix.SYS_PIPE, dataAt)
	p.returns(0, unix.SYS_CLOSE, 0)
	p.returns(unix.EPIPE, unix.SYS_WRITE, 1, dataAt, 1)
	p.returns(0, unix.SYS_WRITE, 1, dataAt, 0)
	p.run()
}

func TestDescriptors(t *testing.T) {
	p := newFileProgram(t)
	p.open(0, "/f", unix.O_RDONLY)
	p.returns(1, unix.SYS_DUP, 0)
	p.returns(5, unix.SYS_DUP2, 0, 5)
	p.returns(5, unix.SYS_DUP2, 5, 5)
	p.returns(unix.EBADF, unix.SYS_DUP2, 9, 9)
	p.returns(unix.EBADF, unix.SYS_DUP2, 0, 1024)
	p.returns(unix.EINVAL, unix.SYS_DUP3, 5, 5, 0)
	p.returns(unix.EINVAL, unix.SYS_DUP3, 5, 6, 1)
	p.returns(6, unix.SYS_DUP3, 5, 6, unix.O_CLOEXEC)
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 6, unix.F_GETFD)
	p.returns(7, unix.SYS_FCNTL, 0, unix.F_DUPFD, 5)
	p.returns(8, unix.SYS_FCNTL, 0, unix.F_DUPFD_CLOEXEC, 5)
	p.returns(unix.EINVAL, unix.SYS_FCNTL, 0, unix.F_DUPFD, 1024)
	p.returns(unix.EINVAL, unix.SYS_FCNTL, 0, 77)
	p.returns(0, unix.SYS_FCNTL, 0, unix.F_SETFD, unix.FD_CLOEXEC)
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 0, unix.F_GETFD)
	p.returns(0, unix.SYS_FCNTL, 1, unix.F_GETFD)
	// They share the position.
	p.returns(3, unix.SYS_READ, 0, dataAt, 3)
	p.returns(3, unix.SYS_READ, 7, dataAt, 3)
	p.holds(dataAt, "345")
	p.returns(0, unix.SYS_IOCTL, 1, unix.TIOCINQ, dataAt)
	p.holds(dataAt, "\x04\x00\x00\x00")
	p.returns(0, unix.SYS_CLOSE_RANGE, 5, 7, 0)
	p.returns(unix.EBADF, unix.SYS_FCNTL, 6, unix.F_GETFD)
	p.returns(0, unix.SYS_CLOSE_RANGE, 1, minus1, unix.CLOSE_RANGE_CLOEXEC)
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 1, unix.F_GETFD)
	p.returns(unix.EINVAL, unix.SYS_CLOSE_RANGE, 2, 1, 0)
	p.returns(0, unix.SYS_IOCTL, 1, fionclex)
	p.returns(0, unix.SYS_FCNTL, 1, unix.F_GETFD)
	p.returns(unix.ENOTTY, unix.SYS_IOCTL, 1, unix.TCGETS, dataAt)
	p.store(dataAt, 1)
	p.returns(0, unix.SYS_IOCTL, 1, fionbio, dataAt)
	p.returns(unix.O_NONBLOCK|vfs.LargeFile, unix.SYS_FCNTL, 0, unix.F_GETFL)
	p.returns(unix.EFAULT, unix.SYS_IOCTL, 1, fionbio, bad)
	p.run()
}

func TestDescriptorLimit(t *testing.T) {
	p := newFileProgram(t)
	p.store(dataAt, 2, 4096)
	p.returns(0, unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, dataAt)
	p.open(0, "/f", unix.O_RDONLY)
	p.returns(unix.EMFILE, unix.SYS_PIPE, dataAt)
	p.open(1, "/f", unix.O_RDONLY)
	p.open(unix.EMFILE, "/new", unix.O_RDWR|unix.O_CREAT)
	p.returns(unix.EMFILE, unix.SYS_EVENTFD2, 0, 0)
	p.returns(unix.EMFILE, unix.SYS_DUP, 0)
	p.returns(0, unix.SYS_CLOSE, 1)
	p.open(unix.ENOENT, "/new", unix.O_RDONLY) // nothing was made for nothing
	p.run()
}

func TestLocks(t *testing.T) {
	p := newFileProgram(t)
	p.open(0, "/f", unix.O_RDONLY)
	p.open(1, "/f", unix.O_RDWR)
	p.returns(0, unix.SYS_FLOCK, 0, unix.LOCK_EX)
	p.returns(unix.EAGAIN, unix.SYS_FLOCK, 1, unix.LOCK_SH|unix.LOCK_NB)
	p.returns(0, unix.SYS_FLOCK, 0, unix.LOCK_UN)
	p.returns(0, unix.SYS_FLOCK, 1, unix.LOCK_SH)
	p.store(dataAt, unix.F_WRLCK, 0, 0, 0)
	p.returns(0, unix.SYS_FCNTL, 1, unix.F_SETLK, dataAt)
	p.returns(unix.EBADF, unix.SYS_FCNTL, 0, unix.F_SETLK, dataAt)
	p.returns(0, unix.SYS_FCNTL, 1, unix.F_GETLK, dataAt)
	p.holds(dataAt, "\x02\x00") // F_UNLCK
	p.returns(unix.EFAULT, unix.SYS_FCNTL, 1, unix.F_SETLKW, bad)
	p.run()
}

func TestEventfdCalls(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_EVENTFD2, 3, unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE)
	p.returns(8, unix.SYS_READ, 0, dataAt, 8)
	p.holds(dataAt, "\x01\x00")
	p.store(dataAt, 1<<40)
	p.returns(8, unix.SYS_WRITE, 0, dataAt, 8)
	p.store(dataAt, math.MaxUint64-1)
	p.returns(unix.EAGAIN, unix.SYS_WRITE, 0, dataAt, 8)
	p.store(dataAt, math.MaxUint64)
	p.returns(unix.EINVAL, unix.SYS_WRITE, 0, dataAt, 8)
	p.returns(unix.EINVAL, unix.SYS_READ, 0, dataAt, 7)
	p.returns(unix.ESPIPE, unix.SYS_PREAD64, 0, dataAt, 8, 0)
	p.returns(unix.EINVAL, unix.SYS_EVENTFD2, 0, 2)
	// A write that must wait, for a read from outside.
	p.returns(1, unix.SYS_EVENTFD, 5)
	p.store(dataAt, math.MaxUint64-3)
	p.later(func() {
		b := vfs.Bytes(make([]byte, 8))
		if _, err := p.file(1).Read(&b); err != nil {
			t.Error(err)
		}
	})
	p.returns(8, unix.SYS_WRITE, 1, dataAt, 8)
	p.returns(8, unix.SYS_READ, 1, dataAt, 8)
	p.holds(dataAt, "\xfc\xff\xff\xff\xff\xff\xff\xff")
	p.run()
}

func TestTimerfdCalls(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0, unix.SYS_TIMERFD_CREATE, unix.CLOCK_MONOTONIC, 0)
	p.returns(unix.EINVAL, unix.SYS_TIMERFD_CREATE, 77, 0)
	p.store(dataAt, 0, 0, 0, 1) // once, in a nanosecond
	p.returns(0, unix.SYS_TIMERFD_SETTIME, 0, 0, dataAt, dataAt+64)
	p.returns(8, unix.SYS_READ, 0, dataAt, 8)
	p.holds(dataAt, "\x01\x00")
	p.store(dataAt, 7, 0, 1000, 0)
	p.returns(0, unix.SYS_TIMERFD_SETTIME, 0, 0, dataAt, 0)
	p.returns(0, unix.SYS_TIMERFD_GETTIME, 0, dataAt)
	p.check(func() {
		if p.word(dataAt) != 7 || p.word(dataAt+16) != 999 {
			t.Errorf("interval %d, left %d", p.word(dataAt), p.word(dataAt+16))
		}
	})
	p.store(dataAt, 0, 0, 1, 0) // absolute, long ago
	p.returns(0, unix.SYS_TIMERFD_SETTIME, 0, unix.TFD_TIMER_ABSTIME, dataAt, 0)
	p.returns(8, unix.SYS_READ, 0, dataAt, 8)
	p.returns(unix.EINVAL, unix.SYS_TIMERFD_SETTIME, 0, 8, dataAt, 0)
	p.open(1, "/f", unix.O_RDONLY)
	p.returns(unix.EINVAL, unix.SYS_TIMERFD_GETTIME, 1, dataAt)
	p.run()
}

func TestMemfdCalls(t *testing.T) {
	p := newFileProgram(t)
	name := p.str("mem")
	p.returns(0, unix.SYS_MEMFD_CREATE, name, unix.MFD_ALLOW_SEALING)
	p.returns(3, unix.SYS_WRITE, 0, name, 3)
	p.returns(0, unix.SYS_FCNTL, 0, unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	p.returns(unix.F_SEAL_GROW, unix.SYS_FCNTL, 0, unix.F_GET_SEALS)
	p.returns(unix.EPERM, unix.SYS_WRITE, 0, name, 1)
	p.returns(unix.EINVAL, unix.SYS_MEMFD_CREATE, name, 0x8000)
	p.returns(unix.EINVAL, unix.SYS_MEMFD_CREATE, p.str(strings.Repeat("x", 250)), 0)
	p.returns(1, unix.SYS_MEMFD_CREATE, name, 0)
	p.returns(unix.EPERM, unix.SYS_FCNTL, 1, unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	p.run()
}

func TestSendfile(t *testing.T) {
	p := newFileProgram(t)
	p.open(0, "/f", unix.O_RDONLY)
	p.returns(0, unix.SYS_PIPE, dataAt) // 1, 2
	p.returns(4, unix.SYS_SENDFILE, 2, 0, 0, 4)
	p.returns(4, unix.SYS_LSEEK, 0, 0, unix.SEEK_CUR)
	p.store(dataAt, 8)
	p.returns(2, unix.SYS_SENDFILE, 2, 0, dataAt, 100)
	p.check(func() {
		if p.word(dataAt) != 10 {
			t.Errorf("offset %d", p.word(dataAt))
		}
	})
	p.returns(4, unix.SYS_LSEEK, 0, 0, unix.SEEK_CUR)
	p.returns(6, unix.SYS_READ, 1, dataAt, 100)
	p.holds(dataAt, "012389")
	p.returns(unix.EINVAL, unix.SYS_SENDFILE, 2, 1, 0, 4)
	p.returns(unix.EBADF, unix.SYS_SENDFILE, 0, 0, 0, 4)
	p.open(3, "/copy", unix.O_RDWR|unix.O_CREAT)
	p.returns(6, unix.SYS_SENDFILE, 3, 0, 0, 100)
	p.returns(6, unix.SYS_PREAD64, 3, dataAt, 100, 0)
	p.holds(dataAt, "456789")
	p.run()
}

// What a program asks to be copied may be gigabytes: a signal isn't kept waiting for them.
func TestCopiesEndForASignal(t *testing.T) {
	p := newFileProgram(t)
	defer p.proc.Space.Release()
	null, err := p.proc.Paths.Open(nil, "/dev/null", unix.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Call{Process: p.proc, Thread: p.proc.Leader()}
	copied := func() int64 {
		n, err := c.copyOut(null, 10*copyChunk, func(b []byte) (int, error) { return len(b), nil }, func(int) {})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	if n := copied(); n != 10*copyChunk {
		t.Errorf("without a signal: %d bytes", n)
	}
	if err := p.proc.SetAction(unix.SIGUSR1, task.Action{Handler: textAt}); err != nil {
		t.Fatal(err)
	}
	if err := p.proc.Process.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if n := copied(); n != copyChunk {
		t.Errorf("with a signal: %d bytes, want %d", n, copyChunk)
	}
}

func TestCopyFileRange(t *testing.T) {
	p := newFileProgram(t)
	p.open(0, "/f", unix.O_RDWR)
	p.open(1, "/copy", unix.O_RDWR|unix.O_CREAT)
	p.store(dataAt, 2, 5)
	p.returns(4, unix.SYS_COPY_FILE_RANGE, 0, dataAt, 1, dataAt+8, 4, 0)
	p.check(func() {
		if p.word(dataAt) != 6 || p.word(dataAt+8) != 9 {
			t.Errorf("offsets %d, %d", p.word(dataAt), p.word(dataAt+8))
		}
	})
	p.returns(9, unix.SYS_PREAD64, 1, dataAt, 100, 0)
	p.holds(dataAt, "\x00\x00\x00\x00\x002345")
	p.store(dataAt, 0, 2)
	p.returns(unix.EINVAL, unix.SYS_COPY_FILE_RANGE, 0, dataAt, 0, dataAt+8, 4, 0)
	p.open(2, "/d", unix.O_RDONLY)
	p.returns(unix.EISDIR, unix.SYS_COPY_FILE_RANGE, 2, 0, 1, 0, 4, 0)
	p.run()
}

func TestSplice(t *testing.T) {
	p := newFileProgram(t)
	p.open(0, "/f", unix.O_RDONLY)
	p.returns(0, unix.SYS_PIPE2, dataAt, unix.O_NONBLOCK) // 1, 2
	p.returns(0, unix.SYS_PIPE2, dataAt, unix.O_NONBLOCK) // 3, 4
	p.returns(unix.EAGAIN, unix.SYS_SPLICE, 1, 0, 4, 0, 100, 0)
	p.returns(10, unix.SYS_SPLICE, 0, 0, 2, 0, 100, 0)
	p.returns(10, unix.SYS_LSEEK, 0, 0, unix.SEEK_CUR)
	p.returns(7, unix.SYS_SPLICE, 1, 0, 4, 0, 7, 0)
	p.returns(7, unix.SYS_READ, 3, dataAt, 100)
	p.holds(dataAt, "0123456")
	p.open(5, "/copy", unix.O_RDWR|unix.O_CREAT)
	p.store(dataAt, 2)
	p.returns(3, unix.SYS_SPLICE, 1, 0, 5, dataAt, 100, 0)
	p.returns(5, unix.SYS_PREAD64, 5, dataAt, 100, 0)
	p.holds(dataAt, "\x00\x00789")
	p.returns(unix.EINVAL, unix.SYS_SPLICE, 0, 0, 5, 0, 1, 0)
	p.returns(unix.EINVAL, unix.SYS_SPLICE, 1, 0, 2, 0, 1, 0)
	p.returns(unix.ESPIPE, unix.SYS_SPLICE, 1, dataAt, 5, 0, 1, 0)
	p.returns(0, unix.SYS_SPLICE, 0, 0, 2, 0, 1, 0)
	p.returns(0, unix.SYS_CLOSE, 2)
	p.returns(0, unix.SYS_SPLICE, 1, 0, 4, 0, 100, 0)
	p.run()
}

// TestReadAndWriteDoNotAllocate calls the handlers as the dispatcher does.
func TestReadAndWriteDoNotAllocate(t *testing.T) {
	p := newFileProgram(t)
	r, w := p.fs.NewPipe()
	p.proc.FDs.Open(r, unix.O_RDONLY)
	p.proc.FDs.Open(w, unix.O_WRONLY)
	c := &Call{Process: p.proc}
	p.put(dataAt, dataAt+100, 100)
	call := func(do func() (uint64, error), fd uint64, args ...uint64) {
		c.Args = [6]uint64{fd}
		copy(c.Args[1:], args)
		if n, err := do(); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		call(c.write, 1, dataAt, 100)
		call(c.readv, 0, dataAt, 1)
		call(c.writev, 1, dataAt, 1)
		call(c.read, 0, dataAt+100, 100)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.run()
}
