package dump

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/packet/packettest"
)

// TestSpeed compares the speed of wick dump with those of tcpdump and tshark on the same capture of 100 MB, with the output
// to a pipe. It takes minutes, so it runs only with WICK_BENCH_DUMP=1 in the environment; make bench-dump sets that.
func TestSpeed(t *testing.T) {
	if os.Getenv("WICK_BENCH_DUMP") != "1" {
		t.Skip("a benchmark: make bench-dump")
	}
	dir := t.TempDir()
	wick, capture := filepath.Join(dir, "wick"), filepath.Join(dir, "traffic.pcap")
	if out, err := exec.Command("go", "build", "-o", wick, "wick/cmd/wick").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := os.Create(capture)
	if err != nil {
		t.Fatal(err)
	}
	packettest.Traffic(t, file, 100<<20)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	programs := []*timed{
		{name: "wick dump", args: []string{wick, "dump", capture}},
		{name: "tcpdump -nn -e -v", args: []string{"tcpdump", "-nn", "-e", "-v", "-r", capture}},
		{name: "tshark", args: []string{"tshark", "-r", capture}},
	}
	const rounds = 3
	for range rounds { // in turn, so that what else the machine does hits all alike
		for _, p := range programs {
			p.run(t)
		}
	}
	for _, p := range programs {
		t.Logf("%-18s %6.2f s, %6.2f s of processor time, %d MB of text: the best of %d", p.name, p.wall.Seconds(), p.cpu.Seconds(), p.bytes>>20, rounds)
	}
	for i, want := range []float64{1, 10} {
		p := programs[i+1]
		ratio := p.wall.Seconds() / programs[0].wall.Seconds()
		t.Logf("%.1f times as fast as %s (by processor time %.1f times)", ratio, p.name, p.cpu.Seconds()/programs[0].cpu.Seconds())
		if ratio < want {
			t.Errorf("that is less than %g times", want)
		}
	}
}

// timed is a program with its best times.
type timed struct {
	name      string
	args      []string
	wall, cpu time.Duration
	bytes     int
}

// run runs the program once, reading its output from a pipe.
func (p *timed) run(t *testing.T) {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p.bytes = 0
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.Read(int(r.Fd()), buf)
		p.bytes += max(n, 0)
		if n <= 0 && err != unix.EINTR {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	wall, cpu := time.Since(start), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if p.wall == 0 || wall < p.wall {
		p.wall = wall
	}
	if p.cpu == 0 || cpu < p.cpu {
		p.cpu = cpu
	}
}
