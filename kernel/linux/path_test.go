package linux

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// field returns a field of a structure in the program's memory, found by the layout that package unix knows.
func (p *fileProgram) field(addr uint64, of any, name string) uint64 {
	typ := reflect.TypeOf(of)
	offset := uint64(0)
	size := 0
	for _, part := range strings.Split(name, ".") {
		f, ok := typ.FieldByName(part)
		if !ok {
			p.tb.Fatalf("%T has no %s", of, name)
		}
		offset += uint64(f.Offset)
		typ, size = f.Type, int(f.Type.Size())
	}
	b := make([]byte, 8)
	copy(b, p.bytes(addr+offset, size))
	return binary.LittleEndian.Uint64(b)
}

// fields adds checks of the fields of a structure.
func (p *fileProgram) fields(addr uint64, of any, want map[string]uint64) {
	p.tb.Helper()
	p.check(func() {
		p.tb.Helper()
		for name, v := range want {
			if got := p.field(addr, of, name); got != v {
				p.tb.Errorf("%T.%s = %#x, want %#x", of, name, got, v)
			}
		}
	})
}

func TestStat(t *testing.T) {
	p := newFileProgram(t)
	if size := reflect.TypeOf(unix.Stat_t{}).Size(); size != sizeofStat {
		t.Fatal(size)
	}
	f, link, d := p.str("/f"), p.str("/d/l"), p.str("/d")
	p.store(dataAt+512, 1234567, 89, 7654321, 98)
	p.returns(0, unix.SYS_UTIMENSAT, cwd, f, dataAt+512, 0)
	p.returns(0, unix.SYS_CHOWN, f, 1000, 2000)
	want := map[string]uint64{
		"Mode": unix.S_IFREG | 0o755, "Size": 10, "Nlink": 1, "Uid": 1000, "Gid": 2000, "Blksize": 4096, "Blocks": 1,
		"Atim.Sec": 1234567, "Atim.Nsec": 89, "Mtim.Sec": 7654321, "Mtim.Nsec": 98, "Rdev": 0, "Dev": 1,
	}
	p.returns(0, unix.SYS_STAT, f, dataAt)
	p.fields(dataAt, unix.Stat_t{}, want)
	p.returns(0, unix.SYS_STAT, link, dataAt)
	p.fields(dataAt, unix.Stat_t{}, want)
	p.returns(0, unix.SYS_NEWFSTATAT, cwd, f, dataAt, 0)
	p.fields(dataAt, unix.Stat_t{}, want)
	p.open(0, "/f", unix.O_RDONLY)
	p.returns(0, unix.SYS_FSTAT, 0, dataAt)
	p.fields(dataAt, unix.Stat_t{}, want)
	p.returns(0, unix.SYS_NEWFSTATAT, 0, p.str(""), dataAt, unix.AT_EMPTY_PATH)
	p.fields(dataAt, unix.Stat_t{}, want)
	p.returns(0, unix.SYS_NEWFSTATAT, 0, 0, dataAt, unix.AT_EMPTY_PATH)
	p.returns(unix.ENOENT, unix.SYS_NEWFSTATAT, 0, p.str(""), dataAt, 0)
	p.returns(unix.EINVAL, unix.SYS_NEWFSTATAT, 0, f, dataAt, 1)
	p.returns(unix.EFAULT, unix.SYS_NEWFSTATAT, 0, bad, dataAt, 0)
	p.returns(unix.EFAULT, unix.SYS_FSTAT, 0, bad)
	p.returns(unix.EBADF, unix.SYS_FSTAT, 7, dataAt)
	p.returns(0, unix.SYS_LSTAT, link, dataAt)
	p.fields(dataAt, unix.Stat_t{}, map[string]uint64{"Mode": unix.S_IFLNK | 0o777, "Size": 4})
	p.returns(0, unix.SYS_STAT, d, dataAt)
	p.fields(dataAt, unix.Stat_t{}, map[string]uint64{"Mode": unix.S_IFDIR | 0o755, "Nlink": 2})
	p.returns(0, unix.SYS_STATX, cwd, f, 0, unix.STATX_ALL, dataAt)
	p.fields(dataAt, unix.Statx_t{}, map[string]uint64{
		"Mask": unix.STATX_BASIC_STATS, "Mode": unix.S_IFREG | 0o755, "Size": 10, "Nlink": 1, "Uid": 1000, "Gid": 2000,
		"Blksize": 4096, "Blocks": 1, "Atime.Sec": 1234567, "Atime.Nsec": 89, "Mtime.Sec": 7654321, "Mtime.Nsec": 98,
		"Dev_minor": 1,
	})
	p.returns(0, unix.SYS_STATX, cwd, p.str("/dev/null"), 0, unix.STATX_ALL, dataAt)
	p.fields(dataAt, unix.Statx_t{}, map[string]uint64{"Rdev_major": 1, "Rdev_minor": 3})
	p.returns(unix.EINVAL, unix.SYS_STATX, cwd, f, 0, unix.STATX__RESERVED, dataAt)
	p.returns(0, unix.SYS_STATFS, f, dataAt)
	p.fields(dataAt, unix.Statfs_t{}, map[string]uint64{"Type": unix.TMPFS_MAGIC, "Bsize": 4096, "Blocks": 2048, "Namelen": 255, "Frsize": 4096})
	p.returns(0, unix.SYS_STATFS, p.str("/proc"), dataAt)
	p.fields(dataAt, unix.Statfs_t{}, map[string]uint64{"Type": unix.PROC_SUPER_MAGIC})
	p.returns(0, unix.SYS_FSTATFS, 0, dataAt)
	p.run()
}

