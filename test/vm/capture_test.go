package vm

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wick/packet/pcapng"
	"wick/packet/tsharkcheck"
	"wick/test/programs"
)

// TestCapture: what wick dump and tshark read in the kernel's capture is what the kernel has printed.
func TestCapture(t *testing.T) {
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			needTshark(t)
			s := programs.Find("udp")
			args, _ := s.Command(startPeers(t), "peer-echo", "peer-sizes", "peer-fragments", "peer-stranger")
			path := filepath.Join(t.TempDir(), "capture.pcapng")
			r := start(t, options{configuration: c, quiet: true, flags: []string{"--dump", "--pcap", path}, program: suiteProgram(t, s, ""), args: args})
			r.want(0)
			compare(t, r, path)
			sameLines(t, r, path)
			checkFields(t, path)
			if a := readCapture(t, path); a.missing != 0 || a.packets != a.seen {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestCaptureTellsDrops: on each packet that the kernel dropped there is a comment that says why; the dump and the statistics
// say the same.
func TestCaptureTellsDrops(t *testing.T) {
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			needTshark(t)
			path := filepath.Join(t.TempDir(), "capture.pcapng")
			r := start(t, options{configuration: c, program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"},
				flags: []string{"-p", "0:7000", "-p", "0:7001", "-p", "0:7001/udp", "--dump", "--pcap", path}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			// Nobody is at the other ports. The host's end of a TCP connection is QEMU, which only then learns it.
			if c, err := net.Dial("tcp", r.port("7001/tcp")); err == nil {
				defer c.Close()
			}
			c, err := net.Dial("udp", r.port("7001/udp"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "anybody?")
			for _, why := range []string{"tcp-no-port", "udp-no-port"} {
				r.awaitLine(r.stderr, "it dropped a packet: "+why, func(line string) bool { return strings.HasSuffix(line, " !dropped("+why+")") })
			}
			quit(t, r, r.port("7000/tcp"))
			out, err := exec.Command("tshark", "-r", path, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment", "-e", "tcp.dstport", "-e", "udp.dstport").Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"dropped: tcp-no-port\t7001\t\n", "dropped: udp-no-port\t\t7001\n"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("tshark doesn't tell of %q:\n%s", want, out)
				}
			}
			out, err = exec.Command(wickPath(t), "dump", "--stats", path).Output()
			if err != nil || !strings.Contains(string(out), "\ndropped tcp-no-port packets=") || !strings.Contains(string(out), "\ndropped udp-no-port packets=1 ") {
				t.Errorf("statistics: %v\n%s", err, out)
			}
		})
	}
}

// sameLines reports the first difference between a run's dump and wick dump of its capture.
func sameLines(t *testing.T, r *run, path string) {
	t.Helper()
	out, err := exec.Command(wickPath(t), "dump", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	got, want := lines(string(out)), lines(r.stderr.String())
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("line %d of the capture:\n%s\nof the dump:\n%s", i+1, g, w)
			return
		}
	}
}

// checkFields has tshark tell what only the kernel's capture has: name, direction.
func checkFields(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command("tshark", "-r", path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "eth.src").Output()
	if err != nil {
		t.Fatal(err)
	}
	directions := map[string]int{}
	for _, line := range lines(string(out)) {
		f := strings.Split(line, "\t")
		if len(f) != 3 || f[0] != "e0" {
			t.Fatalf("tshark tells %q", line)
		}
		direction := "1" // as pcapng has it
		if f[2] == "52:54:00:12:34:56" {
			direction = "2"
		}
		if !strings.HasSuffix(strings.TrimLeft(f[1], "0x"), direction) {
			t.Errorf("direction of %q", line)
		}
		directions[direction]++
	}
	if directions["1"] == 0 || directions["2"] == 0 {
		t.Errorf("directions: %v", directions)
	}
}

// account is what a capture says of how complete it is.
type account struct {
	packets uint64 // in the file
	gaps    uint64 // missing between them
	missing uint64 // in all
	seen    uint64 // by the kernel
}

// readCapture reads a whole capture.
func readCapture(t *testing.T, path string) (a account) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d, err := pcapng.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := d.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		a.packets++
		a.gaps += p.Lost.N
	}
	s := d.Interfaces()[0].Statistics
	a.missing, a.seen = s.OSDropped.N, s.Received.N
	return a
}

// TestCaptureUnderLoad: every packet is in the capture or counted as missing, in it and by the kernel.
func TestCaptureUnderLoad(t *testing.T) {
	for _, c := range configurations[:2] {
		for _, snap := range []string{"0", "96"} {
			t.Run(c.String()+"/"+snap, func(t *testing.T) {
				t.Parallel()
				needTshark(t)
				s := programs.Find("tcp")
				args, _ := s.Command(startPeers(t), "peer-8m")
				dir := t.TempDir()
				path, whole := filepath.Join(dir, "capture.pcapng"), filepath.Join(dir, "qemu.pcap")
				r := start(t, options{
					configuration: c, quiet: true, program: suiteProgram(t, s, ""), args: args,
					flags: []string{"--pcap", path, "--snaplen", snap, "--qemu-pcap", whole},
				})
				r.want(0)
				a := readCapture(t, path)
				all, err := tsharkcheck.Read(whole)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("QEMU saw %d packets, the capture says %+v", len(all), a)
				if a.packets+a.missing != a.seen || a.gaps > a.missing || a.seen < 1000 || a.seen > uint64(len(all)) {
					t.Errorf("QEMU saw %d packets, the capture says %+v", len(all), a)
				}
				want := ""
				if a.missing > 0 {
					want = fmt.Sprintf("wick: the capture lacks %d of %d packets: they came faster than the host took them (--snaplen makes room for more)\n", a.missing, a.seen)
				}
				if got := r.stderr.String(); got != want {
					t.Errorf("standard error: %q, want %q", got, want)
				}
			})
		}
	}
}

// TestCaptureRotates: each file is a capture, none is too large, and the newest are kept.
func TestCaptureRotates(t *testing.T) {
	t.Parallel()
	s := programs.Find("tcp")
	args, _ := s.Command(startPeers(t), "peer-1m")
	dir := t.TempDir()
	r := start(t, options{
		configuration: plain, quiet: true, program: suiteProgram(t, s, ""), args: args,
		flags: []string{"--pcap", filepath.Join(dir, "out.pcapng"), "--rotate", "100K:3"},
	})
	r.want(0)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 || strings.HasSuffix(files[0], "-00001.pcapng") {
		t.Fatalf("%v, %v", files, err)
	}
	for i, f := range files {
		data, err := os.ReadFile(f)
		if err != nil || len(data) > 100<<10 || i < 2 && len(data) < 90<<10 {
			t.Errorf("%s has %d bytes, %v", f, len(data), err)
		}
		a := readCapture(t, f)
		if a.packets == 0 || (a.seen > 0) != (i == 2) {
			t.Errorf("%s: %+v", f, a)
		}
		if !bytes.Contains(data[:256], []byte("e0")) {
			t.Errorf("%s does not begin with the interface", f)
		}
	}
}
