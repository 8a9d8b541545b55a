package vm

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"wick/test/programs"
)

// TestTwoThreadsOnTwoCPUs: a computation by two threads is at least 1.7 times as fast on two CPUs as on one. What counts is the time
// that the host gives the virtual CPUs, on two that of the one that has worked longer; the clock on the wall would measure
// what else the host does. That both CPUs compute at once, and don't take turns, glances from outside show.
func TestTwoThreadsOnTwoCPUs(t *testing.T) {
	const rounds, wanted = 5, 1.7
	one, two := startComputer(t, 1), startComputer(t, 2)
	var alone, first, second time.Duration
	for range rounds {
		work, both := one.compute(), two.compute()
		t.Logf("on one CPU %v, on two %v", work, both)
		alone += work[0]
		first += both[0]
		second += both[1]
	}
	one.end()
	two.end()
	t.Logf("both CPUs computed in %d of %d glances", two.busy, two.glances)
	if two.busy*2 < two.glances { // one may be done before the other
		t.Error("too often, not both CPUs computed")
	}
	speedup := alone.Seconds() / max(first, second).Seconds()
	if t.Logf("%.2f times as fast", speedup); speedup < wanted {
		t.Errorf("two CPUs are %.2f times as fast as one, want %.1f", speedup, wanted)
	}
}

// A computer is a machine that computes with two threads when it is told to.
type computer struct {
	*run
	*monitor
	t     *testing.T
	in    *io.PipeWriter
	vcpus []int // threads of QEMU's
	done  int   // how often it has computed

	glances, busy int // at the machine while it computes; how often all CPUs were in ring 3
}

func startComputer(t *testing.T, cpus int) *computer {
	t.Helper()
	env, socket := monitored(t)
	in, out := io.Pipe()
	t.Cleanup(func() { out.Close() })
	r := start(t, options{configuration: configuration{machine: "pc", cpus: cpus, model: "default"}, env: env, stdin: in,
		program: cProgram(t, "compute", programs.Glibc)})
	r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == "ready" })
	m := connect(t, socket)
	c := &computer{run: r, monitor: m, t: t, in: out, vcpus: m.vcpus()}
	if len(c.vcpus) != cpus {
		t.Fatalf("the machine has %d CPUs, want %d", len(c.vcpus), cpus)
	}
	return c
}

// compute has the work done, and returns how long each CPU has worked.
func (c *computer) compute() (work []time.Duration) {
	c.t.Helper()
	for _, thread := range c.vcpus {
		work = append(work, -cpuTime(c.t, thread))
	}
	if _, err := fmt.Fprintln(c.in); err != nil {
		c.t.Fatal(err)
	}
	c.done++
	done := make(chan bool)
	go func() {
		seen := 0
		_, ok := c.stdout.awaitLine(func(line string) bool {
			if line == "done" {
				seen++
			}
			return seen == c.done
		})
		done <- ok
	}()
	for glance := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-glance.C:
			c.glances++
			if strings.Count(c.human("info registers -a"), " CPL=3 ") == len(c.vcpus) {
				c.busy++
			}
			continue
		case ok := <-done:
			glance.Stop()
			if !ok {
				c.t.Fatalf("it ended\n%s", c.tail())
			}
		}
		break
	}
	for i, thread := range c.vcpus {
		work[i] += cpuTime(c.t, thread)
	}
	return work
}

func (c *computer) end() {
	c.t.Helper()
	c.in.Close()
	c.want(0)
}

// vcpus returns the threads of QEMU's that are the machine's CPUs, by their ids.
func (m *monitor) vcpus() (threads []int) {
	m.t.Helper()
	result, _ := m.do("query-cpus-fast", nil)
	var cpus []struct {
		Thread int `json:"thread-id"`
	}
	if err := json.Unmarshal(result, &cpus); err != nil {
		m.t.Fatalf("query-cpus-fast: %v: %s", err, result)
	}
	for _, c := range cpus {
		threads = append(threads, c.Thread)
	}
	return threads
}

// cpuTime returns how long a thread has run, in user and in system mode [proc(5)].
func cpuTime(t *testing.T, thread int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/stat", thread)) // without task it would be the process's
	if err != nil {
		t.Fatal(err)
	}
	const user, system, perSecond = 14 - 3, 15 - 3, 100 // fields are counted from the third, behind the name
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, f := range []int{user, system} {
		n, err := strconv.Atoi(fields[f])
		if err != nil {
			t.Fatalf("thread %d: %v: %s", thread, err, stat)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / perSecond
}