func TestDirectoryCalls(t *testing.T) {
	p := newFileProgram(t)
	p.open(0, "/d", unix.O_RDONLY|unix.O_DIRECTORY)
	p.returns(0, unix.SYS_MKDIRAT, 0, p.str("sub"), 0o777)
	p.open(1, "/d/sub", unix.O_PATH)
	p.returns(0, unix.SYS_FCHDIR, 1)
	p.returns(7, unix.SYS_GETCWD, dataAt, 100)
	p.holds(dataAt, "/d/sub\x00")
	p.returns(unix.ERANGE, unix.SYS_GETCWD, dataAt, 6)
	p.returns(unix.EFAULT, unix.SYS_GETCWD, bad, 100)
	p.returns(0, unix.SYS_CHDIR, p.str(".."))
	p.returns(3, unix.SYS_GETCWD, dataAt, 100)
	p.returns(unix.ENOTDIR, unix.SYS_CHDIR, p.str("l"))
	p.returns(unix.ENOENT, unix.SYS_CHDIR, p.str("nowhere"))
	p.returns(unix.EBADF, unix.SYS_FCHDIR, 9)
	p.open(2, "l", unix.O_RDONLY)
	p.returns(unix.ENOTDIR, unix.SYS_FCHDIR, 2)
	p.returns(unix.ENOTDIR, unix.SYS_OPENAT, 2, p.str("x"), unix.O_RDONLY)
	p.returns(3, unix.SYS_OPENAT, 2, p.str("/f"), unix.O_RDONLY) // absolute: the descriptor doesn't matter
	p.returns(unix.EBADF, unix.SYS_OPENAT, 9, p.str("x"), unix.O_RDONLY)
	p.returns(unix.ENOENT, unix.SYS_OPENAT, 9, p.str(""), unix.O_RDONLY)

	const record = 24 // of ".", ".." and "l"; "sub" is as long
	p.returns(unix.EINVAL, unix.SYS_GETDENTS64, 0, dataAt, 23)
	p.returns(2*record, unix.SYS_GETDENTS64, 0, dataAt, 2*record+5)
	p.returns(2*record, unix.SYS_GETDENTS64, 0, dataAt+2*record, 4096)
	p.returns(0, unix.SYS_GETDENTS64, 0, dataAt, 4096)
	p.check(func() {
		b := p.bytes(dataAt, 4*record)
		_, _, names := unix.ParseDirent(b, -1, nil)
		sort.Strings(names)
		if strings.Join(names, " ") != "l sub" || string(b[19:22]) != ".\x00\x00" || b[18] != unix.DT_DIR || b[2*record+18] != unix.DT_LNK {
			t.Errorf("entries %q", b)
		}
	})
	p.returns(0, unix.SYS_LSEEK, 0, 0, unix.SEEK_SET)
	p.returns(4*record, unix.SYS_GETDENTS64, 0, dataAt, 4096)
	p.returns(unix.ENOTDIR, unix.SYS_GETDENTS64, 2, dataAt, 4096)
	p.returns(unix.EBADF, unix.SYS_GETDENTS64, 1, dataAt, 4096)
	// A removed working directory.
	p.returns(0, unix.SYS_CHDIR, p.str("/d/sub"))
	p.returns(0, unix.SYS_UNLINKAT, 0, p.str("sub"), unix.AT_REMOVEDIR)
	p.returns(unix.ENOENT, unix.SYS_GETCWD, dataAt, 100)
	p.open(unix.ENOENT, "x", unix.O_CREAT|unix.O_RDWR)
	p.run()
}

