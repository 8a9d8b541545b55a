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
	await := func(want string, n int) {
		t.Helper()
		r.awaitLine(r.stdout, "it told "+want, func(line string) bool {
			if line == want {
				n--
			}
			return n == 0
		})
	}
	await("ready", 1)
	m := connect(t, socket)
	glances, busy := 0, 0
	for round := 1; round <= rounds; round++ {
		if _, err := fmt.Fprintln(out); err != nil {
			t.Fatal(err)
		}
		await("both", round)
		for {
			computing := strings.Count(m.human("info registers -a"), " CPL=3 ")
			if strings.Count(r.stdout.String(), "half\n") >= round { // the host may hold up the other for long
				break
			}
			glances++
			if computing == cpus {
				busy++
			}
			time.Sleep(20 * time.Millisecond)
		}
		await("done", round)
	}
	out.Close()
	r.want(0)
	t.Logf("both CPUs computed in %d of %d glances", busy, glances)
	if glances == 0 || busy*2 < glances {
		t.Error("too often, not both CPUs computed")
	}
}

// TestThreadIsWokenBesideOneThatComputes: a thread that is woken gets an idle CPU if the one that has woken it goes on computing, and
// doesn't wait for its turn on the same CPU.
func TestThreadIsWokenBesideOneThatComputes(t *testing.T) {
	const tries = 3
	for try := 1; ; try++ {
		r := start(t, options{configuration: configuration{machine: "pc", cpus: 2, model: "default"}, program: cProgram(t, "wakes", programs.Glibc)})
		r.want(0)
		var elsewhere, rounds int
		if _, err := fmt.Sscanf(r.stdout.String(), "on another CPU in %d of %d rounds", &elsewhere, &rounds); err != nil {
			t.Fatalf("%v: %q", err, r.stdout.String())
		}
		t.Logf("on another CPU in %d of %d rounds", elsewhere, rounds)
		if elsewhere*2 >= rounds {
			return
		}
		if try == tries { // a host may not run the other CPU for all of the half second that one try takes
			t.Fatal("too often on the same CPU")
		}
	}
}
