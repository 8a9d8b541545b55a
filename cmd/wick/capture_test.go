package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/packet/pcapng"
)

// packetsOf returns how many packets a capture has; it must be whole.
func packetsOf(t *testing.T, path string) (n int) {
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
		if _, err := d.Next(); err == io.EOF {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

func TestCaptureIsWritten(t *testing.T) {
	cmd := wickCommand(t, "run", "--pcap", "out.pcapng", "./program", "capture", "500", "0")
	path := filepath.Join(cmd.Dir, "out.pcapng")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o666); err != nil { // to be overwritten
		t.Fatal(err)
	}
	if got := runCommand(t, cmd, nil); got.status != 0 || got.stdout != "sent\n" || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
	if n := packetsOf(t, path); n != 500 {
		t.Errorf("%d packets", n)
	}
}

func TestCaptureIsRotated(t *testing.T) {
	cmd := wickCommand(t, "run", "--pcap", "out.x", "--rotate", "10K:2", "./program", "capture", "200", "0") // 136 bytes each
	old := filepath.Join(cmd.Dir, "out-00007.x")
	if err := os.WriteFile(old, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, cmd, nil)
	if got.status != 0 || got.stderr != "wick: warning: --rotate: there are files of an earlier run, such as out-00007.x (1 in all)\n" {
		t.Errorf("got %+v", got)
	}
	os.Remove(old)
	files, _ := filepath.Glob(filepath.Join(cmd.Dir, "out*"))
	n := 0
	for i, f := range files {
		n += packetsOf(t, f)
		files[i] = filepath.Base(f)
	}
	if !slices.Equal(files, []string{"out-00002.x", "out-00003.x"}) || n >= 200 || n < 100 {
		t.Errorf("%v with %d packets", files, n)
	}
}

// TestCaptureFails: the run goes on, one line says what is wrong, and the status tells of it unless the program's own does.
func TestCaptureFails(t *testing.T) {
	for _, status := range []int{0, 7} {
		cmd := wickCommand(t, "run", "--pcap", "/dev/full", "./program", "capture", "500", fmt.Sprint(status))
		got := runCommand(t, cmd, nil)
		want := status
		if want == 0 {
			want = statusFailure
		}
		if got.status != want || got.stdout != "sent\n" || got.stderr != "wick: --pcap: write /dev/full: no space left on device; the capture ends here\n" {
			t.Errorf("got %+v, want status %d", got, want)
		}
	}
}

// TestCaptureThatNobodyReads: a pipe whose reader goes away ends the capture, not the run.
func TestCaptureThatNobodyReads(t *testing.T) {
	cmd := wickCommand(t, "run", "--pcap", "fifo", "./program", "capture", "5000", "0") // more than a pipe holds
	path := filepath.Join(cmd.Dir, "fifo")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		if file, err := os.Open(path); err == nil { // which waits for wick
			file.Read(make([]byte, 100))
			file.Close()
		}
	}()
	got := runCommand(t, cmd, nil)
	if got.status != statusFailure || got.stdout != "sent\n" || got.stderr != "wick: --pcap: fifo: nobody reads it any more; the capture ends here\n" {
		t.Errorf("got %+v", got)
	}
}

// TestCaptureOfMachineThatVanishes: the file ends with a whole packet, and wick says that there may have been more.
func TestCaptureOfMachineThatVanishes(t *testing.T) {
	cmd := wickCommand(t, "run", "--pcap", "out.pcapng", "./program", "capture", "50")
	got := runCommand(t, cmd, nil)
	if got.status != statusFailure || !strings.Contains(got.stderr, "wick: --pcap: out.pcapng ends with what the machine had sent by then\n") {
		t.Errorf("got %+v", got)
	}
	if n := packetsOf(t, filepath.Join(cmd.Dir, "out.pcapng")); n != 50 {
		t.Errorf("%d packets", n)
	}
}
