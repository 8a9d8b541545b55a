package task

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/timers"
)

// Clock is what a Timer counts.
type Clock uint8

// Clocks of timers.
const (
	WallClock     Clock = iota // time since the process was made
	RealtimeClock              // time of day, since 1970
	ProcessClock               // CPU time of the process
	ThreadClock                // CPU time of a thread
)

// Event says what a Timer does when it expires: struct sigevent, sigevent(3).
type Event struct {
	Signal unix.Signal // 0: nothing, SIGEV_NONE
	Code   int32       // si_code: SiTimer, or SiKernel for the timers of setitimer
	Value  uint64      // si_value
	Thread *Thread     // who gets the signal; nil: the process
}

// maxTimers bounds the timers of a process, as RLIMIT_SIGPENDING does in Linux.
const maxTimers = maxQueued

// cpuTick is how often at most the clock of a timer that counts CPU time is looked at: that of Linux with HZ=250.
const cpuTick = 4 * time.Millisecond

// Timer is a timer of timer_create(2) or setitimer(2). Process.mu guards it.
//
// Its signal is pending once at most: a timer with an interval goes on when its signal is taken, and the expirations that were
// missed until then are the overrun, timer_getoverrun(2).
type Timer struct {
	process *Process
	id      int
	clock   Clock
	of      *Thread // whose CPU time it counts, with ThreadClock
	event   Event

	timer    *timers.Timer
	setting  uint64        // counts the settings, so that a late expiry is told from its successor's
	armed    bool          // it expires at next, or has expired and its signal is pending
	next     time.Duration // on its clock
	interval time.Duration
	pending  bool
	overrun  int // of the signal taken last
}

// NewTimer makes a timer, disarmed. of is the thread whose CPU time ThreadClock counts. Without an event it sends SIGALRM
// with its id for the value. unix.EAGAIN means that there are too many.
func (p *Process) NewTimer(clock Clock, of *Thread, event *Event) (id int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.timers) >= maxTimers {
		return 0, unix.EAGAIN
	}
	for p.timers[p.nextTimer] != nil {
		p.nextTimer = (p.nextTimer + 1) & math.MaxInt32
	}
	id = p.nextTimer
	p.nextTimer = (id + 1) & math.MaxInt32
	if p.timers == nil {
		p.timers = make(map[int]*Timer)
	}
	if event == nil {
		event = &Event{Signal: unix.SIGALRM, Code: SiTimer, Value: uint64(id)}
	}
	p.timers[id] = &Timer{process: p, id: id, clock: clock, of: of, event: *event}
	return id, nil
}

// DeleteTimer removes a timer, and its signal if that is pending; unix.EINVAL if there is none.
func (p *Process) DeleteTimer(id int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.timers[id]
	if t == nil {
		return unix.EINVAL
	}
	t.disarmLocked()
	delete(p.timers, id)
	return nil
}

// SetTimer arms a timer to expire after value, or, if absolute, when its clock shows value, and then each interval; value 0
// disarms it. A signal of the old setting that is pending is forgotten. It returns what was left, and the interval, of
// the old setting; unix.EINVAL if there is no such timer.
func (p *Process) SetTimer(id int, value, interval time.Duration, absolute bool) (left, oldInterval time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.timers[id]
	if t == nil {
		return 0, 0, unix.EINVAL
	}
	left, oldInterval = t.leftLocked(), t.interval
	t.setLocked(value, interval, absolute)
	return left, oldInterval, nil
}

// Timer returns what is left until a timer expires, 0 if it isn't armed, and its interval; unix.EINVAL if there is none.
func (p *Process) Timer(id int) (left, interval time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.timers[id]
	if t == nil {
		return 0, 0, unix.EINVAL
	}
	return t.leftLocked(), t.interval, nil
}

// Overrun returns how many expirations the signal of a timer that was taken last stood for, besides its own.
func (p *Process) Overrun(id int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.timers[id]
	if t == nil {
		return 0, unix.EINVAL
	}
	return t.overrun, nil
}

// TimerClock returns the clock of a timer; unix.EINVAL if there is none.
func (p *Process) TimerClock(id int) (Clock, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.timers[id]
	if t == nil {
		return 0, unix.EINVAL
	}
	return t.clock, nil
}

// ITimer is one of the three timers that each process has, setitimer(2).
type ITimer int

// Timers of setitimer.
const (
	ITimerReal ITimer = iota
	ITimerVirtual
	ITimerProf
	numITimers
)

// initITimers makes the timers of setitimer. All CPU time counts as the program's own (see CPUTime), so those for it
// and for that of its system calls, too, count the same.
func (p *Process) initITimers() {
	for i, sig := range [numITimers]unix.Signal{unix.SIGALRM, unix.SIGVTALRM, unix.SIGPROF} {
		clock := ProcessClock
		if ITimer(i) == ITimerReal {
			clock = WallClock
		}
		p.itimers[i] = Timer{process: p, clock: clock, event: Event{Signal: sig, Code: SiKernel}}
	}
}

