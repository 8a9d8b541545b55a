package guest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// start starts a shell in place of QEMU.
func startShell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start("/bin/sh", []string{"-c", script}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestLines(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// It stops itself at the end: one that became another program by exec would, at the wrong moment, have nothing resident.
	work := filepath.Join(t.TempDir(), "work") // is there when the CPU time of the lines before has been taken
	p := startShell(t, `printf 'one\r\ntwo 2\r\n'; until [ -e '`+work+`' ]; do sleep 0.01; done; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo three; kill -STOP $$`)
	for _, want := range []string{"two", "one", "three"} {
		if want == "three" {
			if err := os.WriteFile(work, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := p.Line(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		if want == "two" && l.Text != "two 2" {
			t.Errorf("got %q", l.Text)
		}
	}
	one, _ := p.Line(ctx, "one")
	three, _ := p.Line(ctx, "three")
	if three.CPU <= one.CPU || three.At <= one.At {
		t.Errorf("one: %+v, three, after much work: %+v", one, three)
	}
	if n, err := p.Resident(); err != nil || n < 100<<10 {
		t.Errorf("resident: %d, %v", n, err)
	}
}

func TestLineThatNeverComes(t *testing.T) {
	p := startShell(t, "echo the last words")
	if _, err := p.Line(t.Context(), "ready"); err == nil {
		t.Error("no error though the process has ended")
	}
	<-p.Ended()
	p = startShell(t, "exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Line(ctx, "ready"); err == nil {
		t.Error("no error though time is over")
	}
}
