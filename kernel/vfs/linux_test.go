package vfs

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onLinux runs do on a thread whose root directory is a new, empty one of the real file system.
func onLinux(t *testing.T, do func()) {
	dir := t.TempDir()
	skip := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Chroot(dir)
		}
		if err == nil {
			err = unix.Chdir("/")
		}
		if err == nil {
			unix.Umask(0)
			do()
		}
		skip <- err
	}()
	if err := <-skip; err != nil {
		t.Skip("needs chroot:", err)
	}
}

// tape gives the decisions of a random test, from a generator or a fuzzer's bytes.
type tape struct {
	bytes []byte
	rnd   *rand.Rand
}

func (s *tape) next(n int) int {
	if s.rnd != nil {
		return s.rnd.IntN(n)
	}
	if len(s.bytes) == 0 {
		return 0
	}
	v := int(s.bytes[0]) % n
	s.bytes = s.bytes[1:]
	return v
}

func (s *tape) empty() bool { return s.rnd == nil && len(s.bytes) == 0 }

// longName is one byte longer than a name can be.
var longName = strings.Repeat("x", nameMax+1)

// path makes a path of few names, so that they meet.
func (s *tape) path() string {
	names := []string{"a", "b", "c", "d", "a", "b", ".", ".."}
	var b strings.Builder
	if s.next(6) == 0 {
		b.WriteByte('/')
	}
	n := 1 + s.next(3)
	for i := range n {
		if i > 0 {
			b.WriteString([]string{"/", "/", "/", "//"}[s.next(4)])
		}
		b.WriteString(names[s.next(len(names))])
	}
	if s.next(6) == 0 {
		b.WriteByte('/')
	}
	switch s.next(100) {
	case 0:
		return ""
	case 1:
		return "/"
	case 2:
		return longName
	}
	return b.String()
}

// pathOps is one implementation of the calls that are compared. Each returns a text of the result.
type pathOps interface {
	open(path string, flags int, data string) string
	mkdir(path string) error
	rmdir(path string) error
	unlink(path string) error
	rename(from, to string, flags uint) error
	link(from, to string, flags int) error
	symlink(target, path string) error
	readlink(path string) string
	stat(path string, follow bool) string
	list(path string) string
	truncate(path string, n int64) error
	chmod(path string, mode uint32) error
	chdir(path string) error
	getcwd() string
}

// statText is what must be equal of two stats. Directories' sizes differ between file systems.
func statText(mode uint32, nlink uint64, size int64, err error) string {
	if err != nil {
		return err.Error()
	}
	if mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0
	}
	if mode&unix.S_IFMT == unix.S_IFLNK {
		mode = unix.S_IFLNK
	}
	return fmt.Sprintf("mode %o links %d size %d", mode, nlink, size)
}

// realOps are Linux's calls.
type realOps struct{}

func (realOps) open(path string, flags int, data string) string {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	var result string
	if data != "" {
		n, err := unix.Write(fd, []byte(data))
		result += fmt.Sprint(max(n, 0), err)
		unix.Seek(fd, 0, 0)
	}
	buf := make([]byte, 100)
	n, err := unix.Read(fd, buf)
	return result + fmt.Sprint(max(n, 0), err, string(buf[:max(n, 0)]))
}

func (realOps) mkdir(path string) error  { return unix.Mkdir(path, 0o755) }
func (realOps) rmdir(path string) error  { return unix.Rmdir(path) }
func (realOps) unlink(path string) error { return unix.Unlink(path) }
func (realOps) rename(from, to string, flags uint) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
}
func (realOps) link(from, to string, flags int) error {
	return unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
}
func (realOps) symlink(target, path string) error { return unix.Symlink(target, path) }

func (realOps) readlink(path string) string {
	buf := make([]byte, 300)
	n, err := unix.Readlink(path, buf)
	return fmt.Sprint(string(buf[:max(n, 0)]), err)
}

func (realOps) stat(path string, follow bool) string {
	var st unix.Stat_t
	stat := unix.Lstat
	if follow {
		stat = unix.Stat
	}
	err := stat(path, &st)
	return statText(st.Mode, st.Nlink, st.Size, err)
}