func TestNames(t *testing.T) {
	p := newFileProgram(t)
	f, g, d, l := p.str("/f"), p.str("/g"), p.str("/d"), p.str("/d/l")
	p.returns(0, unix.SYS_LINK, f, g)
	p.returns(unix.EPERM, unix.SYS_LINK, d, p.str("/e"))
	p.returns(unix.EEXIST, unix.SYS_LINK, f, g)
	p.returns(0, unix.SYS_UNLINK, g)
	p.returns(unix.ENOENT, unix.SYS_UNLINK, g)
	p.returns(unix.EISDIR, unix.SYS_UNLINK, d)
	p.returns(unix.ENOTEMPTY, unix.SYS_RMDIR, d)
	p.returns(unix.ENOTDIR, unix.SYS_RMDIR, f)
	p.returns(unix.EINVAL, unix.SYS_UNLINKAT, cwd, f, 1)
	p.returns(0, unix.SYS_RENAME, f, g)
	p.returns(unix.ENOENT, unix.SYS_RENAMEAT, cwd, f, cwd, g)
	p.returns(unix.EEXIST, unix.SYS_RENAMEAT2, cwd, g, cwd, l, unix.RENAME_NOREPLACE)
	p.returns(unix.EINVAL, unix.SYS_RENAMEAT2, cwd, g, cwd, l, unix.RENAME_WHITEOUT)
	p.returns(0, unix.SYS_RENAMEAT2, cwd, g, cwd, l, unix.RENAME_EXCHANGE)
	p.returns(4, unix.SYS_READLINK, g, dataAt, 100)
	p.holds(dataAt, "../f")
	p.returns(2, unix.SYS_READLINKAT, cwd, g, dataAt, 2)
	p.returns(unix.EINVAL, unix.SYS_READLINK, g, dataAt, 0)
	p.returns(unix.EINVAL, unix.SYS_READLINK, d, dataAt, 100)
	p.returns(0, unix.SYS_OPENAT, cwd, g, unix.O_PATH|unix.O_NOFOLLOW)
	p.returns(4, unix.SYS_READLINKAT, 0, p.str(""), dataAt, 100)
	p.returns(unix.ENOENT, unix.SYS_READLINKAT, cwd, p.str(""), dataAt, 100)
	p.returns(0, unix.SYS_SYMLINKAT, p.str("somewhere"), cwd, p.str("/s"))
	p.returns(unix.ENOENT, unix.SYS_SYMLINK, p.str(""), p.str("/t"))
	p.returns(unix.EEXIST, unix.SYS_SYMLINK, f, p.str("/s"))
	p.returns(0, unix.SYS_MKNOD, p.str("/n"), unix.S_IFREG|0o600)
	p.returns(unix.EPERM, unix.SYS_MKNODAT, cwd, p.str("/m"), unix.S_IFBLK)
	p.returns(unix.EINVAL, unix.SYS_MKNOD, p.str("/m"), unix.S_IFLNK)
	p.returns(unix.ENAMETOOLONG, unix.SYS_MKDIR, p.str("/"+strings.Repeat("x", 256)), 0o700)
	p.returns(unix.ENAMETOOLONG, unix.SYS_MKDIR, p.str(strings.Repeat("/x", 2048)), 0o700)
	p.returns(unix.EFAULT, unix.SYS_MKDIR, bad, 0o700)
	p.returns(0, unix.SYS_LINKAT, 0, p.str(""), cwd, p.str("/d/again"), unix.AT_EMPTY_PATH)
	p.returns(4, unix.SYS_READLINK, p.str("/d/again"), dataAt, 100)
	p.returns(unix.EINVAL, unix.SYS_LINKAT, 0, p.str(""), cwd, p.str("/d/other"), unix.AT_REMOVEDIR)
	p.run()
}

