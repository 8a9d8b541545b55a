package task

import "time"

// CPU time.
//
// DEVIATION: no clock is read on the way in and out of ring 3, which is the hottest path of the
// kernel. CPU time is instead the time that a thread has not been asleep, so it includes its waits
// for a free CPU. Sleeps are measured where they happen; they cost far more than two clock readings.

// sleeping notes the beginning of a sleep.
func (t *Thread) sleeping() {
	t.sleepStart.Store(max(1, int64(time.Since(t.Process.started))))
}

// awake notes the end of a sleep.
func (t *Thread) awake() {
	t.sleptNS.Add(int64(time.Since(t.Process.started)) - t.sleepStart.Load())
	t.sleepStart.Store(0)
}

// CPUTime returns the CPU time of the thread.
func (t *Thread) CPUTime() time.Duration {
	used := int64(time.Since(t.started)) - t.sleptNS.Load()
	if start := t.sleepStart.Load(); start != 0 {
		used -= int64(time.Since(t.Process.started)) - start
	}
	return time.Duration(max(0, used))
}

// CPUTime returns the CPU time of all threads that the process has and had.
func (p *Process) CPUTime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cpuTimeLocked()
}

func (p *Process) cpuTimeLocked() time.Duration {
	used := p.pastCPU
	for _, t := range p.threads {
		used += t.CPUTime()
	}
	return used
}
