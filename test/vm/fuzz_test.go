package vm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wick/test/programs"
)

// TestFuzz has threads make random system calls, for a minute in all.
func TestFuzz(t *testing.T) {
	for i, c := range []configuration{
		{machine: "pc", cpus: 1, model: "default"}, {machine: "q35", cpus: 2, model: "max"},
		{machine: "microvm", cpus: 2, model: "default"}, {machine: "pc", cpus: 1, model: "max"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			runFuzz(t, c, programs.Libcs[i], 15*time.Second)
		})
	}
}

// TestSoakFuzz does the same on 1, 2 and 4 CPUs, for a third of the time that make soak has for each kind of machine.
func TestSoakFuzz(t *testing.T) {
	d := soakTime(t)
	for _, cpus := range []int{1, 2, 4} {
		for i, model := range []string{"default", "max"} {
			c := configuration{machine: []string{"pc", "q35"}[i], cpus: cpus, model: model}
			t.Run(c.String(), func(t *testing.T) { runFuzz(t, c, programs.Libcs[(cpus+i)%len(programs.Libcs)], d/3) })
		}
	}
}

// runFuzz runs the fuzzer. WICK_FUZZ_SEED repeats a run: its seed is in what a failure leaves. The machine can't reach even
// the host: should the fuzzer let a packet out, which is a failure, it ends in QEMU.
func runFuzz(t *testing.T, c configuration, libc programs.Libc, d time.Duration) {
	path := cProgram(t, "fuzz", libc)
	seed := os.Getenv("WICK_FUZZ_SEED")
	if seed == "" {
		seed = fmt.Sprint(rand.Uint32())
	}
	pcap := filepath.Join(t.TempDir(), "capture.pcap")
	r := start(t, options{configuration: c, program: path, env: unreachable(t), limit: d + runLimit, oneOutput: true,
		flags: []string{"--qemu-pcap", pcap, "--vsock", filepath.Join(t.TempDir(), "v")}, // where nobody listens
		args:  []string{"-everything", "-seed", seed, "-time", fmt.Sprint(int(d.Seconds()))}})
	if r.watch(soakSilence) { // it tells something every second
		t.Errorf("nothing was heard for %v; the console ends with a report", soakSilence)
	}
	r.want(0)
	told, ok := r.stdout.awaitLine(func(line string) bool { return strings.HasPrefix(line, "ok fuzz: seed "+seed+", ") })
	if !ok {
		t.Fatalf("it has not told its end\n%s", r.tail())
	}
	t.Log(told)
	out, err := exec.Command(wickPath(t), "dump", pcap).CombinedOutput()
	if err != nil {
		t.Fatalf("wick dump: %v\n%s", err, out)
	}
	for _, line := range lines(string(out)) {
		for _, protocol := range []string{" TCP ", " UDP ", " ICMP "} {
			if strings.Contains(line, protocol) && !strings.Contains(line, "DHCP") {
				t.Errorf("a packet on the wire: %s", line)
			}
		}
	}
}

// unreachable returns the environment of a wick whose machines have a network that leads nowhere.
func unreachable(t *testing.T) []string {
	t.Helper()
	return wrapQEMU(t, t.TempDir(), func(qemu string) string {
		return "#!/bin/bash\nexec " + qemu + ` "${@/#user,id=n0/user,id=n0,restrict=on}"` + "\n"
	})
}
