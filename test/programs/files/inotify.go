package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// watcher is an inotify instance of a test.
type watcher struct {
	t       *check.T
	fd      int
	cookies map[uint32]int // cookies, numbered as they come
}

func newWatcher(t *check.T) *watcher {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	t.Must(err)
	t.Cleanup(func() { unix.Close(fd) })
	return &watcher{t, fd, make(map[uint32]int)}
}

func (w *watcher) watch(path string, mask uint32) int {
	id, err := unix.InotifyAddWatch(w.fd, path, mask)
	w.t.Must(err)
	return id
}

// want compares the events since the last time: watch, name of the event, "dir" for directories, file name, "#" and number of the cookie.
func (w *watcher) want(what string, want ...string) {
	var got []string
	var buf [8192]byte
	for {
		n, err := unix.Read(w.fd, buf[:])
		if err == unix.EAGAIN {
			break
		}
		w.t.Must(err)
		for b := buf[:n]; len(b) > 0; {
			e := w.event(b)
			got = append(got, e)
			b = b[16+binary.LittleEndian.Uint32(b[12:]):]
		}
	}
	if a, b := strings.Join(got, ", "), strings.Join(want, ", "); a != b {
		w.t.Errorf("%s:\n  got  %s\n  want %s", what, a, b)
	}
}

func (w *watcher) event(b []byte) string {
	le := binary.LittleEndian
	id, mask, cookie, n := int32(le.Uint32(b)), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])
	name := string(b[16 : 16+n])
	if trimmed := strings.TrimRight(name, "\x00"); len(name) != 0 && (len(name)%16 != 0 || trimmed == name) {
		w.t.Errorf("a name of %d bytes: %q", len(name), name)
	} else {
		name = trimmed
	}
	names := []string{"access", "modify", "attrib", "close-write", "close", "open", "moved-from", "moved-to", "create", "delete",
		"delete-self", "move-self", "", "unmount", "overflow", "ignored"}
	text := fmt.Sprint(id)
	for i, s := range names {
		if mask&(1<<i) != 0 {
			text += " " + s
		}
	}
	if mask&unix.IN_ISDIR != 0 {
		text += " dir"
	}
	if name != "" {
		text += " " + name
	}
	if cookie != 0 {
		if w.cookies[cookie] == 0 {
			w.cookies[cookie] = len(w.cookies) + 1
		}
		text += fmt.Sprint(" #", w.cookies[cookie])
	}
	return text
}

// What is done in a directory that is watched is told, in order.
func inotifyDirectory(t *check.T) {
	dir := tempDir(t)
	w := newWatcher(t)
	check.Equal(t, "first watch", w.watch(dir, unix.IN_ALL_EVENTS), 1)
	path := filepath.Join(dir, "a")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	t.Must(err)
	w.want("create", "1 create a", "1 open a")
	_, err = f.WriteString("hello")
	t.Must(err)
	_, err = f.Seek(0, io.SeekStart)
	t.Must(err)
	_, err = f.Read(make([]byte, 5))
	t.Must(err)
	_, err = f.Read(make([]byte, 5))
	t.WantErr("read at the end", err, io.EOF)
	t.Must(f.Truncate(2))
	t.Must(f.Chmod(0o600))
	w.want("write, read, truncate, chmod", "1 modify a", "1 access a", "1 modify a", "1 attrib a")
	t.Must(f.Close())
	w.want("close", "1 close-write a")
	t.Must(os.Chtimes(path, time.Unix(1, 0), time.Unix(2, 0)))
	t.Must(os.Truncate(path, 0))
	w.want("attributes by name", "1 attrib a", "1 modify a")
	f, err = os.Open(path)
	t.Must(err)
	f.Close()
	w.want("open to read", "1 open a", "1 close a")
	t.Must(os.Link(path, filepath.Join(dir, "b")))
	t.Must(os.Symlink("a", filepath.Join(dir, "l")))
	t.Must(unix.Mkfifo(filepath.Join(dir, "p"), 0o600))
	t.Must(os.Mkdir(filepath.Join(dir, "d"), 0o700))
	w.want("new names", "1 create b", "1 create l", "1 create p", "1 create dir d")
	t.Must(os.Rename(path, filepath.Join(dir, "c")))
	t.Must(os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "e")))
	w.want("rename", "1 moved-from a #1", "1 moved-to c #1", "1 moved-from dir d #2", "1 moved-to dir e #2")
	_, err = os.ReadDir(filepath.Join(dir, "e"))
	t.Must(err)
	w.want("look into a directory", "1 open dir e", "1 access dir e", "1 close dir e")
	for _, name := range []string{"b", "l", "p", "e"} {
		t.Must(os.Remove(filepath.Join(dir, name)))
	}
	w.want("remove", "1 delete b", "1 delete l", "1 delete p", "1 delete dir e")
}

