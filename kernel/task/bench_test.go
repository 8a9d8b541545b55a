package task

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkSignal measures a signal to oneself with its handler's frame, and the return from the handler.
func BenchmarkSignal(b *testing.B) {
	w := newWorld(b)
	t := w.bareThread()
	t.Regs.SP = stackAt
	t.Process.SetAction(unix.SIGUSR1, Action{Handler: handlerAt, Restorer: handlerAt, Flags: SaRestorer | SaSiginfo})
	b.ReportAllocs()
	for b.Loop() {
		t.SendThread(t, UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
		t.attend()
		t.Regs.SP += 8
		t.SignalReturn()
	}
}

// BenchmarkFutexPingPong measures two threads that wake each other in turn.
func BenchmarkFutexPingPong(b *testing.B) {
	w := newWorld(b)
	t, other := w.bareThread(), w.bareThread()
	p := t.Process
	turn := func(t *Thread, mine, theirs uint64, n uint32) {
		for {
			v, _ := p.Space.LoadUint32(mine)
			if v >= n {
				break
			}
			t.FutexWait(mine, v, futexAnyBits, time.Time{})
		}
		p.Space.StoreUint32(theirs, n)
		p.FutexWake(theirs, 1, futexAnyBits)
	}
	n := uint32(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := uint32(1); ; i++ {
			turn(other, dataAt, dataAt+64, i)
			if other.Wanted() {
				return
			}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		n++
		p.Space.StoreUint32(dataAt, n)
		p.FutexWake(dataAt, 1, futexAnyBits)
		turn(t, dataAt+64, dataAt+128, n)
	}
	other.attention.Or(attExit)
	p.Space.StoreUint32(dataAt, n+1)
	p.FutexWake(dataAt, 1, futexAnyBits)
	<-done
}
