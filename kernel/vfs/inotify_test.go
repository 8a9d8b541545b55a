package vfs

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// newInotify returns an instance that is closed with the test.
func newInotify(t *testing.T, fs *FS) *Inotify {
	t.Helper()
	in, err := fs.NewInotify()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// eventsOf reads all events: watch and mask of each.
func eventsOf(t *testing.T, in *Inotify) (events [][2]uint32) {
	t.Helper()
	for {
		var buf [4096]byte
		dst := Bytes(buf[:])
		n, err := in.Read(&dst, 0)
		if err == unix.EAGAIN {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		for b := buf[:n]; len(b) > 0; b = b[16+binary.LittleEndian.Uint32(b[12:]):] {
			events = append(events, [2]uint32{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])})
		}
	}
}

// Who doesn't read doesn't fill the kernel's memory: events are bounded, and the last one tells that others are missing.
func TestInotifyTellsThatEventsAreMissing(t *testing.T) {
	fs := newTestFS(t, Options{Memory: func() (total, free uint64) { return 16 << 20, 0 }})
	paths := fs.NewPaths()
	in := newInotify(t, fs)
	if _, err := in.Watch(paths, "/tmp", unix.IN_CREATE|unix.IN_DELETE); err != nil {
		t.Fatal(err)
	}
	for range minObjects {
		if err := paths.Mkdir(nil, "/tmp/d", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := paths.Rmdir(nil, "/tmp/d"); err != nil {
			t.Fatal(err)
		}
	}
	events := eventsOf(t, in)
	if n := len(events); n != minObjects+1 || events[n-1] != [2]uint32{^uint32(0), unix.IN_Q_OVERFLOW} {
		t.Errorf("%d events, the last one %#x", n, events[n-1])
	}
	if left := fs.inotify.kept.used.Load(); left != 0 {
		t.Errorf("%d events are counted when all are read", left)
	}
	paths.Mkdir(nil, "/tmp/d", 0o700)
	if events := eventsOf(t, in); len(events) != 1 {
		t.Errorf("afterwards %d events, want 1", len(events))
	}
}

func TestInotifyLimits(t *testing.T) {
	fs := newTestFS(t, Options{Memory: func() (total, free uint64) { return 16 << 20, 0 }})
	paths := fs.NewPaths()
	in := newInotify(t, fs)
	fs.inotify.watches.limit = 2
	for i, path := range []string{"/", "/tmp", "/etc"} {
		_, err := in.Watch(paths, path, unix.IN_OPEN)
		if want := map[int]error{2: unix.ENOSPC}[i]; err != want && (err != nil || want != nil) {
			t.Errorf("watch %d: %v, want %v", i+1, err, want)
		}
	}
	if id, err := in.Watch(paths, "/tmp", unix.IN_CLOSE); id != 2 || err != nil {
		t.Errorf("a watch that is there: %d, %v", id, err)
	}
	in.Close()
	if left := fs.inotify.watches.used.Load(); left != 0 {
		t.Errorf("%d watches are left", left)
	}
	if n, _ := paths.Lookup(nil, "/tmp", true); n.meta().watches.Load() != nil {
		t.Error("the node keeps its watch")
	}
	var all []*Inotify
	for {
		in, err := fs.NewInotify()
		if err != nil {
			if err != unix.EMFILE || len(all) < maxInotifyInstances-1 {
				t.Errorf("after %d instances: %v", len(all), err)
			}
			break
		}
		all = append(all, in)
	}
	for _, in := range all {
		in.Close()
	}
}

// A directory is watched by those who may read it.
func TestInotifyNeedsTheRightToRead(t *testing.T) {
	fs := newTestFS(t, Options{})
	paths := fs.NewPaths()
	in := newInotify(t, fs)
	other := *Root()
	other.UID, other.EUID, other.SUID, other.FSUID, other.Effective = 1000, 1000, 1000, 1000, 0
	paths.SetCredentials(&other)
	if _, err := in.Watch(paths, "/root", unix.IN_OPEN); err != unix.EACCES {
		t.Errorf("/root: %v, want EACCES", err)
	}
	if _, err := in.Watch(paths, "/etc", unix.IN_OPEN); err != nil {
		t.Errorf("/etc: %v", err)
	}
}

// Watches come and go while files do, and nothing is left in the end.
func TestInotifyWhileEverythingChanges(t *testing.T) {
	fs := newTestFS(t, Options{})
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			paths := fs.NewPaths()
			name := fmt.Sprintf("/tmp/%d", i%2)
			for range 300 {
				in, err := fs.NewInotify()
				if err != nil {
					t.Error(err)
					return
				}
				in.Watch(paths, "/tmp", unix.IN_ALL_EVENTS)
				if o, err := paths.Open(nil, name, unix.O_CREAT|unix.O_RDWR, 0o600); err == nil {
					in.Watch(paths, name, unix.IN_ALL_EVENTS|unix.IN_ONESHOT)
					b := Bytes("x")
					o.Write(&b)
					paths.Rename(nil, name, nil, fmt.Sprintf("/tmp/%d", i), 0)
					o.Release()
				}
				paths.Unlink(nil, fmt.Sprintf("/tmp/%d", i))
				dst := Bytes(make([]byte, 100))
				in.Read(&dst, 0)
				in.Unwatch(1)
				in.Close()
			}
		})
	}
	group.Wait()
	if watches, kept := fs.inotify.watches.used.Load(), fs.inotify.kept.used.Load(); watches != 0 || kept != 0 || fs.inotify.instances != 0 {
		t.Errorf("left are %d watches, %d events, %d instances", watches, kept, fs.inotify.instances)
	}
}