func TestAttributes(t *testing.T) {
	p := newFileProgram(t)
	f := p.str("/f")
	mode := func(want uint64) {
		t.Helper()
		p.returns(0, unix.SYS_STAT, f, dataAt)
		p.fields(dataAt, unix.Stat_t{}, map[string]uint64{"Mode": unix.S_IFREG | want})
	}
	p.returns(0, unix.SYS_CHMOD, f, 0o4755)
	mode(0o4755)
	p.returns(0, unix.SYS_CHOWN, f, 0, minus1)
	mode(0o755)
	p.open(0, "/f", unix.O_RDWR)
	p.returns(0, unix.SYS_FCHMOD, 0, 0o600)
	mode(0o600)
	p.returns(0, unix.SYS_FCHMODAT, cwd, p.str("/d/l"), 0o644)
	mode(0o644)
	p.returns(unix.EOPNOTSUPP, sysFchmodat2, cwd, p.str("/d/l"), 0o600, unix.AT_SYMLINK_NOFOLLOW)
	p.returns(unix.EACCES, unix.SYS_ACCESS, f, unix.X_OK)
	p.returns(0, unix.SYS_ACCESS, f, unix.R_OK|unix.W_OK)
	p.returns(unix.EINVAL, unix.SYS_ACCESS, f, 8)
	p.returns(unix.ENOENT, unix.SYS_FACCESSAT, cwd, p.str("/x"), 0)
	p.returns(0, unix.SYS_FACCESSAT2, cwd, p.str("/d"), unix.X_OK, unix.AT_EACCESS)
	p.returns(0, unix.SYS_LCHOWN, p.str("/d/l"), 5, 6)
	p.returns(0, unix.SYS_FCHOWN, 0, 7, 8)
	p.returns(0, unix.SYS_FCHOWNAT, 0, p.str(""), 9, 10, unix.AT_EMPTY_PATH)
	p.returns(0, unix.SYS_FSTAT, 0, dataAt)
	p.fields(dataAt, unix.Stat_t{}, map[string]uint64{"Uid": 9, "Gid": 10})

	p.returns(0, unix.SYS_TRUNCATE, f, 5)
	p.returns(0, unix.SYS_FTRUNCATE, 0, 7)
	p.returns(unix.EINVAL, unix.SYS_FTRUNCATE, 0, minus1)
	p.returns(unix.EISDIR, unix.SYS_TRUNCATE, p.str("/d"), 5)
	p.returns(unix.EINVAL, unix.SYS_TRUNCATE, p.str("/dev/null"), 5)
	p.open(1, "/f", unix.O_RDONLY)
	p.returns(unix.EINVAL, unix.SYS_FTRUNCATE, 1, 7)
	p.returns(7, unix.SYS_READ, 1, dataAt, 100)
	p.holds(dataAt, "01234\x00\x00")
	p.returns(0, unix.SYS_FALLOCATE, 0, 0, 10, 10)
	p.returns(20, unix.SYS_LSEEK, 1, 0, unix.SEEK_END)
	p.returns(0, unix.SYS_FALLOCATE, 0, unix.FALLOC_FL_KEEP_SIZE, 10, 100)
	p.returns(20, unix.SYS_LSEEK, 1, 0, unix.SEEK_END)
	p.returns(unix.EBADF, unix.SYS_FALLOCATE, 1, 0, 10, 10)
	p.returns(unix.EINVAL, unix.SYS_FALLOCATE, 0, 0, 10, 0)
	p.returns(unix.EOPNOTSUPP, unix.SYS_FALLOCATE, 0, unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096)
	p.returns(unix.EFBIG, unix.SYS_FALLOCATE, 0, 0, 1<<62, 1<<62)
	p.returns(unix.ENOSPC, unix.SYS_FALLOCATE, 0, 0, 0, 1<<40)

	p.store(dataAt, 5, 6, 7, unix.UTIME_OMIT)
	p.returns(0, unix.SYS_UTIMENSAT, 0, 0, dataAt, 0)
	p.returns(0, unix.SYS_FSTAT, 0, dataAt+256)
	p.fields(dataAt+256, unix.Stat_t{}, map[string]uint64{"Atim.Sec": 5, "Atim.Nsec": 6})
	p.store(dataAt, 5, 1e9, 7, 0)
	p.returns(unix.EINVAL, unix.SYS_UTIMENSAT, cwd, f, dataAt, 0)
	p.store(dataAt, 11, 12, 13, 14)
	p.returns(0, unix.SYS_UTIMES, f, dataAt)
	p.returns(0, unix.SYS_FSTAT, 0, dataAt+256)
	p.fields(dataAt+256, unix.Stat_t{}, map[string]uint64{"Atim.Sec": 11, "Atim.Nsec": 12000, "Mtim.Sec": 13, "Mtim.Nsec": 14000})
	p.returns(0, unix.SYS_UTIME, f, dataAt)
	p.returns(0, unix.SYS_FSTAT, 0, dataAt+256)
	p.fields(dataAt+256, unix.Stat_t{}, map[string]uint64{"Atim.Sec": 11, "Atim.Nsec": 0, "Mtim.Sec": 12, "Mtim.Nsec": 0})

	p.returns(0, unix.SYS_FSYNC, 0)
	p.returns(0, unix.SYS_FDATASYNC, 0)
	p.returns(0, unix.SYS_SYNC)
	p.returns(0, unix.SYS_SYNCFS, 0)
	p.returns(0, unix.SYS_FADVISE64, 0, 0, 0, unix.FADV_WILLNEED)
	p.returns(0, unix.SYS_PIPE, dataAt)
	p.returns(unix.EINVAL, unix.SYS_FSYNC, 2)
	p.returns(unix.ESPIPE, unix.SYS_FADVISE64, 2, 0, 0, 0)
	p.returns(unix.ESPIPE, unix.SYS_FALLOCATE, 3, 0, 0, 1)
	p.returns(unix.EINVAL, unix.SYS_FTRUNCATE, 3, 0)
	p.run()
}

