package task

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// FuzzSignalReturn gives rt_sigreturn arbitrary frames: whatever they hold, the registers that a thread enters ring 3
// with must be ones that can't harm the kernel, and a program is left or killed in good order.
func FuzzSignalReturn(f *testing.F) {
	good := make([]byte, ucontextSize)
	le.PutUint64(good[ucMcontext+8*frameRegIP:], textAt)
	le.PutUint64(good[ucMcontext+mcFpstate:], dataAt+4096)
	extended := make([]byte, fpstateSize(avx))
	le.PutUint32(extended[swMagic1:], magic1)
	le.PutUint32(extended[swExtended:], uint32(len(extended)))
	le.PutUint64(extended[swFeatures:], ^uint64(0))
	le.PutUint32(extended[swSize:], 832)
	le.PutUint32(extended[832:], magic2)
	f.Add(good, []byte("\x7f\x03"), uint64(dataAt))
	f.Add(good, extended, uint64(dataAt))
	f.Add(make([]byte, ucontextSize), []byte{}, uint64(dataAt+dataLen-100))
	f.Add([]byte{1}, []byte{2}, uint64(1<<63))
	f.Fuzz(func(t *testing.T, context, fx []byte, sp uint64) {
		w := newWorld(t)
		w.opts.Extent = avx
		th := w.bareThread()
		u := th.Regs
		w.space.CopyOut(dataAt, context[:min(len(context), ucontextSize)])
		w.space.CopyOut(dataAt+4096, fx[:min(len(fx), 4096)])
		u.SP, u.Flags = sp, flagIF|flag1
		fs, gs, root := u.FSBase, u.GSBase, u.Root
		th.SignalReturn()
		if th.Process.Exiting() {
			if th.Process.status.Signal != unix.SIGSEGV || th.attend() {
				t.Errorf("status %+v", th.Process.status)
			}
			return
		}
		mxcsr, header := u.MXCSR(), u.Image[regs.LegacySize:leastExtended]
		if le.Uint64(header)&^avx.Features != 0 || !bytes.Equal(header[8:], make([]byte, 56)) {
			t.Errorf("XRSTOR would fault: header %x", header)
		}
		if u.Flags&^userFlags != flagIF|flag1 || u.IP >= lowerHalf || mxcsr>>16 != 0 || th.mask&unblockable != 0 ||
			u.FSBase != fs || u.GSBase != gs || u.Root != root {
			t.Errorf("flags %#x, IP %#x, MXCSR %#x, mask %#x, bases %#x %#x", u.Flags, u.IP, mxcsr, th.mask, u.FSBase, u.GSBase)
		}
	})
}

// FuzzRobustList gives the end of a thread arbitrary robust lists.
func FuzzRobustList(f *testing.F) {
	f.Add(uint64(dataAt), uint64(dataAt+64), uint64(32), uint64(dataAt+128), uint64(dataAt), uint32(1|futexWaiters))
	f.Add(uint64(dataAt), uint64(dataAt), ^uint64(0), ^uint64(0), uint64(1), uint32(1))
	f.Fuzz(func(t *testing.T, head, next, offset, busy, link uint64, lock uint32) {
		w := newWorld(t)
		th := w.bareThread()
		w.space.PutUint64(head, next)
		w.space.PutUint64(head+8, offset)
		w.space.PutUint64(head+16, busy)
		w.space.PutUint64(next, link)
		w.space.PutUint32(next+offset, lock)
		th.SetRobustList(head)
		th.releaseRobust()
	})
}
