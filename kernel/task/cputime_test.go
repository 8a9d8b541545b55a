package task

import (
	"testing"
	"time"
)

func TestCPUTimeNeverGoesBack(t *testing.T) {
	w := newWorld(t)
	th := newProcess(newFamily(1), Options{CPU: w.cpu, Space: w.space}).leader
	defer w.space.Release()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			th.sleeping()
			for start := time.Now(); time.Since(start) < time.Microsecond; {
			}
			th.awake()
		}
	}()
	last := time.Duration(0)
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		now := th.CPUTime()
		if now < last {
			t.Fatalf("%v after %v", now, last)
		}
		last = now
	}
	close(stop)
	<-stopped
}