func TestUmaskAndOpen(t *testing.T) {
	p := newFileProgram(t)
	p.returns(0o022, unix.SYS_UMASK, 0o027)
	p.returns(0, unix.SYS_CREAT, p.str("/new"), 0o666)
	p.returns(0, unix.SYS_FSTAT, 0, dataAt)
	p.fields(dataAt, unix.Stat_t{}, map[string]uint64{"Mode": unix.S_IFREG | 0o640})
	p.returns(0, unix.SYS_MKDIR, p.str("/dir"), 0o777)
	p.returns(0, unix.SYS_STAT, p.str("/dir"), dataAt)
	p.fields(dataAt, unix.Stat_t{}, map[string]uint64{"Mode": unix.S_IFDIR | 0o750})
	p.returns(unix.O_WRONLY|vfs.LargeFile, unix.SYS_FCNTL, 0, unix.F_GETFL)
	p.returns(1, unix.SYS_OPEN, p.str("/d"), unix.O_TMPFILE|unix.O_RDWR, 0o600)
	p.store(dataAt, unix.O_RDONLY|unix.O_CLOEXEC, 0, 0)
	p.returns(2, unix.SYS_OPENAT2, cwd, p.str("/f"), dataAt, sizeofOpenHow)
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 2, unix.F_GETFD)
	p.returns(unix.EINVAL, unix.SYS_OPENAT2, cwd, p.str("/f"), dataAt, 8)
	p.store(dataAt, unix.O_RDONLY, 0o600, 0)
	p.returns(unix.EINVAL, unix.SYS_OPENAT2, cwd, p.str("/f"), dataAt, sizeofOpenHow)
	p.store(dataAt, unix.O_RDONLY, 0, 0, 1)
	p.returns(unix.E2BIG, unix.SYS_OPENAT2, cwd, p.str("/f"), dataAt, sizeofOpenHow+8)
	p.open(3, "/proc/self/fd/2", unix.O_RDONLY)
	p.returns(10, unix.SYS_READ, 3, dataAt, 100)
	p.run()
}

