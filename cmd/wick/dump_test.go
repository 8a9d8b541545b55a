package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/packet/pcap"
	"wick/packet/pcapng"
	"wick/vmm/session/ptytest"
)

// sampleCapture is a capture of two UDP datagrams of raw IP, one with a bad checksum.
func sampleCapture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcap.NewWriter(&b, pcap.LinkRaw, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := []byte("\x45\x00\x00\x20\x00\x00\x00\x00\x40\x11\x62\xbd\x0a\x00\x02\x02\x0a\x00\x02\x0f\x00\x01\x00\x02\x00\x0c\x00\x00\x61\x62\x63\x64")
	bad := bytes.Clone(good)
	bad[26] = 1
	for i, p := range [][]byte{good, bad} {
		if err := w.Write(time.Unix(1, int64(i)*1000), len(p), p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

const (
	sampleLine = "#1 0.000000 - - 32 IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len=4 ck=none\n"
	sampleBad  = "#2 0.000001 - - 32 IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len=4 ck=!bad(want 0x"
)

// dumpFile runs wick dump with a file "capture" in its folder.
func dumpFile(t *testing.T, capture []byte, stdin io.Reader, args ...string) (outcome, string) {
	t.Helper()
	cmd := wickCommand(t, append([]string{"dump"}, args...)...)
	if err := os.WriteFile(filepath.Join(cmd.Dir, "capture"), capture, 0o644); err != nil {
		t.Fatal(err)
	}
	return runCommand(t, cmd, stdin), cmd.Dir
}

func TestDumpCommand(t *testing.T) {
	c := sampleCapture(t)
	for _, args := range [][]string{{"capture"}, {"-"}, {}, {"capture", "udp", "port", "1"}, {"capture", "udp port 1"}, {"--color=auto", "capture"}} {
		got, _ := dumpFile(t, c, bytes.NewReader(c), args...)
		if got.status != 0 || !strings.HasPrefix(got.stdout, sampleLine+sampleBad) || strings.Count(got.stdout, "\n") != 2 || got.stderr != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"capture", "tcp"}, ""},
		{[]string{"capture", "-c", "1"}, sampleLine},
		{[]string{"--hex", "-c1", "capture"}, sampleLine + "  0x0000  45 00"},
		{[]string{"--full", "capture"}, sampleLine + "  IPv4 0-20 ihl=20"},
		{[]string{"--json", "capture"}, `{"number":1,"time":"1970-01-01T00:00:01Z",`},
		{[]string{"--stats", "capture"}, "total packets=2 bytes=64 conversations=1 time=0.000001 anomalies=1 bad-checksums=1\n"},
		{[]string{"--stats", "--json", "capture"}, `{"record":"total","packets":2,`},
		{[]string{"--color", "always", "capture"}, "\x1b[2m#1 0.000000 -\x1b[m"},
		{[]string{"--help"}, "Dump prints the packets"},
	} {
		got, _ := dumpFile(t, c, nil, tt.args...)
		if got.status != 0 || !strings.HasPrefix(got.stdout, tt.want) || tt.want == "" && got.stdout != "" || got.stderr != "" {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
}

func TestDumpErrors(t *testing.T) {
	c := sampleCapture(t)
	for _, tt := range []struct {
		capture        []byte
		args           []string
		stdout, stderr string
	}{
		{c, nil, "", "wick: standard input: not a capture: it is empty\n"},
		{c, []string{"nosuch"}, "", "open nosuch: no such file or directory\n"},
		{c, []string{"."}, "", "wick: .: is a directory\n"},
		{[]byte("hello"), []string{"capture"}, "", "wick: capture: not a capture: neither pcap nor pcapng starts with 68 65 6c 6c\n"},
		{nil, []string{"capture"}, "", "wick: capture: not a capture: it is empty\n"},
		{c[:len(c)-1], []string{"capture"}, sampleLine, "wick: capture: damaged pcap file: packet 2 at byte 72: packet has 31 of 32 captured bytes\n"},
		{c, []string{"capture", "tcp", "prt", "80"}, "", "wick: filter: \"prt\" where and, or, or the end should stand\n  tcp prt 80\n      ^^^\n"},
		{c, []string{"--full", "--json", "capture"}, "", "exclude each other"},
		{c, []string{"--full", "--stats", "capture"}, "", "--stats prints no packets"},
		{c, []string{"--print", "capture"}, "", "--print is for --write"},
		{c, []string{"--json", "-w", "x", "capture"}, "", "with --write, --print does so"},
		{c, []string{"--print", "--stats", "-w", "x", "capture"}, "", "--stats and --print exclude each other"},
		{c, []string{"--stats", "-w", "-", "capture"}, "", "leaves no room"},
		{c, []string{"--color", "red", "capture"}, "", `--color: "red" is not one of auto, always, never`},
		{c, []string{"-w", "capture", "capture"}, "", "--write: capture is the file that is read"},
		{c, []string{"-w", "no/such", "capture"}, "", "wick: --write: open no/such: no such file or directory\n"},
		{c, []string{"-w", "/dev/full", "capture"}, "", "wick: write /dev/full: no space left on device\n"},
		{c, []string{"-i", "e9", "capture"}, "", "wick: capture: no interface \"e9\": this format has no names of interfaces\n"},
		{c, []string{"-c", "x", "capture"}, "", "is not a number"},
		{c, []string{"-c", "0", "capture"}, "", "wick: --count: 0 packets are none to stop after; without it all are printed\n"},
		{c, []string{"-w", "no/such.gz", "capture"}, "", "wick: --write: open no/such.gz: no such file or directory\n"},
	} {
		got, _ := dumpFile(t, tt.capture, nil, tt.args...)
		if got.status != statusFailure || got.stdout != tt.stdout || !strings.Contains(got.stderr, tt.stderr) {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
}

func TestDumpWrite(t *testing.T) {
	c := sampleCapture(t)
	got, dir := dumpFile(t, c, nil, "-w", "out.pcap", "capture", "udp[6:2] = 0")
	out, err := os.ReadFile(filepath.Join(dir, "out.pcap"))
	if got != (outcome{}) || err != nil || !bytes.Equal(out, c[:24+16+32]) {
		t.Errorf("%+v, %v, % x", got, err, out)
	}
	got, dir = dumpFile(t, c, nil, "--write", "out.pcapng", "--print", "capture", "-c", "1")
	out, err = os.ReadFile(filepath.Join(dir, "out.pcapng"))
	if got.stdout != sampleLine || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if r, err := pcapng.NewReader(bytes.NewReader(out)); err != nil {
		t.Error(err)
	} else if p, err := r.Next(); err != nil || p.WireLen != 32 || p.Interface.Link != pcap.LinkRaw {
		t.Errorf("%+v, %v", p, err)
	}
	got, _ = dumpFile(t, c, nil, "-w", "-", "capture")
	if !strings.HasPrefix(got.stdout, "\x0a\x0d\x0d\x0a") || got.status != 0 {
		t.Errorf("%+v", got)
	}
	got, dir = dumpFile(t, []byte("hello"), nil, "-w", "out", "capture")
	if _, err := os.Stat(filepath.Join(dir, "out")); !os.IsNotExist(err) || got.status != statusFailure {
		t.Errorf("a file was made of no capture: %v, %+v", err, got)
	}
	ng := pcapng.AppendSection(nil, &pcapng.Section{})
	for i, link := range []pcap.LinkType{pcap.LinkRaw, pcap.LinkVsock} {
		ng = pcapng.AppendInterface(ng, &pcapng.Interface{Link: link, Name: "x"})
		ng = pcapng.AppendPacket(ng, i, &pcapng.Packet{})
	}
	if got, _ = dumpFile(t, ng, nil, "-w", "out.pcap", "capture"); got.status != statusFailure || !strings.Contains(got.stderr, "--interface selects one") {
		t.Errorf("%+v", got)
	}
}

// TestDumpWriteCompressed: what is named .gz is compressed by gzip, in the format that the rest of the name asks for, and read again.
func TestDumpWriteCompressed(t *testing.T) {
	c := sampleCapture(t)
	for name, magic := range map[string]string{"out.pcap.gz": string(c[:4]), "out.pcapng.gz": "\x0a\x0d\x0d\x0a", "out.gz": "\x0a\x0d\x0d\x0a"} {
		got, dir := dumpFile(t, c, nil, "-w", name, "capture")
		out, err := os.ReadFile(filepath.Join(dir, name))
		if got != (outcome{}) || err != nil {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		z, err := gzip.NewReader(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if plain, err := io.ReadAll(z); err != nil || !strings.HasPrefix(string(plain), magic) {
			t.Errorf("%s: %v, % x", name, err, plain)
		}
		got, _ = dumpFile(t, out, nil, "capture")
		lines := strings.ReplaceAll(got.stdout, " if0 ", " - ") // pcapng has interfaces
		if got.status != 0 || !strings.HasPrefix(lines, sampleLine+sampleBad) || got.stderr != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDumpTerminal: colours on a terminal, unless NO_COLOR is set; no captures there.
func TestDumpTerminal(t *testing.T) {
	for env, want := range map[string]string{"NO_COLOR=": "\x1b[2m#1 ", "NO_COLOR=1": "#1 ", "TERM=dumb": "#1 "} {
		master, slave := ptytest.Open(t)
		cmd := wickCommand(t, "dump", "-c", "1", "-")
		cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=", env)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(sampleCapture(t)), slave, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(master).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%s: %v %q", env, err, line)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	_, slave := ptytest.Open(t)
	cmd := wickCommand(t, "dump")
	cmd.Stdin = slave
	if out, err := cmd.CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "wick: which file? wick dump [flags] FILE [FILTER…], - for standard input") {
		t.Errorf("%v %s", err, out)
	}
	cmd = wickCommand(t, "dump", "-w", "-", "capture")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "capture"), sampleCapture(t), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = slave, &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "a capture is nothing for a terminal") {
		t.Errorf("%v %s", err, &stderr)
	}
}

// TestDumpPipe: what a pipe brings is printed at once, and Ctrl-C ends it in good order, though a packet is cut.
func TestDumpPipe(t *testing.T) {
	c := sampleCapture(t)
	cmd := wickCommand(t, "dump", "-w", "out.pcap", "--print", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if _, err := in.Write(c[:len(c)-10]); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != sampleLine {
		t.Errorf("%v %q", err, line)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v %s", err, &stderr)
	}
	written, err := os.ReadFile(filepath.Join(cmd.Dir, "out.pcap"))
	if err != nil || !bytes.Equal(written, c[:24+16+32]) {
		t.Errorf("%v, %d bytes", err, len(written))
	}
}

// TestDumpFollow: a file that grows is printed as it does, until Ctrl-C; then there are the statistics.
func TestDumpFollow(t *testing.T) {
	c := sampleCapture(t)
	for _, stats := range []bool{false, true} {
		args := []string{"dump", "-f", "growing"}
		if stats {
			args = append(args, "--stats", "-w", "out.pcap")
		}
		cmd := wickCommand(t, args...)
		path := filepath.Join(cmd.Dir, "growing")
		if err := os.WriteFile(path, c[:24+16+32], 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		r := bufio.NewReader(out)
		if stats {
			awaitSize(t, filepath.Join(cmd.Dir, "out.pcap"), 24+16+32) // it has begun, and handles signals
		} else if line, err := r.ReadString('\n'); err != nil || line != sampleLine {
			t.Errorf("%v %q", err, line)
		}
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(c[24+16+32:]); err != nil {
			t.Fatal(err)
		}
		file.Close()
		if stats {
			awaitSize(t, filepath.Join(cmd.Dir, "out.pcap"), int64(len(c)))
		} else if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, sampleBad) {
			t.Errorf("%v %q", err, line)
		}
		if err := cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(r)
		if err != nil || stats != strings.HasPrefix(string(rest), "total packets=2 ") || !stats && len(rest) > 0 {
			t.Errorf("%v %q", err, rest)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// awaitSize waits until a file has a size.
func awaitSize(t *testing.T, path string, size int64) {
	t.Helper()
	for range 2000 {
		if info, err := os.Stat(path); err == nil && info.Size() >= size {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s has not grown to %d bytes", path, size)
}
