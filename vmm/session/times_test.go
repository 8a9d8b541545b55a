package session

import (
	"strings"
	"testing"
	"time"

	"wick/hostlink"
)

func TestReport(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(ms float64) time.Time { return began.Add(time.Duration(ms * 1e6)) }
	boot := hostlink.BootTimes{Stub: 2e6, Ground: 2.5e6, Runtime: 10e6, Kernel: 15e6, Ready: 20e6, Program: 40e6}
	const upToProgram = "timing, in milliseconds:\n" +
		"    5.000  wick       until it started QEMU\n" +
		"   25.000  QEMU       until the machine ran\n" +
		"    2.000  firmware   until the first instruction of the kernel image\n" +
		"    0.500  boot stub  into 64-bit mode\n" +
		"    7.500  ground     memory, interrupts, clock, other CPUs\n" +
		"    5.000  runtime    Go's runtime and the initialization of packages\n" +
		"   25.000  kernel     devices, network, file systems, loading the program\n"
	const full = upToProgram + "    5.500  program    until its first output was here\n   75.500  total\n"
	unready := boot
	unready.Ready = 0
	for _, c := range []struct {
		name  string
		times Times
		want  string
	}{
		{"Ready arrived at once", Times{Ready: at(50), Timing: at(70.3), Output: at(75.5), Boot: boot}, full},
		{"Timing arrived at once", Times{Ready: at(50.3), Timing: at(70), Output: at(75.5), Boot: boot}, full},
		{"Ready is not known", Times{Ready: at(49), Timing: at(70), Output: at(75.5), Boot: unready}, full},
		{"no output", Times{Ready: at(50), Timing: at(70), Boot: boot}, upToProgram + "   70.000  total\n"},
		{"no program", Times{Ready: at(50)}, "timing: the program did not start\n"},
	} {
		if got := c.times.Report(began, at(5)); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}

// TestTimesArePrintedAfterOutput: the report comes once, behind the first output.
func TestTimesArePrintedAfterOutput(t *testing.T) {
	boot := hostlink.BootTimes{Program: 7}
	var told []Times
	g := newGuest(t, func(s *Session) {
		s.OnOutput = func(times Times) string {
			told = append(told, times)
			return "report after " + written(s) + "\n"
		}
	})
	g.ready()
	g.send(hostlink.Timing, string(boot.Append(nil)))
	g.send(hostlink.Stdout, "first")
	g.send(hostlink.Stdout, "second")
	g.exit(hostlink.ExitStatus{})
	g.vm.end()
	result := <-g.results
	if got := g.stderr.String(); got != "report after first\n" {
		t.Errorf("standard error: %q", got)
	}
	if len(told) != 1 || told[0] != result.Times || told[0].Boot != boot {
		t.Fatalf("told %+v, result %+v", told, result.Times)
	}
	if r := result.Times; r.Ready.IsZero() || r.Timing.Before(r.Ready) || r.Output.Before(r.Timing) {
		t.Errorf("got %+v", r)
	}
}

// written returns what the session has written to its standard output.
func written(s *Session) string { return s.Stdout.(interface{ String() string }).String() }

func TestTimingOfTheWrongSize(t *testing.T) {
	g := newGuest(t, nil)
	g.ready()
	g.send(hostlink.Timing, "short")
	if r := <-g.results; r.Err == nil || !strings.Contains(r.Err.Error(), "Timing frame with 5 bytes") {
		t.Errorf("got %+v", r)
	}
}