// SetITimer is SetTimer of a timer of setitimer.
func (p *Process) SetITimer(which ITimer, value, interval time.Duration) (left, oldInterval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.itimers[which]
	left, oldInterval = t.leftLocked(), t.interval
	t.setLocked(value, interval, false)
	return left, oldInterval
}

// ITimer is Timer of a timer of setitimer.
func (p *Process) ITimer(which ITimer) (left, interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.itimers[which]
	return t.leftLocked(), t.interval
}

// nowLocked reads the timer's clock.
func (t *Timer) nowLocked() time.Duration {
	switch t.clock {
	case ProcessClock:
		return t.process.cpuTimeLocked()
	case ThreadClock:
		return t.of.CPUTime()
	case RealtimeClock:
		return time.Duration(time.Now().UnixNano())
	}
	return time.Since(t.process.started)
}

func (t *Timer) setLocked(value, interval time.Duration, absolute bool) {
	t.disarmLocked()
	t.interval, t.overrun = interval, 0
	if value == 0 || t.process.exiting {
		return
	}
	t.armed, t.next = true, value
	if !absolute {
		t.next += t.nowLocked()
	}
	t.startLocked(0)
}

// disarmLocked makes sure that the timer does nothing more, and that no signal of it is pending.
func (t *Timer) disarmLocked() {
	t.setting++
	t.armed = false
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.pending {
		t.process.forgetTimerLocked(t)
	}
}

// startLocked waits for the next expiry. A clock of CPU time can't say when that is, but not before it would be if all
// threads ran on CPUs of their own. It waits at least as long as told.
func (t *Timer) startLocked(atLeast time.Duration) {
	if t.event.Signal == 0 {
		return // its program looks at what is left
	}
	wait := t.next - t.nowLocked()
	if t.clock == ProcessClock {
		wait /= time.Duration(max(1, len(t.process.threads)))
	}
	if t.clock == ProcessClock || t.clock == ThreadClock {
		atLeast = cpuTick
	}
	setting := t.setting
	t.timer = timers.AfterFunc(max(wait, atLeast), func() { t.expire(setting) })
}

// expire sends the signal, if the setting is still in force.
func (t *Timer) expire(setting uint64) {
	p := t.process
	p.mu.Lock()
	defer p.signalled()
	defer p.mu.Unlock()
	switch {
	case t.setting != setting || p.exiting:
		return
	case t.clock == ThreadClock && p.threads[t.of.TID] != t.of:
		t.armed = false // its clock stands still
		return
	case t.nowLocked() < t.next:
		t.startLocked(0)
		return
	}
	// Under the lock: when a call that disarms the timer has returned, its signal has been sent or never will be.
	e := &t.event
	info := Info{Signo: int32(e.Signal), Code: e.Code, timer: t}
	if e.Code == SiTimer {
		info.Data = [4]uint64{uint64(uint32(t.id)), e.Value}
	}
	t.pending = true
	if p.sendLocked(nil, e.Thread, info) != nil || !p.heldLocked(t) {
		t.takenLocked(cpuTick) // nobody gets the signal, so nobody but this slows down a tiny interval
	}
}

// takenLocked goes on with the next interval after the timer's signal has been taken or forgotten, in at least the given
// time. It returns the overrun.
func (t *Timer) takenLocked(atLeast time.Duration) int {
	if !t.pending {
		return 0
	}
	t.pending = false
	if t.interval == 0 {
		t.armed, t.overrun = false, 0
		return 0
	}
	missed := max(0, (t.nowLocked()-t.next)/t.interval)
	t.next += (missed + 1) * t.interval
	t.overrun = int(min(missed, math.MaxInt32))
	t.startLocked(atLeast)
	return t.overrun
}

// leftLocked never reports 0 for a timer that is armed, unless it has expired for the last time.
func (t *Timer) leftLocked() time.Duration {
	if !t.armed {
		return 0
	}
	left := t.next - t.nowLocked()
	if left <= 0 && t.interval > 0 {
		left = t.interval - (-left)%t.interval
	}
	if left <= 0 && (t.pending || t.event.Signal == 0) {
		return 0
	}
	return max(left, time.Microsecond)
}

// forgetTimerLocked takes the signal of a timer off the queues.
func (p *Process) forgetTimerLocked(t *Timer) {
	t.pending = false
	p.pending.drop(t)
	for _, th := range p.threads {
		th.pending.drop(t)
		if !th.deliverableLocked() {
			th.attention.And(^uint32(attSignal)) // never the other way round: one that sleeps has to be notified
		}
	}
}

// heldLocked tells whether the signal of a timer that was sent is pending: an ignored one isn't.
func (p *Process) heldLocked(t *Timer) bool {
	if th := t.event.Thread; th != nil {
		return th.pending.holds(t)
	}
	return p.pending.holds(t)
}

// stopTimers ends the timers with their process.
func (p *Process) stopTimers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.itimers {
		p.itimers[i].disarmLocked()
	}
	for _, t := range p.timers {
		t.disarmLocked()
	}
	p.timers = nil
}
