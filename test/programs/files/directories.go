package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func directories(t *check.T) {
	dir := tempDir(t)
	t.Must(os.MkdirAll(dir+"/a/b/c", 0o755))
	t.Must(os.WriteFile(dir+"/a/b/f", []byte("x"), 0o600))
	t.WantErr("mkdir of what exists", os.Mkdir(dir+"/a", 0o755), unix.EEXIST)
	t.WantErr("mkdir below nothing", os.Mkdir(dir+"/x/y", 0o755), unix.ENOENT)
	t.WantErr("mkdir below a file", os.Mkdir(dir+"/a/b/f/y", 0o755), unix.ENOTDIR)
	t.WantErr("rmdir of a full directory", unix.Rmdir(dir+"/a/b"), unix.ENOTEMPTY)
	t.WantErr("rmdir of a file", unix.Rmdir(dir+"/a/b/f"), unix.ENOTDIR)
	t.WantErr("unlink of a directory", unix.Unlink(dir+"/a"), unix.EISDIR)

	wantContent(t, dir+"/./a//b/../b/f", []byte("x"))
	wantContent(t, "/.."+dir+"/a/b/c/../f", []byte("x"))

	var names []string
	t.Must(filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	}))
	check.Equal(t, "walk", fmt.Sprint(names), "[ /a /a/b /a/b/c /a/b/f]")
	t.Must(os.RemoveAll(dir + "/a"))
	_, err := os.Stat(dir + "/a")
	t.WantErr("stat after RemoveAll", err, unix.ENOENT)
}

// readDirectory has more entries than one getdents64 holds, and changes the directory between two.
func readDirectory(t *check.T) {
	const files = 1000
	dir := tempDir(t)
	var want []string
	for i := range files {
		name := fmt.Sprintf("a-file-with-a-name-of-some-length-%04d", i)
		want = append(want, name)
		t.Must(os.WriteFile(dir+"/"+name, nil, 0o600))
	}
	t.Must(os.Mkdir(dir+"/z", 0o700))
	entries, err := os.ReadDir(dir)
	t.Must(err)
	check.Equal(t, "entries", len(entries), files+1)
	for i, e := range entries[:files] {
		if e.Name() != want[i] || e.Type() != 0 {
			t.Fatalf("entry %d is %v, want %s", i, e, want[i])
		}
	}
	check.Equal(t, "type of z", entries[files].Type(), fs.ModeDir)

	f := openFile(t, dir, os.O_RDONLY)
	first, err := f.Readdirnames(10)
	t.Must(err)
	for _, name := range first {
		t.Must(os.Remove(dir + "/" + name))
	}
	rest, err := f.Readdirnames(-1)
	t.Must(err)
	all := slices.Concat(first, rest)
	slices.Sort(all)
	check.Equal(t, "names, with removals in between", len(slices.Compact(all)), files+1)
	_, err = unix.Seek(int(f.Fd()), 0, 0)
	t.Must(err)
	rest, err = f.Readdirnames(-1)
	t.Must(err)
	check.Equal(t, "names after rewinding", len(rest), files+1-10)

	buf := make([]byte, 8)
	_, err = unix.Seek(int(f.Fd()), 0, 0)
	t.Must(err)
	_, err = unix.Getdents(int(f.Fd()), buf)
	t.WantErr("getdents64 with 8 bytes", err, unix.EINVAL)
	_, err = unix.Read(int(f.Fd()), buf)
	t.WantErr("read of a directory", err, unix.EISDIR)
}

func rename(t *check.T) {
	dir := tempDir(t)
	t.Must(os.WriteFile(dir+"/a", []byte("a"), 0o600))
	t.Must(os.WriteFile(dir+"/b", []byte("b"), 0o600))
	open := openFile(t, dir+"/b", os.O_RDONLY)
	t.Must(os.Rename(dir+"/a", dir+"/b"))
	wantContent(t, dir+"/b", []byte("a"))
	_, err := os.Stat(dir + "/a")
	t.WantErr("the old name", err, unix.ENOENT)
	buf := make([]byte, 1)
	_, err = open.Read(buf)
	t.Must(err)
	check.Equal(t, "the file that was replaced, still open", string(buf), "b")

	t.Must(os.MkdirAll(dir+"/d/e", 0o700))
	t.Must(os.WriteFile(dir+"/d/e/f", []byte("f"), 0o600))
	t.Must(os.Rename(dir+"/d", dir+"/g"))
	wantContent(t, dir+"/g/e/f", []byte("f"))
	t.Must(os.Mkdir(dir+"/empty", 0o700))
	t.Must(unix.Rename(dir+"/g", dir+"/empty")) // os.Rename would refuse
	wantContent(t, dir+"/empty/e/f", []byte("f"))

	t.Must(os.Mkdir(dir+"/other", 0o700))
	t.WantErr("a directory into itself", unix.Rename(dir+"/empty", dir+"/empty/e/x"), unix.EINVAL)
	t.WantErr("a directory over a full one", unix.Rename(dir+"/other", dir+"/empty"), unix.ENOTEMPTY)
	t.WantErr("a file over a directory", unix.Rename(dir+"/b", dir+"/other"), unix.EISDIR)
	t.WantErr("a directory over a file", unix.Rename(dir+"/other", dir+"/b"), unix.ENOTDIR)
	t.WantErr("a missing file", unix.Rename(dir+"/x", dir+"/y"), unix.ENOENT)
	t.Must(unix.Rename(dir+"/b", dir+"/b"))
	wantContent(t, dir+"/b", []byte("a"))
	t.WantErr("RENAME_NOREPLACE", unix.Renameat2(unix.AT_FDCWD, dir+"/b", unix.AT_FDCWD, dir+"/empty/e/f", unix.RENAME_NOREPLACE), unix.EEXIST)
}