// A file that is watched is watched under all names, until the last one is gone and nobody has it open.
func inotifyFile(t *check.T) {
	dir := tempDir(t)
	path, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	t.Must(os.WriteFile(path, []byte("x"), 0o644))
	w := newWatcher(t)
	w.watch(path, unix.IN_ALL_EVENTS)
	t.Must(os.Link(path, other))
	t.Must(os.Remove(path))
	t.Must(os.Rename(other, path))
	f := openFile(t, path, os.O_RDWR)
	w.want("names; two events that say the same are one", "1 attrib", "1 move-self", "1 open")
	t.Must(os.WriteFile(other, nil, 0o644))
	t.Must(os.Rename(other, path)) // replaces it
	_, err := f.WriteString("y")
	t.Must(err)
	w.want("replaced", "1 attrib", "1 modify")
	t.Must(f.Close())
	w.want("the last descriptor", "1 close-write", "1 delete-self", "1 ignored")
	check.Equal(t, "next watch", w.watch(path, unix.IN_ALL_EVENTS), 2)
	t.Must(os.Remove(path))
	w.want("the last name", "2 attrib", "2 delete-self", "2 ignored")
	_, err = unix.InotifyRmWatch(w.fd, 2)
	t.WantErr("a watch that has ended", err, unix.EINVAL)
}

// A directory and what is in it are watched by themselves.
func inotifyBoth(t *check.T) {
	dir := tempDir(t)
	sub := filepath.Join(dir, "sub")
	file := filepath.Join(sub, "f")
	t.Must(os.Mkdir(sub, 0o700))
	t.Must(os.WriteFile(file, []byte("x"), 0o644))
	w := newWatcher(t)
	const events = unix.IN_ALL_EVENTS &^ (unix.IN_OPEN | unix.IN_ACCESS | unix.IN_CLOSE)
	w.watch(dir, events)
	w.watch(sub, events)
	w.watch(file, events)
	t.Must(os.WriteFile(file, []byte("yy"), 0o644))
	w.want("truncate and write", "2 modify f", "3 modify", "2 modify f", "3 modify")
	t.Must(os.Chmod(sub, 0o755))
	w.want("chmod", "1 attrib dir sub", "2 attrib dir")
	t.Must(os.Remove(file))
	w.want("remove", "3 attrib", "3 delete-self", "3 ignored", "2 delete f")
	t.Must(os.Rename(sub, sub+"2"))
	w.want("rename", "1 moved-from dir sub #1", "1 moved-to dir sub2 #1", "2 move-self")
	t.Must(os.Remove(sub + "2"))
	w.want("remove the directory", "2 delete-self", "2 ignored", "1 delete dir sub2")
}

