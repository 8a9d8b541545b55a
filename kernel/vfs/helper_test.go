package vfs

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/bundle"
)

// sleeper is a thread that only readiness wakes.
type sleeper chan struct{}

func newSleeper() sleeper { return make(sleeper, 1) }

func (s sleeper) Wakeup() chan struct{} { return s }

func (s sleeper) Sleep(deadline time.Time) error {
	if deadline.IsZero() {
		<-s
		return nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-s:
		return nil
	case <-timer.C:
		return unix.ETIMEDOUT
	}
}

func newTestFS(t testing.TB, o Options, files ...bundle.File) *FS {
	t.Helper()
	fs, err := NewFS(files, 0, o)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// mustOpen opens a path or fails the test.
func mustOpen(t testing.TB, p *Paths, path string, flags uint32) *OpenFile {
	t.Helper()
	o, err := p.Open(nil, path, flags, 0o644)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	return o
}

func write(t testing.TB, o *OpenFile, s string) {
	t.Helper()
	b := Bytes(s)
	if n, err := o.Write(&b); n != int64(len(s)) || err != nil {
		t.Fatalf("write: %d, %v; want %d", n, err, len(s))
	}
}

// readAll reads from the position to the end.
func readAll(t testing.TB, o *OpenFile) string {
	t.Helper()
	var all []byte
	for {
		var buf [512]byte
		b := Bytes(buf[:])
		n, err := o.Read(&b)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if n == 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

// contents reads a file by its path.
func contents(t testing.TB, p *Paths, path string) string {
	t.Helper()
	o := mustOpen(t, p, path, unix.O_RDONLY)
	defer o.Release()
	return readAll(t, o)
}
