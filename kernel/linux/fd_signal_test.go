package linux

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

func TestSignalsReadFromADescriptor(t *testing.T) {
	p := newProgram(t)
	usr1 := uint64(task.SetOf(unix.SIGUSR1))
	p.store(dataAt, usr1)
	p.returns(0, unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, dataAt, 0, 8)
	p.returns(unix.EINVAL, unix.SYS_SIGNALFD4, ^uint64(0), dataAt, 7, 0)
	p.returns(unix.EINVAL, unix.SYS_SIGNALFD4, ^uint64(0), dataAt, 8, 1)
	p.returns(unix.EFAULT, unix.SYS_SIGNALFD4, ^uint64(0), bad, 8, 0)
	p.returns(unix.EBADF, unix.SYS_SIGNALFD4, 9, dataAt, 8, 0)
	p.returns(0, unix.SYS_SIGNALFD4, ^uint64(0), dataAt, 8, unix.SFD_NONBLOCK)
	p.returns(unix.EAGAIN, unix.SYS_READ, 0, dataAt+64, 128)
	p.returns(0, unix.SYS_KILL, 1, uint64(unix.SIGUSR1))
	p.returns(unix.EINVAL, unix.SYS_READ, 0, dataAt+64, 127)
	p.returns(128, unix.SYS_READ, 0, dataAt+64, 1024)
	p.check(func() {
		if signo, pid := p.word(dataAt+64), p.word(dataAt+72); uint32(signo) != uint32(unix.SIGUSR1) || pid>>32 != 1 {
			t.Errorf("signal %#x, pid %#x", signo, pid>>32)
		}
	})
	p.returns(unix.EAGAIN, unix.SYS_READ, 0, dataAt+64, 1024)
	p.run()
}

func TestBarriersMustBeRegistered(t *testing.T) {
	p := newProgram(t)
	p.returns(membarrierKnown, unix.SYS_MEMBARRIER, membarrierQuery, 0, 0)
	for _, command := range []uint64{membarrierPrivateExpedited, membarrierSyncCore} {
		p.returns(unix.EPERM, unix.SYS_MEMBARRIER, command, 0, 0)
		p.returns(0, unix.SYS_MEMBARRIER, command<<1, 0, 0)
		p.returns(0, unix.SYS_MEMBARRIER, command, 0, 0)
	}
	p.returns(0, unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0)
	p.returns(unix.EINVAL, unix.SYS_MEMBARRIER, 1<<7, 0, 0)
	p.returns(unix.EINVAL, unix.SYS_MEMBARRIER, membarrierQuery, 1, 0)
	p.run()
}

// A timer's expirations that nobody has taken are one signal and a count.
func TestTimerOverrun(t *testing.T) {
	p := newProgram(t)
	p.store(dataAt, uint64(task.SetOf(unix.SIGUSR1)))
	p.store(dataAt+64, 0x1234, uint64(unix.SIGUSR1)|sigevSignal<<32)
	p.store(dataAt+128, 0, 1000, 0, 1000) // each µs
	p.store(dataAt+192, 0, 20e6)
	p.returns(0, unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, dataAt, 0, 8)
	p.returns(0, unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, dataAt+64, dataAt+256)
	p.returns(0, unix.SYS_TIMER_SETTIME, 0, 0, dataAt+128, 0)
	p.returns(0, unix.SYS_NANOSLEEP, dataAt+192, 0)
	p.returns(int(unix.SIGUSR1), unix.SYS_RT_SIGTIMEDWAIT, dataAt, dataAt+320, 0, 8)
	p.check(func() {
		code, overrun, value := int32(p.word(dataAt+328)), p.word(dataAt+336)>>32, p.word(dataAt+344)
		if code != task.SiTimer || overrun < 10000 || value != 0x1234 {
			t.Errorf("si_code %d, si_overrun %d, si_value %#x", code, overrun, value)
		}
	})
	p.returns(0, unix.SYS_TIMER_DELETE, 0)
	p.returns(unix.EINVAL, unix.SYS_TIMER_DELETE, 0)
	p.returns(unix.EOPNOTSUPP, unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC_RAW, 0, dataAt+256)
	p.returns(unix.EINVAL, unix.SYS_TIMER_CREATE, 99, 0, dataAt+256)
	p.run()
}
