package task

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDisarmedTimerSendsNothing checks that when a call that disarms the timer has returned, the signal is pending or will
// never come: a program may take its handler away then.
func TestDisarmedTimerSendsNothing(t *testing.T) {
	w := newWorld(t)
	th := w.bareThread()
	p := th.Process
	th.SetMask(SetOf(unix.SIGALRM))
	late := 0
	for i := range 20000 {
		p.SetITimer(ITimerReal, time.Duration(1+i%20)*time.Microsecond, 0)
		for spin := 0; spin < i%7; spin++ {
			runtime.Gosched()
		}
		p.SetITimer(ITimerReal, 0, 0)
		before := th.Pending()
		for range 3 {
			runtime.Gosched()
		}
		if th.Pending() != before {
			late++
		}
		p.mu.Lock()
		p.pending.flush(SetOf(unix.SIGALRM))
		p.mu.Unlock()
	}
	if late > 0 {
		t.Errorf("%d signals came after the timer had been disarmed", late)
	}
}

// Who disarms a timer takes its signal off the queues of all threads. One that sleeps meanwhile, while another has still to take a
// signal of the process, must be woken by the next one of its own.
func TestDisarmedTimerLeavesSleepersToTheirSignals(t *testing.T) {
	w := newWorld(t)
	leader, sleeper := w.bareThread(), w.bareThread()
	p := leader.Process
	p.mu.Lock()
	p.actions[unix.SIGALRM].Handler = handlerAt
	p.actions[unix.SIGUSR1].Handler = handlerAt
	p.actions[unix.SIGUSR2].Handler = handlerAt
	p.mu.Unlock()
	leader.SetMask(SetOf(unix.SIGALRM))
	sleeper.SetMask(SetOf(unix.SIGALRM))
	end := make(chan error)
	go func() { end <- sleeper.Pause(time.Time{}) }()
	for sleeper.slept.Load() >= 0 { // it sleeps when that is negative
		runtime.Gosched()
	}
	p.SetITimer(ITimerReal, time.Microsecond, 0)
	for !leader.Pending().Has(unix.SIGALRM) {
		runtime.Gosched()
	}
	if err := p.SendInfo(Info{Signo: int32(unix.SIGUSR1), Code: SiUser}); err != nil { // the leader is told
		t.Fatal(err)
	}
	p.SetITimer(ITimerReal, 0, 0)
	if _, ok := leader.TakeSignal(SetOf(unix.SIGUSR1)); !ok {
		t.Fatal("the leader has not got SIGUSR1")
	}
	if err := sleeper.SendInfo(Info{Signo: int32(unix.SIGUSR2), Code: SiUser}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-end:
		if err != unix.EINTR {
			t.Errorf("the sleep ended with %v, want EINTR", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a signal of its own doesn't wake the sleeper")
	}
}
