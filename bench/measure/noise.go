package measure

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"wick/bench/guest"
)

// Noise is what others did while something was measured, in percent of all CPUs.
type Noise struct {
	Other float64 // CPU time used by processes that have no part in it
	Steal float64 // time that the hypervisor beneath this host gave to others
}

// Sum is both together.
func (n Noise) Sum() float64 { return n.Other + n.Steal }

// usage is CPU time up to a moment.
type usage struct {
	at                time.Time
	busy, steal, ours time.Duration
}

// cpuUsage reads the CPU time of the host and what of it is ours: this process and the given one of QEMU, if any.
func cpuUsage(vm *guest.Process) (usage, error) {
	u := usage{at: time.Now()}
	var self unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &self); err != nil {
		return u, err
	}
	u.ours = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	if vm != nil {
		cpu, err := vm.CPU()
		if err != nil {
			return u, err
		}
		u.ours += cpu
	}
	return u, u.readHost()
}

// readHost reads the first line of /proc/stat, in ticks of 10 ms [proc_stat(5)].
func (u *usage) readHost() error {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return err
	}
	var user, nice, system, idle, wait, irq, softIRQ, steal int64
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait, &irq, &softIRQ, &steal); err != nil {
		return fmt.Errorf("/proc/stat: %w", err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on amd64
	u.busy = time.Duration(user+nice+system+irq+softIRQ) * tick
	u.steal = time.Duration(steal) * tick
	return nil
}

// noise tells what others did between two moments.
func noise(from, to usage) Noise {
	percent := 100 / (to.at.Sub(from.at).Seconds() * float64(runtime.NumCPU()))
	others := (to.busy - from.busy) - (to.ours - from.ours)
	return Noise{
		Other: max(0, others.Seconds()) * percent,
		Steal: (to.steal - from.steal).Seconds() * percent,
	}
}

// Quiet says when a host is quiet enough to measure, and how long to wait for that.
type Quiet struct {
	Percent  float64       // of all CPUs used by others; 0: measure at once
	Patience time.Duration // then measure all the same
}

// wait waits until others leave the host alone.
func (q Quiet) wait(vm *guest.Process) error {
	if q.Percent <= 0 {
		return nil
	}
	for start := time.Now(); time.Since(start) < q.Patience; {
		before, err := cpuUsage(vm)
		if err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond) // a sample, not a wait for an event
		after, err := cpuUsage(vm)
		if err != nil {
			return err
		}
		if noise(before, after).Sum() <= q.Percent {
			return nil
		}
	}
	return nil
}
