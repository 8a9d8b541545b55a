package session

import (
	"fmt"
	"strings"
	"time"

	"wick/hostlink"
)

// Times are when the stages of a start arrived here, and what the guest says of its own, for wick run --timing. A time is zero
// as long as it has not come.
type Times struct {
	Ready  time.Time          // the guest's frame Ready
	Timing time.Time          // its frame Timing, which comes before all output
	Output time.Time          // the first output of the program
	Boot   hostlink.BootTimes // what Timing said
}

// note records when a frame has arrived, if it is the first of its kind.
func (t *Times) note(f hostlink.Frame) error {
	switch f.Type {
	case hostlink.Ready:
		setOnce(&t.Ready)
	case hostlink.Stdout, hostlink.Stderr:
		setOnce(&t.Output)
	case hostlink.Timing:
		boot, err := hostlink.ParseTiming(f.Payload)
		if err != nil {
			return err
		}
		setOnce(&t.Timing)
		t.Boot = boot
	}
	return nil
}

func setOnce(t *time.Time) {
	if t.IsZero() {
		*t = time.Now()
	}
}

// powerOn returns when the guest's clock was zero, by this host's clock: a frame that the guest sent at one of its stages has
// arrived here some time later, so that the earlier answer is the better one.
func (t *Times) powerOn() time.Time {
	at := t.Timing.Add(-nanoseconds(t.Boot.Program))
	if t.Boot.Ready != 0 && !t.Ready.IsZero() {
		if other := t.Ready.Add(-nanoseconds(t.Boot.Ready)); other.Before(at) {
			at = other
		}
	}
	return at
}

func nanoseconds(n uint64) time.Duration { return time.Duration(n) }

// Report returns lines that tell what the start took, of a wick that began at the first time and started QEMU at the
// second. The parts add up to the total. A program that has written nothing is left out.
func (t *Times) Report(wick, qemu time.Time) string {
	if t.Timing.IsZero() {
		return "timing: the program did not start\n"
	}
	powerOn := t.powerOn()
	guest := func(stage uint64) time.Time { return powerOn.Add(nanoseconds(stage)) }
	text := "timing, in milliseconds:\n"
	from := wick
	part := func(name string, until time.Time, what string) {
		line := fmt.Sprintf("%9.3f  %-9s  %s", milliseconds(until.Sub(from)), name, what)
		text += strings.TrimRight(line, " ") + "\n"
		from = until
	}
	part("wick", qemu, "until it started QEMU")
	part("QEMU", powerOn, "until the machine ran")
	part("firmware", guest(t.Boot.Stub), "until the first instruction of the kernel image")
	part("boot stub", guest(t.Boot.Ground), "into 64-bit mode")
	part("ground", guest(t.Boot.Runtime), "memory, interrupts, clock, other CPUs")
	part("runtime", guest(t.Boot.Kernel), "Go's runtime and the initialization of packages")
	part("kernel", guest(t.Boot.Program), "devices, network, file systems, loading the program")
	if !t.Output.IsZero() {
		part("program", t.Output, "until its first output was here")
	}
	end := from
	from = wick
	part("total", end, "")
	return text
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
