package vm

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"wick/test/programs/peer"
)

// TestManyEchoAtOnce: while many connections have much to say, the kernel has their peers wait rather than ask for more than it can keep,
// and drop that.
func TestManyEchoAtOnce(t *testing.T) {
	const (
		many  = 100
		size  = 1 << 20
		drops = 50 // of some 150,000 frames; without bounds for the buffers it was a thousand and more
	)
	for _, c := range []configuration{
		{machine: "microvm", cpus: 1, model: "default"}, {machine: "microvm", cpus: 2, model: "max"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			r := start(t, options{configuration: c, flags: []string{"-p", "0:7000"}, limit: 4 * runLimit,
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			addr := r.port("7000/tcp")
			var wg sync.WaitGroup
			for i := range many {
				wg.Go(func() {
					if err := peer.Echo(addr, size, uint64(i)); err != nil {
						t.Errorf("connection %d: %v", i+1, err)
					}
				})
			}
			wg.Wait()
			quit(t, r, addr)
			if n := droppedForMemory(t, r); n > drops {
				t.Errorf("%d frames were dropped because memory was short", n)
			}
		})
	}
}

// droppedForMemory is how many frames the kernel dropped because its memory was short, as it has told at its end.
func droppedForMemory(t *testing.T, r *run) int {
	t.Helper()
	if !strings.Contains(r.stderr.String(), "net: eth0.rx-packets ") {
		t.Fatal("the kernel has not told its counters")
	}
	m := regexp.MustCompile(`net: eth0\.rx-dropped-no-memory (\d+)`).FindStringSubmatch(r.stderr.String())
	if m == nil {
		return 0 // counters that are 0 are not told
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
