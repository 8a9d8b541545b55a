package task

import "time"

// CPU time.
//
// DEVIATION: no clock is read on the way in and out of ring 3, which is the hottest path of the
// kernel. CPU time is instead the time that a thread has not been asleep, so it includes its waits
// for a free CPU. Sleeps are measured where they happen; they cost far more than two clock readings.

// sleeping notes the beginning of a sleep, in which the thread doesn't count at the gate. That is in one word with what was slept
// before, so that whoever reads it meanwhile counts each sleep once.
func (t *Thread) sleeping() {
	t.exit()
	t.slept.Store(t.slept.Load() - int64(time.Since(t.started)) - 1)
}

// awake notes the end of a sleep.
func (t *Thread) awake() {
	t.slept.Store(t.slept.Load() + int64(time.Since(t.started)) + 1)
}

// CPUTime returns the CPU time of the thread. It never goes back.
func (t *Thread) CPUTime() time.Duration {
	used := int64(0)
	for {
		slept, now := t.slept.Load(), int64(time.Since(t.started))
		if slept < 0 {
			used = -1 - slept // that of the beginning of the sleep
			break
		}
		if t.slept.Load() == slept { // it has not gone to sleep meanwhile
			used = now - slept
			break
		}
	}
	// The clock was read a little before the word was stored, so more may have been told already.
	for told := t.told.Load(); used > told; told = t.told.Load() {
		if t.told.CompareAndSwap(told, used) {
			return time.Duration(used)
		}
	}
	return time.Duration(t.told.Load())
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