func links(t *check.T) {
	dir := tempDir(t)
	t.Must(os.WriteFile(dir+"/f", []byte("f"), 0o600))
	t.Must(os.Symlink("f", dir+"/to-f"))
	t.Must(os.Symlink(dir, dir+"/to-dir"))
	t.Must(os.Symlink("loop", dir+"/loop"))
	t.Must(os.Symlink("nowhere", dir+"/dangling"))
	wantContent(t, dir+"/to-f", []byte("f"))
	wantContent(t, dir+"/to-dir/to-dir/to-f", []byte("f"))
	target, err := os.Readlink(dir + "/to-f")
	t.Must(err)
	check.Equal(t, "readlink", target, "f")
	info, err := os.Lstat(dir + "/to-f")
	t.Must(err)
	check.Equal(t, "lstat's type", info.Mode().Type(), fs.ModeSymlink)
	check.Equal(t, "lstat's size", info.Size(), 1)

	_, err = os.ReadFile(dir + "/loop")
	t.WantErr("a loop", err, unix.ELOOP)
	_, err = os.ReadFile(dir + "/dangling")
	t.WantErr("a dangling link", err, unix.ENOENT)
	_, err = unix.Open(dir+"/to-f", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	t.WantErr("O_NOFOLLOW", err, unix.ELOOP)
	_, err = unix.Readlink(dir+"/f", make([]byte, 10))
	t.WantErr("readlink of a file", err, unix.EINVAL)
	t.WantErr("symlink over a file", unix.Symlink("x", dir+"/f"), unix.EEXIST)
	t.Must(os.WriteFile(dir+"/dangling", []byte("made"), 0o600))
	wantContent(t, dir+"/nowhere", []byte("made"))

	t.Must(os.Link(dir+"/f", dir+"/hard"))
	t.Must(os.WriteFile(dir+"/hard", []byte("both"), 0))
	wantContent(t, dir+"/f", []byte("both"))
	var st unix.Stat_t
	t.Must(unix.Stat(dir+"/f", &st))
	check.Equal(t, "links", st.Nlink, 2)
	t.Must(os.Remove(dir + "/f"))
	wantContent(t, dir+"/hard", []byte("both"))
}

func workingDirectory(t *check.T) {
	dir := tempDir(t)
	before, err := unix.Getwd()
	t.Must(err)
	t.Cleanup(func() { unix.Chdir(before) })
	t.Must(os.Mkdir(dir+"/sub", 0o700))
	t.Must(unix.Chdir(dir))
	t.Must(os.WriteFile("sub/f", []byte("relative"), 0o600))
	wantContent(t, dir+"/sub/f", []byte("relative"))
	t.Must(unix.Chdir("sub"))
	now, err := unix.Getwd()
	t.Must(err)
	check.Equal(t, "getcwd", now, dir+"/sub")
	wantContent(t, "../sub/f", []byte("relative"))
	t.WantErr("chdir to a file", unix.Chdir("f"), unix.ENOTDIR)
	t.WantErr("chdir to nothing", unix.Chdir("x"), unix.ENOENT)
	_, err = unix.Getcwd(make([]byte, 3))
	t.WantErr("getcwd with 3 bytes", err, unix.ERANGE)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	t.Must(err)
	defer unix.Close(fd)
	t.Must(unix.Fchdir(fd))
	now, err = unix.Getwd()
	t.Must(err)
	check.Equal(t, "getcwd after fchdir", now, dir)
}

func atCalls(t *check.T) {
	dir := tempDir(t)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	t.Must(err)
	defer unix.Close(fd)
	t.Must(unix.Mkdirat(fd, "d", 0o700))
	f, err := unix.Openat(fd, "d/f", unix.O_CREAT|unix.O_RDWR, 0o600)
	t.Must(err)
	t.Must(unix.Close(f))
	t.Must(unix.Renameat(fd, "d/f", fd, "g"))
	var st unix.Stat_t
	t.Must(unix.Fstatat(fd, "g", &st, unix.AT_SYMLINK_NOFOLLOW))
	t.Must(unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH))
	check.Equal(t, "type with AT_EMPTY_PATH", st.Mode&unix.S_IFMT, unix.S_IFDIR)
	t.Must(unix.Faccessat(fd, "g", unix.R_OK|unix.W_OK, 0))
	t.Must(unix.Unlinkat(fd, "g", 0))
	t.WantErr("unlinkat of a directory", unix.Unlinkat(fd, "d", 0), unix.EISDIR)
	t.Must(unix.Unlinkat(fd, "d", unix.AT_REMOVEDIR))
	t.WantErr("faccessat", unix.Faccessat(fd, "g", unix.F_OK, 0), unix.ENOENT)
	_, err = unix.Openat(-1, "relative", unix.O_RDONLY, 0)
	t.WantErr("openat of descriptor -1", err, unix.EBADF)
	file, err := unix.Openat(-1, dir, unix.O_RDONLY, 0) // an absolute path needs no directory
	t.Must(err)
	t.Must(unix.Close(file))
}