func (realOps) list(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil {
			return err.Error()
		}
		if n == 0 {
			sort.Strings(names)
			return strings.Join(names, " ")
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

func (realOps) truncate(path string, n int64) error  { return unix.Truncate(path, n) }
func (realOps) chmod(path string, mode uint32) error { return unix.Chmod(path, mode) }
func (realOps) chdir(path string) error              { return unix.Chdir(path) }

func (realOps) getcwd() string {
	var buf [4096]byte
	n, err := unix.Getcwd(buf[:])
	if err != nil {
		return err.Error()
	}
	return string(buf[:n-1])
}

// ourOps are the calls of this package.
type ourOps struct{ paths *Paths }

func (o ourOps) open(path string, flags int, data string) string {
	f, err := o.paths.Open(nil, path, uint32(flags), 0o666)
	if err != nil {
		return err.Error()
	}
	defer f.Release()
	var result string
	if data != "" {
		b := Bytes(data)
		n, err := f.Write(&b)
		result += fmt.Sprint(n, err)
		f.Seek(0, 0)
	}
	buf := make([]byte, 100)
	b := Bytes(buf)
	n, err := f.Read(&b)
	return result + fmt.Sprint(n, err, string(buf[:n]))
}

func (o ourOps) mkdir(path string) error  { return o.paths.Mkdir(nil, path, 0o755) }
func (o ourOps) rmdir(path string) error  { return o.paths.Rmdir(nil, path) }
func (o ourOps) unlink(path string) error { return o.paths.Unlink(nil, path) }
func (o ourOps) rename(from, to string, flags uint) error {
	return o.paths.Rename(nil, from, nil, to, uint32(flags))
}

func (o ourOps) link(from, to string, flags int) error {
	n, err := o.paths.Lookup(nil, from, flags&unix.AT_SYMLINK_FOLLOW != 0)
	if err != nil {
		return err
	}
	return o.paths.Link(n, nil, to)
}

func (o ourOps) symlink(target, path string) error { return o.paths.Symlink(target, nil, path) }

func (o ourOps) readlink(path string) string {
	s, err := o.paths.Readlink(nil, path)
	return fmt.Sprint(s, err)
}

func (o ourOps) stat(path string, follow bool) string {
	n, err := o.paths.Lookup(nil, path, follow)
	if err != nil {
		return err.Error()
	}
	st := n.Stat()
	return statText(st.Mode, st.Nlink, st.Size, nil)
}

func (o ourOps) list(path string) string {
	f, err := o.paths.Open(nil, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err.Error()
	}
	defer f.Release()
	var names []string
	// One entry at a time, as with the smallest buffers.
	for {
		n := len(names)
		err := f.ReadDir(func(_ uint64, _ uint8, name string, _ int64) bool {
			if len(names) > n {
				return false
			}
			names = append(names, name)
			return true
		})
		if err != nil {
			return err.Error()
		}
		if len(names) == n {
			break
		}
	}
	sort.Strings(names)
	return strings.Join(names[2:], " ") // without "." and ".."
}

func (o ourOps) truncate(path string, size int64) error {
	n, err := o.paths.Lookup(nil, path, true)
	if err != nil {
		return err
	}
	switch f := n.(type) {
	case *Regular:
		return f.Truncate(size)
	case *Dir:
		return unix.EISDIR
	}
	return unix.EINVAL
}

func (o ourOps) chmod(path string, mode uint32) error {
	n, err := o.paths.Lookup(nil, path, true)
	if err != nil {
		return err
	}
	return Chmod(Root(), n, mode)
}

func (o ourOps) chdir(path string) error {
	n, err := o.paths.Lookup(nil, path, true)
	if err != nil {
		return err
	}
	return o.paths.Chdir(n)
}

func (o ourOps) getcwd() string {
	s, err := o.paths.Getcwd()
	if err != nil {
		return err.Error()
	}
	return s
}

// emptyFS returns a file system without anything in it.
func emptyFS(t testing.TB) *FS {
	fs := newTestFS(t, Options{})
	for name := range fs.root.entries {
		fs.root.dropLocked(name)
	}
	fs.root.order = nil
	fs.names.used.Store(0)
	return fs
}

// step does one random operation with both and compares the results.
func step(s *tape, ours, theirs pathOps) (what, got, want string) {
	text := func(err error) string { return fmt.Sprint(err) }
	p, q := s.path(), s.path()
	switch s.next(17) {
	case 0, 1, 2:
		flags := []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR}[s.next(3)]
		for _, f := range []int{unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_APPEND, unix.O_DIRECTORY, unix.O_NOFOLLOW} {
			if s.next(3) == 0 || f == unix.O_CREAT && s.next(2) == 0 {
				flags |= f
			}
		}
		if flags&unix.O_CREAT == 0 {
			flags &^= unix.O_EXCL // has no meaning that is promised
		}
		data := []string{"", "hello", "xx"}[s.next(3)]
		return fmt.Sprintf("open %q %#x, write %q", p, flags, data), ours.open(p, flags, data), theirs.open(p, flags, data)
	case 3, 4:
		return fmt.Sprintf("mkdir %q", p), text(ours.mkdir(p)), text(theirs.mkdir(p))
	case 5:
		return fmt.Sprintf("rmdir %q", p), text(ours.rmdir(p)), text(theirs.rmdir(p))
	case 6:
		return fmt.Sprintf("unlink %q", p), text(ours.unlink(p)), text(theirs.unlink(p))
	case 7, 8:
		flags := []uint{0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}[s.next(5)]
		return fmt.Sprintf("rename %q %q %d", p, q, flags), text(ours.rename(p, q, flags)), text(theirs.rename(p, q, flags))
	case 9:
		flags := []int{0, unix.AT_SYMLINK_FOLLOW}[s.next(2)]
		return fmt.Sprintf("link %q %q %d", p, q, flags), text(ours.link(p, q, flags)), text(theirs.link(p, q, flags))
	case 10, 11:
		return fmt.Sprintf("symlink %q %q", p, q), text(ours.symlink(p, q)), text(theirs.symlink(p, q))
	case 12:
		return fmt.Sprintf("readlink %q", p), ours.readlink(p), theirs.readlink(p)
	case 13:
		follow := s.next(2) == 0
		return fmt.Sprintf("stat %q %v", p, follow), ours.stat(p, follow), theirs.stat(p, follow)
	case 14:
		return fmt.Sprintf("list %q", p), ours.list(p), theirs.list(p)
	case 15:
		if s.next(2) == 0 {
			n := int64(s.next(10))
			return fmt.Sprintf("truncate %q %d", p, n), text(ours.truncate(p, n)), text(theirs.truncate(p, n))
		}
		mode := uint32(0o600 + s.next(0o200))
		return fmt.Sprintf("chmod %q %o", p, mode), text(ours.chmod(p, mode)), text(theirs.chmod(p, mode))
	}
	if s.next(3) > 0 {
		return "getcwd", ours.getcwd(), theirs.getcwd()
	}
	return fmt.Sprintf("chdir %q", p), text(ours.chdir(p)), text(theirs.chdir(p))
}

// compareWithLinux does n random operations here and there.
func compareWithLinux(t *testing.T, s *tape, n int) {
	fs := emptyFS(t)
	ours := ourOps{fs.NewPaths()}
	var history []string
	for range n {
		what, got, want := step(s, ours, realOps{})
		history = append(history, strings.ReplaceAll(what, longName, "LONG")+": "+want)
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", strings.Join(history, "\n"), got, want)
			return
		}
	}
	checkTree(t, fs)
}

