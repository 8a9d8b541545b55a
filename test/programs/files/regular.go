package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func createReadWrite(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	want := pattern(10000)
	n, err := f.Write(want)
	t.Must(err)
	check.Equal(t, "bytes written", n, len(want))
	n, err = f.Read(make([]byte, 10))
	check.Equal(t, "read at the end", n, 0)
	t.WantErr("read at the end", err, io.EOF)
	wantContent(t, path, want)
	t.Must(f.Close())
	t.WantErr("second close", f.Close(), os.ErrClosed)
}

func openFlags(t *check.T) {
	path := tempDir(t) + "/f"
	_, err := os.OpenFile(path, os.O_RDWR, 0)
	t.WantErr("open of a missing file", err, unix.ENOENT)
	t.Must(os.WriteFile(path, []byte("before"), 0o600))
	_, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	t.WantErr("O_EXCL on an existing file", err, unix.EEXIST)
	openFile(t, path, os.O_RDWR|os.O_CREATE)
	wantContent(t, path, []byte("before"))
	openFile(t, path, os.O_WRONLY|os.O_TRUNC)
	wantContent(t, path, nil)

	f := openFile(t, path, os.O_RDONLY)
	_, err = f.Write([]byte("x"))
	t.WantErr("write to O_RDONLY", err, unix.EBADF)
	f = openFile(t, path, os.O_WRONLY)
	_, err = f.Read(make([]byte, 1))
	t.WantErr("read from O_WRONLY", err, unix.EBADF)

	fd, err := unix.Open(path, 3, 0) // open(2): for ioctl only, where there is one
	t.Must(err)
	defer unix.Close(fd)
	_, err = unix.Read(fd, make([]byte, 1))
	t.WantErr("read with access mode 3", err, unix.EBADF)
	_, err = unix.Write(fd, make([]byte, 1))
	t.WantErr("write with access mode 3", err, unix.EBADF)
	t.WantErr("truncate with access mode 3", unix.Ftruncate(fd, 0), unix.EINVAL)
}

