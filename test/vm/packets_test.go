package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/packet/tsharkcheck"
	"wick/test/programs"
)

// TestDump compares the kernel's dump of a run with what tshark says of QEMU's own capture of it, packet by packet.
func TestDump(t *testing.T) {
	for _, c := range networks {
		for _, d := range []struct {
			suite string
			cases []string
		}{
			{"udp", []string{"peer-echo", "peer-sizes", "peer-fragments", "peer-stranger"}},
			{"tcp", []string{"peer-small", "peer-64k", "peer-refused"}},
			{"netif", []string{"ipv6-address", "ipv6-udp"}},
		} {
			t.Run(c.String()+"/"+d.suite, func(t *testing.T) {
				t.Parallel()
				needTshark(t)
				s := programs.Find(d.suite)
				args, _ := s.Command(startPeers(t), d.cases...)
				pcap := filepath.Join(t.TempDir(), "capture.pcap")
				r := start(t, options{configuration: c, quiet: true, flags: []string{"--dump", "--qemu-pcap", pcap}, program: suiteProgram(t, s, ""), args: args})
				r.want(0)
				compare(t, r, pcap)
			})
		}
	}
}

func needTshark(t *testing.T) {
	t.Helper()
	wickPath(t)
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Fatal(err)
	}
}

// compare reports each difference between a run's dump and its capture, and keeps the capture if there are any.
func compare(t *testing.T, r *run, pcap string) {
	t.Helper()
	packets, err := tsharkcheck.Read(pcap)
	if err != nil {
		t.Fatal(err)
	}
	shown, notShown, err := tsharkcheck.ReadDump(bytes.NewReader(r.stderr.bytes()))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d packets captured, %d shown, %d not shown", len(packets), len(shown), notShown)
	if len(packets) < 10 || notShown > len(packets)/10 {
		t.Errorf("%d packets captured, %d shown, %d not shown", len(packets), len(shown), notShown)
	}
	differences, err := tsharkcheck.CompareFacts(bytes.NewReader(r.stderr.bytes()), packets)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range differences {
		if i == 20 {
			t.Errorf("… and %d more differences", len(differences)-i)
			break
		}
		t.Error(d)
	}
	if t.Failed() {
		if data, err := os.ReadFile(pcap); err == nil {
			os.WriteFile(filepath.Join(r.dir, "capture.pcap"), data, 0o666)
		}
	}
}

// TestFullDump: the detailed form begins with the same lines.
func TestFullDump(t *testing.T) {
	t.Parallel()
	needTshark(t)
	s := programs.Find("udp")
	args, _ := s.Command(startPeers(t), "peer-sizes")
	pcap := filepath.Join(t.TempDir(), "capture.pcap")
	r := start(t, options{configuration: plain, quiet: true, flags: []string{"--dump=full", "--qemu-pcap", pcap}, program: suiteProgram(t, s, ""), args: args})
	r.want(0)
	compare(t, r, pcap)
	for _, want := range []string{"Ethernet 0-14 ", "IPv4 14-34 ", "UDP"} {
		if !strings.Contains(r.stderr.String(), "\n  "+want) {
			t.Errorf("no line that begins with %q", want)
		}
	}
}

// TestNoDump: without --dump nothing is printed.
func TestNoDump(t *testing.T) {
	t.Parallel()
	s := programs.Find("udp")
	args, _ := s.Command(startPeers(t), "peer-echo")
	r := start(t, options{configuration: plain, quiet: true, program: suiteProgram(t, s, ""), args: args})
	r.want(0)
	if text := r.stderr.String(); text != "" {
		t.Errorf("standard error:\n%s", text)
	}
}

// TestDHCP boots an image by the line that wick build prints, without wick: nobody tells the kernel its address.
func TestDHCP(t *testing.T) {
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			s := programs.Find("netif")
			args, _ := s.Command(startPeers(t))
			dir := t.TempDir()
			build := append(append([]string{"build", "-o", dir}, c.flags()...), suiteProgram(t, s, ""))
			line, err := exec.Command(wickPath(t), append(build, args...)...).Output()
			if err != nil {
				t.Fatalf("wick build: %v", err)
			}
			// exec: so that the process to be ended is QEMU.
			cmd := exec.Command("sh", "-c", "exec "+string(line))
			cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
			runtime.LockOSThread() // the signal comes when the thread ends
			defer runtime.UnlockOSThread()
			console := newOutput()
			cmd.Stdout, cmd.Stderr = console, console
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(runLimit, func() {
				t.Error("stopped: it took too long")
				cmd.Process.Kill()
			})
			cmd.Wait() // the debug exit device makes a status of its own
			timer.Stop()
			for _, name := range []string{"loopback", "interfaces", "address", "dns", "ipv6-address", "ipv6-tcp", "ipv6-udp"} {
				found := false
				for _, line := range lines(console.String()) {
					found = found || strings.TrimSuffix(line, "\r") == "ok "+name
				}
				if !found {
					t.Errorf("case %s has not passed", name)
				}
			}
			if t.Failed() {
				t.Logf("%s\n%s", line, console)
			}
		})
	}
}