func TestPathsAgainstLinux(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onLinux(t, func() {
				compareWithLinux(t, &tape{rnd: rand.New(rand.NewPCG(seed, 0))}, 200)
			})
		})
	}
}

// checkTree checks what must always be true of the tree: link counts, parents, names, and what is counted.
func checkTree(t *testing.T, fs *FS) {
	t.Helper()
	names := map[Node]uint32{}
	var used, pages int64
	var visit func(d *Dir, path string)
	visit = func(d *Dir, path string) {
		subdirs := uint32(0)
		for name, e := range d.entries {
			at := path + "/" + name
			if e.name != name || e.node == nil {
				t.Errorf("%s: the entry is of %q", at, e.name)
			}
			names[e.node]++
			used++
			switch n := e.node.(type) {
			case *Dir:
				subdirs++
				if n.parent != d || n.name != name || n.removed {
					t.Errorf("%s: parent or name is wrong", at)
				}
				visit(n, at)
			case *Regular:
				if names[n] == 1 {
					pages += int64(len(n.pages))
				}
				if n.opens != 0 {
					t.Errorf("%s: open %d times", at, n.opens)
				}
			}
		}
		live := 0
		for i, e := range d.order {
			if e.node != nil {
				live++
			}
			if i > 0 && e.position <= d.order[i-1].position {
				t.Errorf("%s: positions are out of order", path)
			}
		}
		if live != len(d.entries) {
			t.Errorf("%s: %d entries in order, %d in the map", path, live, len(d.entries))
		}
		if d.nlink != 2+subdirs {
			t.Errorf("%s: link count %d with %d directories in it", path, d.nlink, subdirs)
		}
	}
	visit(fs.root, "")
	for n, count := range names {
		if _, dir := n.(*Dir); !dir && n.meta().nlink != count {
			t.Errorf("node %d: link count %d, %d names", n.meta().ino, n.meta().nlink, count)
		}
	}
	if fs.names.used.Load() != used || fs.pages.used.Load() != pages {
		t.Errorf("%d names and %d pages are counted, there are %d and %d", fs.names.used.Load(), fs.pages.used.Load(), used, pages)
	}
}

// FuzzPaths does the operations that the bytes say, and checks the tree after them.
func FuzzPaths(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		b := make([]byte, 500)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := emptyFS(t)
		ours := ourOps{fs.NewPaths()}
		s := &tape{bytes: b}
		for !s.empty() {
			step(s, ours, ours)
		}
		checkTree(t, fs)
	})
}
