package vfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestMakeSocket(t *testing.T) {
	fs, err := NewFS(nil, 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := fs.NewPaths()
	n, err := p.MakeSocket(nil, "/s", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if st := n.Stat(); st.Mode != unix.S_IFSOCK|0o755 || st.Nlink != 1 {
		t.Errorf("stat: %+v", st)
	}
	if _, err := p.MakeSocket(nil, "/s", 0o755); err != unix.EEXIST {
		t.Errorf("made twice: %v", err)
	}
	if _, err := p.MakeSocket(nil, "/none/s", 0o755); err != unix.ENOENT {
		t.Errorf("no directory: %v", err)
	}
	if found, err := p.Lookup(nil, "/s", true); err != nil || found != n {
		t.Errorf("lookup: %v %v", found, err)
	}
	if _, err := p.Open(nil, "/s", unix.O_RDWR, 0); err != unix.ENXIO {
		t.Errorf("open: %v", err)
	}
	if err := p.Unlink(nil, "/s"); err != nil {
		t.Errorf("unlink: %v", err)
	}
	if _, err := p.Lookup(nil, "/s", true); err != unix.ENOENT {
		t.Errorf("after unlink: %v", err)
	}
}
