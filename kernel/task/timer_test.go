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