// fileCalls are the calls on files that never wait for another thread, whatever their arguments are.
var fileCalls = []int{
	unix.SYS_LSEEK, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_OPEN,
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_CREAT, unix.SYS_GETCWD, unix.SYS_CHDIR, unix.SYS_FCHDIR,
	unix.SYS_GETDENTS64, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX,
	unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_ACCESS, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
	unix.SYS_READLINK, unix.SYS_READLINKAT, unix.SYS_MKDIR, unix.SYS_MKDIRAT, unix.SYS_MKNOD, unix.SYS_RMDIR,
	unix.SYS_UNLINK, unix.SYS_UNLINKAT, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINK,
	unix.SYS_LINKAT, unix.SYS_SYMLINK, unix.SYS_SYMLINKAT, unix.SYS_CHMOD, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
	unix.SYS_CHOWN, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_UTIMES, unix.SYS_TRUNCATE,
	unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FADVISE64, unix.SYS_FSYNC, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE,
	unix.SYS_DUP, unix.SYS_DUP2, unix.SYS_DUP3, unix.SYS_FCNTL, unix.SYS_PIPE2, unix.SYS_EVENTFD2,
	unix.SYS_MEMFD_CREATE, unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_SETTIME, unix.SYS_TIMERFD_GETTIME,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_IOCTL, unix.SYS_COPY_FILE_RANGE,
}

// TestNonsense makes calls with arguments that mean nothing. Nothing bad may come of it: no panic, no endless
// loop, and afterwards the program goes on.
func TestNonsense(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		p := newFileProgram(t)
		arguments := []uint64{
			0, 1, 2, 3, 4, 5, 6, 7, 8, 24, 100, 4096, 1 << 20, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 40, 1 << 47, 1<<63 - 1, 1 << 63,
			minus1, cwd, bad, dataAt, dataAt + 8, dataAt + dataLen - 8, dataAt + dataLen,
			p.str("/f"), p.str("/d"), p.str("d/l"), p.str("."), p.str(".."), p.str(""), p.str("/new"), p.str("d/new"), p.str("/proc/self/fd/3"),
			unix.O_RDWR | unix.O_CREAT, unix.O_PATH, unix.O_RDWR | unix.O_TMPFILE, unix.O_NONBLOCK, unix.AT_EMPTY_PATH,
			unix.EPOLL_CTL_ADD, unix.F_SETPIPE_SZ, unix.F_DUPFD, unix.TIOCINQ, fionbio,
		}
		words := make([]uint64, 64)
		for i := range words {
			words[i] = arguments[rnd.IntN(len(arguments))]
		}
		p.store(dataAt, words...)
		for range 500 {
			number := fileCalls[rnd.IntN(len(fileCalls))]
			args := make([]uint64, 6)
			for i := range args {
				args[i] = arguments[rnd.IntN(len(arguments))]
			}
			p.Call(number, args...)
		}
		p.returns(0, unix.SYS_CLOSE_RANGE, 0, minus1, 0)
		p.returns(unix.EBADF, unix.SYS_DUP2, 0, 0)
		p.run()
	}
}