// appendConcurrently writes whole lines from many goroutines with descriptors of their own: O_APPEND must
// neither lose nor tear one.
func appendConcurrently(t *check.T) {
	const writers, lines = 8, 100
	path := tempDir(t) + "/f"
	var wg sync.WaitGroup
	for w := range writers {
		f := openFile(t, path, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		wg.Go(func() {
			for i := range lines {
				if _, err := fmt.Fprintf(f, "%d %03d\n", w, i); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	wg.Wait()
	all, err := os.ReadFile(path)
	t.Must(err)
	seen := make(map[string]bool)
	for line := range strings.Lines(string(all)) {
		if len(line) != len("0 000\n") || seen[line] {
			t.Fatalf("torn or repeated line %q", line)
		}
		seen[line] = true
	}
	check.Equal(t, "lines", len(seen), writers*lines)
}

func seek(t *check.T) {
	f := openFile(t, tempDir(t)+"/f", os.O_RDWR|os.O_CREATE)
	_, err := f.WriteString("0123456789")
	t.Must(err)
	for _, step := range []struct {
		off    int64
		whence int
		want   int64
	}{{3, io.SeekStart, 3}, {2, io.SeekCurrent, 5}, {-1, io.SeekCurrent, 4}, {-2, io.SeekEnd, 8}, {5, io.SeekEnd, 15}, {0, io.SeekStart, 0}} {
		got, err := f.Seek(step.off, step.whence)
		t.Must(err)
		check.Equal(t, fmt.Sprintf("seek(%d, %d)", step.off, step.whence), got, step.want)
	}
	_, err = f.Seek(-1, io.SeekStart)
	t.WantErr("seek before the start", err, unix.EINVAL)
	_, err = unix.Seek(int(f.Fd()), 0, 99)
	t.WantErr("bad whence", err, unix.EINVAL)
	at, err := f.Seek(0, io.SeekCurrent)
	t.Must(err)
	check.Equal(t, "position after failures", at, 0)
}

// offsetsEnd: what would end beyond the last offset there is, is refused as a whole.
func offsetsEnd(t *check.T) {
	f := openFile(t, tempDir(t)+"/f", os.O_RDWR|os.O_CREATE)
	_, err := f.WriteString("0123456789")
	t.Must(err)
	fd, buf := int(f.Fd()), make([]byte, 10)
	_, err = unix.Pread(fd, buf, math.MaxInt64-9)
	t.WantErr("pread across the end", err, unix.EINVAL)
	n, err := unix.Pread(fd, buf, math.MaxInt64-10)
	t.Must(err)
	check.Equal(t, "pread up to the end", n, 0)
	_, err = unix.Pwrite(fd, buf, math.MaxInt64-9)
	t.WantErr("pwrite across the end", err, unix.EINVAL)
	_, err = f.Seek(math.MaxInt64, io.SeekCurrent)
	t.WantErr("seek beyond the end", err, unix.EINVAL)
	_, err = f.Seek(math.MaxInt64, io.SeekEnd)
	t.WantErr("seek beyond the end", err, unix.EINVAL)
	at, err := f.Seek(0, io.SeekCurrent)
	t.Must(err)
	check.Equal(t, "position after failures", at, 10)
}

func preadPwrite(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	_, err := f.WriteString("aaaaaaaaaa")
	t.Must(err)
	_, err = f.WriteAt([]byte("bb"), 4)
	t.Must(err)
	_, err = f.WriteAt([]byte("cc"), 12)
	t.Must(err)
	buf := make([]byte, 4)
	_, err = f.ReadAt(buf, 3)
	t.Must(err)
	check.Equal(t, "pread", string(buf), "abba")
	at, err := f.Seek(0, io.SeekCurrent)
	t.Must(err)
	check.Equal(t, "position", at, 10)
	n, err := f.ReadAt(buf, 12)
	check.Equal(t, "short pread", n, 2)
	t.WantErr("short pread", err, io.EOF)
	_, err = unix.Pread(int(f.Fd()), buf, -1)
	t.WantErr("pread at -1", err, unix.EINVAL)
	wantContent(t, path, []byte("aaaabbaaaa\x00\x00cc"))

	f = openFile(t, path, os.O_RDWR|os.O_APPEND)
	_, err = unix.Pwrite(int(f.Fd()), []byte("end"), 0)
	t.Must(err)
	// pwrite(2), BUGS: with O_APPEND the offset is ignored.
	wantContent(t, path, []byte("aaaabbaaaa\x00\x00ccend"))
}

func vectors(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	fd := int(f.Fd())
	n, err := unix.Writev(fd, [][]byte{[]byte("one"), nil, []byte("two"), []byte("three")})
	t.Must(err)
	check.Equal(t, "writev", n, 11)
	a, b := make([]byte, 4), make([]byte, 20)
	n, err = unix.Preadv(fd, [][]byte{a, b}, 0)
	t.Must(err)
	check.Equal(t, "preadv", n, 11)
	check.Equal(t, "preadv", string(a)+string(b[:7]), "onetwothree")
	_, err = unix.Pwritev(fd, [][]byte{[]byte("T"), []byte("W")}, 3)
	t.Must(err)
	_, err = unix.Seek(fd, 0, io.SeekStart)
	t.Must(err)
	n, err = unix.Readv(fd, [][]byte{a, b})
	t.Must(err)
	check.Equal(t, "readv", string(a)+string(b[:n-4]), "oneTWothree")

	n, err = unix.Writev(fd, nil)
	t.Must(err)
	check.Equal(t, "writev of nothing", n, 0)
	_, err = unix.Writev(fd, make([][]byte, 1025))
	t.WantErr("writev of more than IOV_MAX", err, unix.EINVAL)
}

func holes(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	const far = 3<<20 + 17
	_, err := f.WriteAt([]byte("end"), far)
	t.Must(err)
	buf := bytes.Repeat([]byte{1}, 5000)
	_, err = f.ReadAt(buf, far-4999)
	if !errors.Is(err, io.EOF) && err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(buf[:4999], make([]byte, 4999)) || buf[4999] != 'e' {
		t.Errorf("a hole does not read as zeros")
	}
}

func truncate(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	_, err := f.Write(pattern(9000))
	t.Must(err)
	t.Must(f.Truncate(4000))
	wantContent(t, path, pattern(4000))
	// What was cut off must not come back when the file grows again.
	t.Must(os.Truncate(path, 9000))
	wantContent(t, path, append(pattern(4000), make([]byte, 5000)...))
	t.WantErr("ftruncate to -1", unix.Ftruncate(int(f.Fd()), -1), unix.EINVAL)
	r := openFile(t, path, os.O_RDONLY)
	t.WantErr("ftruncate of O_RDONLY", unix.Ftruncate(int(r.Fd()), 0), unix.EINVAL)
}

func bigFile(t *check.T) {
	const chunk, chunks = 1 << 20, 16
	f := openFile(t, tempDir(t)+"/f", os.O_RDWR|os.O_CREATE)
	data := pattern(chunk)
	for i := range chunks {
		data[0] = byte(i)
		_, err := f.Write(data)
		t.Must(err)
	}
	t.Must(f.Sync())
	_, err := f.Seek(0, io.SeekStart)
	t.Must(err)
	got := make([]byte, chunk)
	for i := range chunks {
		_, err := io.ReadFull(f, got)
		t.Must(err)
		data[0] = byte(i)
		if !bytes.Equal(got, data) {
			t.Fatalf("chunk %d differs", i)
		}
	}
}

func unlinkedOpen(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	t.Must(os.Remove(path))
	_, err := f.WriteString("still here")
	t.Must(err)
	buf := make([]byte, 10)
	_, err = f.ReadAt(buf, 0)
	t.Must(err)
	check.Equal(t, "content", string(buf), "still here")
	var st unix.Stat_t
	t.Must(unix.Fstat(int(f.Fd()), &st))
	check.Equal(t, "links", st.Nlink, 0)
	_, err = os.Stat(path)
	t.WantErr("stat", err, unix.ENOENT)
}

func stat(t *check.T) {
	dir := tempDir(t)
	t.Must(os.WriteFile(dir+"/a", pattern(5000), 0o640))
	t.Must(os.WriteFile(dir+"/b", nil, 0o600))
	var a, b, d, again unix.Stat_t
	t.Must(unix.Stat(dir+"/a", &a))
	t.Must(unix.Stat(dir+"/b", &b))
	t.Must(unix.Stat(dir, &d))
	check.Equal(t, "size", a.Size, 5000)
	check.Equal(t, "mode", a.Mode, unix.S_IFREG|0o640)
	check.Equal(t, "links", a.Nlink, 1)
	check.Equal(t, "type of the directory", d.Mode&unix.S_IFMT, unix.S_IFDIR)
	if a.Ino == b.Ino || a.Ino == d.Ino || a.Dev != d.Dev {
		t.Errorf("inodes %d, %d, %d on devices %d, %d", a.Ino, b.Ino, d.Ino, a.Dev, d.Dev)
	}
	if age := time.Since(time.Unix(a.Mtim.Unix())); age < -time.Minute || age > time.Minute {
		t.Errorf("a new file is %v old", age)
	}
	fd, err := unix.Open(dir+"/a", unix.O_RDONLY, 0)
	t.Must(err)
	t.Must(unix.Fstat(fd, &again))
	t.Must(unix.Close(fd))
	check.Equal(t, "fstat's inode", again.Ino, a.Ino)
	var x unix.Statx_t
	t.Must(unix.Statx(unix.AT_FDCWD, dir+"/a", 0, unix.STATX_BASIC_STATS, &x))
	check.Equal(t, "statx's size", x.Size, 5000)
	check.Equal(t, "statx's inode", x.Ino, a.Ino)
}

func chmodTimes(t *check.T) {
	path := tempDir(t) + "/f"
	t.Must(os.WriteFile(path, nil, 0o600))
	t.Must(os.Chmod(path, 0o751))
	when := time.Unix(1234567890, 123456789)
	t.Must(os.Chtimes(path, when, when))
	info, err := os.Stat(path)
	t.Must(err)
	check.Equal(t, "mode", info.Mode(), 0o751)
	if !info.ModTime().Equal(when) {
		t.Errorf("modification time %v, want %v", info.ModTime(), when)
	}
	t.Must(os.WriteFile(path, []byte("new"), 0))
	info, err = os.Stat(path)
	t.Must(err)
	if time.Since(info.ModTime()) > time.Minute {
		t.Errorf("writing left the modification time at %v", info.ModTime())
	}
	old := unix.Umask(0o027)
	t.Must(os.Mkdir(path+"d", 0o777))
	check.Equal(t, "umask", unix.Umask(old), 0o027)
	info, err = os.Stat(path + "d")
	t.Must(err)
	check.Equal(t, "mode under umask 027", info.Mode().Perm(), 0o750)
}

// copyFile goes through what io.Copy tries first on Linux: copy_file_range, sendfile, splice.
func copyFile(t *check.T) {
	dir := tempDir(t)
	want := pattern(300000)
	t.Must(os.WriteFile(dir+"/from", want, 0o600))
	from, to := openFile(t, dir+"/from", os.O_RDONLY), openFile(t, dir+"/to", os.O_WRONLY|os.O_CREATE)
	n, err := io.Copy(to, from)
	t.Must(err)
	check.Equal(t, "bytes copied", n, 300000)
	wantContent(t, dir+"/to", want)
}

// copyWithinFile appends a copy of a file to it: asked for more, copy_file_range takes what there was at first.
func copyWithinFile(t *check.T) {
	path := tempDir(t) + "/file"
	want := pattern(100000)
	t.Must(os.WriteFile(path, want, 0o600))
	fd := int(openFile(t, path, os.O_RDWR).Fd())
	from, to := int64(0), int64(len(want))
	t.Undisturbed(func() {
		n, err := unix.CopyFileRange(fd, &from, fd, &to, 1<<40, 0)
		t.Must(err)
		check.Equal(t, "bytes copied", n, len(want))
	})
	wantContent(t, path, append(want, want...))
	from, to = 0, int64(len(want))
	_, err := unix.CopyFileRange(fd, &from, fd, &to, len(want)+1, 0)
	t.WantErr("ranges that overlap", err, unix.EINVAL)
}
