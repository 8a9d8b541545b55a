package vm

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"wick/test/programs"
)

// TestTwoThreadsOnTwoCPUs: two threads compute on two CPUs at once, and don't take turns on one, as glances from outside show. How much
// faster that is, make bench measures.
func TestTwoThreadsOnTwoCPUs(t *testing.T) {
	const rounds, cpus = 5, 2
	env, socket := monitored(t)
	in, out := io.Pipe()
	t.Cleanup(func() { out.Close() })
	r := start(t, options{configuration: configuration{machine: "pc", cpus: cpus, model: "default"}, env: env, stdin: in,
		program: cProgram(t, "compute", programs.Glibc)})
	r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == "ready" })
	m := connect(t, socket)
	glances, busy := 0, 0
	for round := range rounds {
		if _, err := fmt.Fprintln(out); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() {
			seen := 0
			_, ok := r.stdout.awaitLine(func(line string) bool {
				if line == "done" {
					seen++
				}
				return seen > round
			})
			done <- ok
		}()
		for computing := true; computing; {
			select {
			case ok := <-done:
				if computing = false; !ok {
					t.Fatalf("it ended\n%s", r.tail())
				}
			case <-time.After(20 * time.Millisecond):
				glances++
				if strings.Count(m.human("info registers -a"), " CPL=3 ") == cpus {
					busy++
				}
			}
		}
	}
	out.Close()
	r.want(0)
	t.Logf("both CPUs computed in %d of %d glances", busy, glances)
	if glances == 0 || busy*2 < glances { // one may be done before the other
		t.Error("too often, not both CPUs computed")
	}
}

// TestThreadIsWokenBesideOneThatComputes: a thread that is woken gets an idle CPU if the one that has woken it goes on computing, and
// doesn't wait for its turn on the same CPU.
func TestThreadIsWokenBesideOneThatComputes(t *testing.T) {
	r := start(t, options{configuration: configuration{machine: "pc", cpus: 2, model: "default"}, program: cProgram(t, "wakes", programs.Glibc)})
	r.want(0)
	var elsewhere, rounds int
	if _, err := fmt.Sscanf(r.stdout.String(), "on another CPU in %d of %d rounds", &elsewhere, &rounds); err != nil {
		t.Fatalf("%v: %q", err, r.stdout.String())
	}
	t.Logf("on another CPU in %d of %d rounds", elsewhere, rounds)
	if elsewhere*2 < rounds { // a busy host may not run the other CPU in time
		t.Error("too often on the same CPU")
	}
}