// Masks choose and change what is told, and how often.
func inotifyMasks(t *check.T) {
	dir := tempDir(t)
	path := filepath.Join(dir, "a")
	t.Must(os.WriteFile(path, nil, 0o644))
	t.Must(os.Symlink("a", filepath.Join(dir, "l")))
	w := newWatcher(t)
	touch := func() { t.Must(os.WriteFile(path, []byte("x"), 0o644)) }
	w.watch(dir, unix.IN_OPEN)
	touch()
	w.want("open only", "1 open a")
	check.Equal(t, "the same watch", w.watch(dir, unix.IN_CLOSE_WRITE|unix.IN_MASK_ADD), 1)
	touch()
	w.want("and closed", "1 open a", "1 close-write a")
	w.watch(dir, unix.IN_CLOSE_WRITE|unix.IN_ONESHOT)
	touch()
	touch()
	w.want("once", "1 close-write a", "1 ignored")
	id := w.watch(filepath.Join(dir, "l"), unix.IN_MODIFY)
	touch()
	_, err := unix.InotifyRmWatch(w.fd, uint32(id))
	t.Must(err)
	touch()
	w.want("by a link, events that say the same in one", "2 modify", "2 ignored")
	id = w.watch(filepath.Join(dir, "l"), unix.IN_ALL_EVENTS|unix.IN_DONT_FOLLOW)
	touch()
	t.Must(os.Remove(filepath.Join(dir, "l")))
	w.want("the link itself", "3 attrib", "3 delete-self", "3 ignored")

	_, err = unix.InotifyAddWatch(w.fd, path, 0)
	t.WantErr("no mask", err, unix.EINVAL)
	_, err = unix.InotifyAddWatch(w.fd, path, unix.IN_MODIFY|1<<20)
	t.WantErr("unknown bits", err, unix.EINVAL)
	_, err = unix.InotifyAddWatch(w.fd, path, unix.IN_MODIFY|unix.IN_ONLYDIR)
	t.WantErr("no directory", err, unix.ENOTDIR)
	_, err = unix.InotifyAddWatch(w.fd, filepath.Join(dir, "none"), unix.IN_MODIFY)
	t.WantErr("no file", err, unix.ENOENT)
	w.watch(path, unix.IN_MODIFY)
	_, err = unix.InotifyAddWatch(w.fd, path, unix.IN_MODIFY|unix.IN_MASK_CREATE)
	t.WantErr("there already", err, unix.EEXIST)
	_, err = unix.InotifyAddWatch(int(os.Stdout.Fd()), path, unix.IN_MODIFY)
	t.WantErr("no inotify", err, unix.EINVAL)
	_, err = unix.InotifyInit1(1)
	t.WantErr("flags", err, unix.EINVAL)
}

// An instance can be waited for, tells how much there is, and gives whole events.
func inotifyRead(t *check.T) {
	dir := tempDir(t)
	w := newWatcher(t)
	w.watch(dir, unix.IN_CREATE)
	poll := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	n, err := t.Poll(poll, 0)
	t.Must(err)
	check.Equal(t, "nothing yet", n, 0)
	done := make(chan error)
	go func() {
		done <- os.WriteFile(filepath.Join(dir, "a-name-of-17-bytes"), nil, 0o644)
	}()
	n, err = t.Poll(poll, 10000)
	t.Must(err)
	check.Equal(t, "readable", n, 1)
	t.Must(<-done)
	t.Must(os.WriteFile(filepath.Join(dir, "b"), nil, 0o644))
	size, err := unix.IoctlGetInt(w.fd, unix.TIOCINQ)
	t.Must(err)
	check.Equal(t, "bytes", size, 16+32+16+16)
	_, err = unix.Read(w.fd, make([]byte, 47))
	t.WantErr("too little room", err, unix.EINVAL)
	n, err = unix.Read(w.fd, make([]byte, 79))
	t.Must(err)
	check.Equal(t, "one event", n, 48)
	w.want("the other", "1 create b")
	_, err = unix.Write(w.fd, []byte("x"))
	t.WantErr("write", err, unix.EBADF)
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.fd))
	t.Must(err)
	check.Equal(t, "link", link, "anon_inode:inotify")
}
