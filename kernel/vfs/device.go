package vfs

import (
	"crypto/rand"
	"encoding/binary"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// newSpecial makes a node that open makes a file of.
func (fs *FS) newSpecial(dev uint64, mode uint32, open func(*opening) (File, error)) *Special {
	s := &Special{open: open}
	s.init(fs, dev, mode)
	return s
}

// newDev makes /dev, null(4), random(4), full(4), tty(4), vsock(7).
func (fs *FS) newDev() *Dir {
	d := fs.newDir(devRoot, 0o755)
	for _, device := range []struct {
		name         string
		major, minor uint32
		perm         uint32
		open         func(*opening) (File, error)
	}{
		{"null", 1, 3, 0o666, openNull},
		{"zero", 1, 5, 0o666, openZero},
		{"full", 1, 7, 0o666, openFull},
		{"random", 1, 8, 0o666, openRandom},
		{"urandom", 1, 9, 0o666, openRandom},
		{"kmsg", 1, 11, 0o644, openKmsg},
		{"tty", 5, 0, 0o666, openTTY},
		{"console", 5, 1, 0o600, openConsole},
	} {
		s := fs.newSpecial(devRoot, unix.S_IFCHR|device.perm, device.open)
		s.rdev = unix.Mkdev(device.major, device.minor)
		d.addLocked(device.name, s)
	}
	if fs.options.CID != nil {
		s := fs.newSpecial(devRoot, unix.S_IFCHR|0o666, openVsock)
		s.rdev = unix.Mkdev(10, vsockMinor)
		d.addLocked("vsock", s)
	}
	for _, link := range []struct{ name, target string }{
		{"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},
		{"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
	} {
		d.addLocked(link.name, fs.fixedLink(devRoot, link.target))
	}
	d.addLocked("shm", fs.newDir(devRoot, 0o1777))
	return d
}

// fixedLink makes a symbolic link that doesn't count as the program's.
func (fs *FS) fixedLink(dev uint64, target string) *Symlink {
	s := &Symlink{target: target}
	s.init(fs, dev, unix.S_IFLNK|0o777)
	return s
}

// device is what open devices have in common.
type device struct {
	alwaysReady
	opened
}

func newDevice(o *opening) device { return device{opened: o.file()} }

func (d *device) seekless()   {}
func (d *device) positional() {}

// drain takes all of src, as a write that goes nowhere does. The memory isn't touched.
func drain(src Src) (int64, error) { return int64(src.Len()), nil }

// fill writes pieces to dst until it is full. next returns the next piece, of n bytes at most; an empty one is the end.
func fill(dst Dst, next func(n int) []byte) (total int64, err error) {
	for err == nil && dst.Len() > 0 {
		piece := next(dst.Len())
		if len(piece) == 0 {
			break
		}
		var n int
		n, err = dst.Write(piece)
		total += int64(n)
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// nullFile is /dev/null.
type nullFile struct{ device }

func openNull(o *opening) (File, error) { return &nullFile{newDevice(o)}, nil }

// Read implements File.
func (*nullFile) Read(Dst, int64) (int64, error) { return 0, nil }

// Write implements File.
func (*nullFile) Write(src Src, _ int64) (int64, error) { return drain(src) }

// zeroFile is /dev/zero, or /dev/full, which has no room for anything.
type zeroFile struct {
	device
	full bool
}

func openZero(o *opening) (File, error) { return &zeroFile{newDevice(o), false}, nil }

func openFull(o *opening) (File, error) { return &zeroFile{newDevice(o), true}, nil }

// Read implements File.
func (*zeroFile) Read(dst Dst, _ int64) (int64, error) {
	return fill(dst, func(n int) []byte { return zeroPage[:min(n, len(zeroPage))] })
}

// Write implements File.
func (f *zeroFile) Write(src Src, _ int64) (int64, error) {
	if f.full {
		return 0, unix.ENOSPC
	}
	return drain(src)
}

// Mapping makes mmap of /dev/zero give anonymous memory. /dev/full can't be mapped.
func (f *zeroFile) Mapping() (mm.Backing, error) {
	if f.full {
		return nil, unix.ENODEV
	}
	return nil, nil
}

// randomFile is /dev/random and /dev/urandom, which are the same since Linux 5.6, but that one may wait.
type randomFile struct{ device }

// maxRandomRead is the most bytes that one read gives, random(4): a signal has to wait for the end of it.
const maxRandomRead = 32<<20 - 1

func openRandom(o *opening) (File, error) { return &randomFile{newDevice(o)}, nil }

// Read implements File.
func (f *randomFile) Read(dst Dst, _ int64) (int64, error) {
	bounce := newBounce()
	defer freeBounce(bounce)
	left := maxRandomRead
	return fill(dst, func(n int) []byte {
		p := bounce[:min(n, len(bounce), left)]
		left -= len(p)
		rand.Read(p) // never fails [crypto/rand]
		return p
	})
}

// Write implements File. What is written would be mixed in; there is enough already.
func (f *randomFile) Write(src Src, _ int64) (int64, error) { return drain(src) }

// vsockFile is /dev/vsock, which tells the machine's address.
type vsockFile struct{ device }

// vsockMinor is the number of /dev/vsock among the miscellaneous devices; Linux gives it a free one.
const vsockMinor = 121

func openVsock(o *opening) (File, error) { return &vsockFile{newDevice(o)}, nil }

// Read implements File.
func (*vsockFile) Read(Dst, int64) (int64, error) { return 0, unix.EINVAL }

// Write implements File.
func (*vsockFile) Write(Src, int64) (int64, error) { return 0, unix.EINVAL }

// Ioctl implements Ioctler.
func (f *vsockFile) Ioctl(mem Memory, cmd, arg uint64) (uint64, error) {
	if cmd != unix.IOCTL_VM_SOCKETS_GET_LOCAL_CID {
		return 0, unix.ENOTTY
	}
	return 0, mem.CopyOut(arg, binary.NativeEndian.AppendUint32(nil, f.node.fs.options.CID()))
}

// kmsgFile is /dev/kmsg: what is written goes to the kernel log.
type kmsgFile struct{ device }

func openKmsg(o *opening) (File, error) { return &kmsgFile{newDevice(o)}, nil }

// Read implements File. DEVIATION: the log is the host's and can't be read back.
func (*kmsgFile) Read(Dst, int64) (int64, error) { return 0, unix.EAGAIN }

// maxKmsg is the longest record of /dev/kmsg in bytes (LOG_LINE_MAX).
const maxKmsg = 1024 - 32

// Write implements File.
func (f *kmsgFile) Write(src Src, _ int64) (int64, error) {
	n := src.Len()
	if n > maxKmsg {
		return 0, unix.EINVAL
	}
	line := make([]byte, n)
	n, err := src.Read(line)
	if n > 0 && f.node.fs.options.Log != nil {
		f.node.fs.options.Log("%s", line[:n])
	}
	return int64(n), err
}
