package main

import (
	"bytes"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

var clocks = []struct {
	name string
	id   int32
}{
	{"REALTIME", unix.CLOCK_REALTIME}, {"MONOTONIC", unix.CLOCK_MONOTONIC}, {"MONOTONIC_RAW", unix.CLOCK_MONOTONIC_RAW},
	{"REALTIME_COARSE", unix.CLOCK_REALTIME_COARSE}, {"MONOTONIC_COARSE", unix.CLOCK_MONOTONIC_COARSE},
	{"BOOTTIME", unix.CLOCK_BOOTTIME}, {"PROCESS_CPUTIME_ID", unix.CLOCK_PROCESS_CPUTIME_ID},
	{"THREAD_CPUTIME_ID", unix.CLOCK_THREAD_CPUTIME_ID},
}

func now(t *check.T, clock int32) time.Duration {
	var ts unix.Timespec
	t.Must(unix.ClockGettime(clock, &ts))
	if ts.Nsec < 0 || ts.Nsec > 999999999 {
		t.Errorf("clock %d tells %d ns", clock, ts.Nsec)
	}
	return time.Duration(ts.Nano())
}

func clocksRun(t *check.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, c := range clocks {
		before := now(t, c.id)
		for spun := time.Now(); time.Since(spun) < 15*time.Millisecond; {
		}
		if after := now(t, c.id); after <= before {
			t.Errorf("CLOCK_%s stood at %v for 15 ms of work", c.name, before)
		}
		var res unix.Timespec
		t.Must(unix.ClockGetres(c.id, &res))
		if res.Nano() < 1 || res.Nano() > 20e6 {
			t.Errorf("CLOCK_%s has a resolution of %d ns", c.name, res.Nano())
		}
	}
}

// clocksAgree measures the same stretch with several clocks. Each reading stands between two of the first clock, so that
// it doesn't matter how long the thread isn't run in between.
func clocksAgree(t *check.T) {
	const slack = time.Millisecond // clocks may be slewed against each other
	for _, id := range []int32{unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_BOOTTIME} {
		before := now(t, unix.CLOCK_REALTIME)
		start := now(t, id)
		after := now(t, unix.CLOCK_REALTIME)
		time.Sleep(50 * time.Millisecond)
		least := now(t, unix.CLOCK_REALTIME) - after
		passed := now(t, id) - start
		most := now(t, unix.CLOCK_REALTIME) - before
		if passed < least-slack || passed > most+slack {
			t.Errorf("clock %d tells %v for what took %v to %v", id, passed, least, most)
		}
	}
	var tv unix.Timeval
	t.Must(unix.Gettimeofday(&tv))
	if d := now(t, unix.CLOCK_REALTIME) - time.Duration(tv.Nano()); d < 0 || d > time.Minute {
		t.Errorf("gettimeofday is %v behind CLOCK_REALTIME", d)
	}
}

func clockErrors(t *check.T) {
	var ts unix.Timespec
	t.WantErr("clock 99", unix.ClockGettime(99, &ts), unix.EINVAL)
	t.WantErr("a second of 10⁹ ns", unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &unix.Timespec{Nsec: 1e9}, nil), unix.EINVAL)
	t.WantErr("a negative sleep", unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &unix.Timespec{Sec: -1}, nil), unix.EINVAL)
}

// monotonic reads the clock on several threads, each of which tells the next what it saw.
func monotonic(t *check.T) {
	var mu sync.Mutex
	var last time.Duration // guarded by mu
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range 5000 {
				mu.Lock()
				if v := now(t, unix.CLOCK_MONOTONIC); v < last {
					t.Errorf("the clock went back by %v", last-v)
				} else {
					last = v
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// runtimeClock reads the clock of Go's runtime, which is that of the vDSO, and by a system call, on several threads: none reads
// less than what has been read before.
func runtimeClock(t *check.T) {
	var latest atomic.Int64
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for i := range 20000 {
				seen := latest.Load()
				var v int64
				if (i/3+n)%2 == 0 {
					v = time.Now().UnixNano()
				} else {
					v = int64(now(t, unix.CLOCK_REALTIME))
				}
				if v < seen {
					t.Errorf("the clock went back by %d ns", seen-v)
				}
				for seen < v && !latest.CompareAndSwap(seen, v) {
					seen = latest.Load()
				}
			}
		})
	}
	wg.Wait()
}

// runtimeClockWithoutACall compares the least time that it takes to read the clock, in many tries.
func runtimeClockWithoutACall(t *check.T) {
	quickest := func(read func()) time.Duration {
		least := time.Hour
		for range 2000 {
			start := time.Now()
			read()
			least = min(least, time.Since(start))
		}
		return least
	}
	byRuntime := quickest(func() { time.Now() })
	byCall := quickest(func() { now(t, unix.CLOCK_MONOTONIC) })
	if byRuntime*2 > byCall {
		t.Errorf("the runtime reads the clock in %v, a system call in %v", byRuntime, byCall)
	}
}

