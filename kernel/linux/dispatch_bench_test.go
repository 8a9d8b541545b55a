package linux

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSyscall measures the dispatcher with some hot calls, from the registers of the thread to its result.
func BenchmarkSyscall(b *testing.B) {
	for _, c := range []struct {
		name   string
		number uint64
		args   [4]uint64
	}{
		{"getpid", unix.SYS_GETPID, [4]uint64{}},
		{"clock_gettime-monotonic", unix.SYS_CLOCK_GETTIME, [4]uint64{unix.CLOCK_MONOTONIC, dataAt}},
		{"clock_gettime-realtime", unix.SYS_CLOCK_GETTIME, [4]uint64{unix.CLOCK_REALTIME, dataAt}},
		{"futex-wake", unix.SYS_FUTEX, [4]uint64{dataAt, futexWake | futexPrivate, 1}},
		{"futex-wait-EAGAIN", unix.SYS_FUTEX, [4]uint64{dataAt, futexWait | futexPrivate, 1}},
		{"rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, [4]uint64{0, 0, dataAt, sigsetSize}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := newProgram(b)
			defer p.run()
			t := p.proc.Leader()
			u := t.Regs
			save := *u
			b.ReportAllocs()
			for b.Loop() {
				u.AX, u.DI, u.SI, u.DX, u.R10 = c.number, c.args[0], c.args[1], c.args[2], c.args[3]
				syscall(t)
			}
			*u = save
		})
	}
}
