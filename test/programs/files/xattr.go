package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// Extended attributes, which many file systems don't have: a program is told so, or that there are none.
func extendedAttributes(t *check.T) {
	path := filepath.Join(tempDir(t), "f")
	t.Must(os.WriteFile(path, nil, 0o644))
	f := openFile(t, path, os.O_RDWR)
	fd := int(f.Fd())
	n, err := unix.Flistxattr(fd, nil)
	t.Must(err)
	check.Equal(t, "bytes of names", n, 0)
	buf := make([]byte, 10)
	for what, get := range map[string]func(name string) error{
		"getxattr":  func(name string) error { _, err := unix.Getxattr(path, name, buf); return err },
		"lgetxattr": func(name string) error { _, err := unix.Lgetxattr(path, name, buf); return err },
		"fgetxattr": func(name string) error { _, err := unix.Fgetxattr(fd, name, buf); return err },
		"remove":    func(name string) error { return unix.Removexattr(path, name) },
	} {
		if err := get("user.none"); err != unix.ENODATA && err != unix.EOPNOTSUPP {
			t.Errorf("%s: %v, want ENODATA or EOPNOTSUPP", what, err)
		}
		t.WantErr(what+" without a name", get(""), unix.ERANGE)
		t.WantErr(what+" with a long name", get("user."+strings.Repeat("x", 251)), unix.ERANGE)
	}
	t.WantErr("set with unknown flags", unix.Setxattr(path, "user.a", buf, 4), unix.EINVAL)
	t.WantErr("set to much", unix.Setxattr(path, "user.a", make([]byte, 65537), 0), unix.E2BIG)
	_, err = unix.Listxattr(path+"x", nil)
	t.WantErr("no file", err, unix.ENOENT)
	_, err = unix.Flistxattr(-1, nil)
	t.WantErr("no descriptor", err, unix.EBADF)
}