func sleep(t *check.T) {
	for _, d := range []time.Duration{0, time.Microsecond, time.Millisecond, 30 * time.Millisecond} {
		start := now(t, unix.CLOCK_MONOTONIC)
		ts := unix.NsecToTimespec(int64(d))
		for {
			err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, &ts)
			if err != unix.EINTR {
				t.Must(err)
				break
			}
		}
		if took := now(t, unix.CLOCK_MONOTONIC) - start; took < d {
			t.Errorf("a sleep of %v took %v", d, took)
		}
	}
	for _, clock := range []int32{unix.CLOCK_MONOTONIC, unix.CLOCK_REALTIME} {
		until := unix.NsecToTimespec(int64(now(t, clock) + 20*time.Millisecond))
		for unix.ClockNanosleep(clock, unix.TIMER_ABSTIME, &until, nil) == unix.EINTR {
		}
		if v := now(t, clock); v < time.Duration(until.Nano()) {
			t.Errorf("clock %d: woke at %v, before %v", clock, v, until.Nano())
		}
	}
	past := unix.NsecToTimespec(1)
	t.WantErr("sleep until the past", unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &past, nil), nil)
}

// cpuTime: work costs processor time, sleep doesn't.
func cpuTime(t *check.T) {
	// Several times, because the runtime may have work of its own, which may have to wait for a processor.
	slept := time.Hour
	for range 5 {
		before := now(t, unix.CLOCK_PROCESS_CPUTIME_ID)
		time.Sleep(200 * time.Millisecond)
		slept = min(slept, now(t, unix.CLOCK_PROCESS_CPUTIME_ID)-before)
	}
	if slept > 150*time.Millisecond {
		t.Errorf("200 ms of sleep cost %v", slept)
	}
	var usage unix.Rusage
	t.Must(unix.Getrusage(unix.RUSAGE_SELF, &usage))
	total := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if cpu := now(t, unix.CLOCK_PROCESS_CPUTIME_ID); total > cpu+time.Second || total < cpu/2-time.Second {
		t.Errorf("getrusage tells %v, the clock %v", total, cpu)
	}
}

func plausibleDate(t *check.T) {
	if year := time.Now().Year(); year < 2024 || year > 2100 {
		t.Errorf("it is the year %d", year)
	}
	check.Equal(t, "time zone", time.Now().UTC().Location().String(), "UTC")
}

func getrandom(t *check.T) {
	for _, size := range []int{0, 1, 16, 256, 5000, 100000} {
		a, b := make([]byte, size), make([]byte, size)
		n, err := unix.Getrandom(a, 0)
		t.Must(err)
		check.Equal(t, "bytes", n, size)
		_, err = unix.Getrandom(b, unix.GRND_NONBLOCK)
		t.Must(err)
		if size >= 16 && bytes.Equal(a, b) {
			t.Errorf("twice the same %d bytes", size)
		}
		ones := 0
		for _, v := range a {
			ones += bits.OnesCount8(v)
		}
		// Six standard deviations of a fair coin are 3·√bits.
		if d := ones - size*4; size >= 256 && d*d > 9*8*size {
			t.Errorf("%d of %d bits are set", ones, size*8)
		}
	}
	_, err := unix.Getrandom(make([]byte, 8), unix.GRND_RANDOM)
	t.Must(err)
	_, err = unix.Getrandom(make([]byte, 8), 0x100)
	t.WantErr("bad flags", err, unix.EINVAL)
}

// The clock can be asked how it is steered.
func clockSteering(t *check.T) {
	var b unix.Timex
	state, err := unix.Adjtimex(&b)
	t.Must(err)
	if state < unix.TIME_OK || state > unix.TIME_ERROR {
		t.Errorf("state %d", state)
	}
	now := time.Now()
	if told := time.Unix(b.Time.Sec, 0); told.Before(now.Add(-2*time.Minute)) || told.After(now.Add(2*time.Minute)) {
		t.Errorf("it is %v, and told is %v", now, told)
	}
	if b.Tick < 9000 || b.Tick > 11000 || b.Maxerror < 0 {
		t.Errorf("tick %d µs, error %d µs", b.Tick, b.Maxerror)
	}
	_, err = unix.ClockAdjtime(unix.CLOCK_MONOTONIC, &b)
	t.WantErr("the monotonic clock", err, unix.EOPNOTSUPP)
	_, err = unix.ClockAdjtime(1000, &b)
	t.WantErr("no clock", err, unix.EINVAL)
}
