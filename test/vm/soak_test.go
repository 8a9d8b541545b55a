package vm

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soakTime returns how long a soak test shall take; it skips the test if none is wanted.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("WICK_SOAK")
	if text == "" {
		t.Skip("only make soak runs this: WICK_SOAK is the time")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("WICK_SOAK: %v", err)
	}
	return d
}

const (
	// soakSilence is how long nothing may be heard of a machine under soak: the kernel tells something every few seconds.
	soakSilence = 3 * time.Minute
	// soakExtra is how much longer than asked for a soak may take, for the boot, the pauses and slow hosts.
	soakExtra = 10 * time.Minute
)

// TestSoak works in kernel and program on all that depends on each other, on 1, 2 and 4 CPUs. A wrong result, something
// left behind, or a hang fails it; then its folder holds the console, the packets, and a report of all CPUs, threads and goroutines.
func TestSoak(t *testing.T) {
	d := soakTime(t)
	for _, c := range []configuration{{machine: "pc", cpus: 1, model: "max"}, {machine: "q35", cpus: 2, model: "default"}, {machine: "microvm", cpus: 4, model: "max"}} {
		t.Run(c.String(), func(t *testing.T) {
			peers := startPeers(t)
			r := start(t, options{configuration: c, env: testKernel(t, "soak"), program: goProgram(t, "soak"), capture: true,
				args: []string{"-time", d.String(), "-tcp", peers.TCP, "-udp", peers.UDP}, limit: d + soakExtra, oneOutput: true})
			if r.watch(soakSilence) {
				t.Errorf("nothing was heard for %v; the console ends with a report", soakSilence)
			}
			r.want(0)
			left := leftInPauses(r.stdout.String())
			if len(left) == 0 {
				t.Fatalf("the kernel has not told what it has left\n%s", r.tail())
			}
			t.Logf("%d rounds; left behind %+v", len(left), left)
			for _, growth := range growths(left) {
				t.Error(growth)
			}
		})
	}
}

// watch waits for the end of a run. One that says nothing for a while is made to report what everything does, and is ended;
// then watch returns true.
func (r *run) watch(silence time.Duration) (hung bool) {
	for seen := -1; ; {
		select {
		case <-r.done:
			return false
		case <-time.After(silence):
		}
		if now := len(r.stdout.bytes()); now != seen {
			seen = now
			continue
		}
		for range 2 { // the first is for the program
			r.cmd.Process.Signal(unix.SIGQUIT)
			time.Sleep(time.Second) // else the two are one
		}
		r.stdout.awaitLine(func(line string) bool {
			return line == "wick: end of the report" || strings.Contains(line, "does not answer")
		})
		r.cmd.Process.Signal(unix.SIGTERM)
		<-r.done
		return true
	}
}

// TestHangIsReported: of a machine that says nothing the console ends with a report.
func TestHangIsReported(t *testing.T) {
	t.Parallel()
	r := ready(start(t, options{configuration: plain, program: goProgram(t, "stdio"), args: []string{"work"}, oneOutput: true}))
	if !r.watch(5 * time.Second) {
		t.Fatalf("it has ended\n%s", r.tail())
	}
	wantAll(t, r.stdout.String(), "ready\n", "wick: report: non-maskable interrupt\n", "main.main wick/cmd/kernel/main.go:", "wick: end of the report\n")
}

// leftover is what the kernel has when the program has nothing going on; sizes in KiB.
type leftover struct{ goroutines, objects, stacks, used, free, program int }

var toldLine = regexp.MustCompile(`^kernel: goroutines (\d+) objects (\d+) stacks (\d+) used (\d+) free (\d+)$`)

// leftInPauses returns the last of what the kernel told in each pause of the program.
func leftInPauses(console string) (all []leftover) {
	quiet, program := false, 0
	var last *leftover
	for _, line := range lines(console) {
		switch m := toldLine.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "resident "):
			program, _ = strconv.Atoi(strings.TrimPrefix(line, "resident "))
		case line == "quiet":
			quiet, last = true, nil
		case line == "go on":
			if quiet && last != nil {
				all = append(all, *last)
			}
			quiet = false
		case quiet && m != nil:
			var n [5]int
			for i := range n {
				n[i], _ = strconv.Atoi(m[i+1]) // the expression lets digits through only
			}
			last = &leftover{n[0], n[1], n[2], n[3], n[4], program}
		}
	}
	return all
}

// growths compares the least of the second half of the rounds with the least of the first, and says what has grown. What
// comes and goes, as connections in TIME-WAIT, doesn't count: the least of many is what stays.
func growths(all []leftover) (found []string) {
	if len(all) < 4 {
		return nil
	}
	first, second := all[1:(len(all)+1)/2], all[(len(all)+1)/2:]
	for _, c := range []struct {
		what  string
		slack int
		of    func(l leftover) int
	}{
		{"goroutines", 4, func(l leftover) int { return l.goroutines }},
		{"objects of the kernel, KiB", 1024, func(l leftover) int { return l.objects }},
		{"stacks of the kernel, KiB", 512, func(l leftover) int { return l.stacks }},
		{"memory that is neither free nor the program's, KiB", 2048, func(l leftover) int { return -l.free - l.program }},
	} {
		least := func(of []leftover) int {
			m := c.of(of[0])
			for _, l := range of {
				m = min(m, c.of(l))
			}
			return m
		}
		if before, after := least(first), least(second); after > before+c.slack {
			found = append(found, fmt.Sprintf("%s: %d at least in the first half of the rounds, %d in the second", c.what, before, after))
		}
	}
	return found
}

// TestGrowths: what stays is told from what comes and goes.
func TestGrowths(t *testing.T) {
	var steady, leak []leftover
	for i := range 10 {
		steady = append(steady, leftover{50 + i%3, 3000 + 900*(i%2), 500, 6000, 90000 - 9000*(i%2) - 500*i, 5000 + 500*i})
		leak = append(leak, leftover{50 + 2*i, 3000, 500, 6000, 90000 - 2000*i, 5000})
	}
	if found := growths(steady); found != nil {
		t.Errorf("of what comes and goes: %v", found)
	}
	if found := growths(leak); len(found) != 2 {
		t.Errorf("of a leak of goroutines and memory: %v", found)
	}
	console := "resident 11\nkernel: goroutines 9 objects 9 stacks 9 used 9 free 9\nquiet\nkernel: goroutines 1 objects 2 stacks 3 used 4 free 5\n" +
		"kernel: goroutines 6 objects 7 stacks 8 used 9 free 10\ngo on\nquiet\ngo on\nquiet\n"
	if got := leftInPauses(console); len(got) != 1 || got[0] != (leftover{6, 7, 8, 9, 10, 11}) {
		t.Errorf("leftInPauses: %v", got)
	}
}
