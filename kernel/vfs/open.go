package vfs

import (
	"io"
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// settable are the status flags that fcntl(F_SETFL) can change.
const settable = unix.O_APPEND | unix.O_ASYNC | unix.O_DIRECT | unix.O_NOATIME | unix.O_NONBLOCK

// statusFlags are the flags that F_GETFL shows; those that only direct the opening are dropped.
const statusFlags = settable | unix.O_ACCMODE | unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_SYNC | unix.O_DSYNC | LargeFile

// LargeFile is O_LARGEFILE, which Linux sets in every open of a 64-bit program (and package unix defines as 0).
const LargeFile = 0o100000

// SeekData and SeekHole of lseek(2).
const (
	SeekData = 3
	SeekHole = 4
)

// OpenFile is an open file description: what open(2) makes and what descriptors share, see open(2).
//
// It counts its references. A descriptor holds one, and so does each call that works on the file, so
// that a close by another thread doesn't end the file under the call.
type OpenFile struct {
	file  File
	sizer Sizer // file, or nil if it has no position
	refs  atomic.Int64
	flags atomic.Uint32 // statusFlags

	posMu sync.Mutex
	pos   int64 // guarded by posMu

	watchMu sync.Mutex
	watches *item // guarded by watchMu: the epoll items that watch this file

	lockMu sync.Mutex
	locked *flockState // guarded by lockMu: the node lock that this description takes part in
}

// NewOpenFile returns a description of f with one reference. flags are those of open(2).
func NewOpenFile(f File, flags uint32) *OpenFile {
	o := &OpenFile{file: f}
	o.sizer, _ = f.(Sizer)
	o.flags.Store(flags & statusFlags)
	o.refs.Store(1)
	if e, ok := PipeOf(f); ok {
		e.setPackets(flags&unix.O_DIRECT != 0)
	}
	return o
}

// File returns what is open.
func (o *OpenFile) File() File { return o.file }

// Flags returns the access mode and the status flags.
func (o *OpenFile) Flags() uint32 { return o.flags.Load() }

// SetFlags sets the status flags that can be changed, as F_SETFL does.
func (o *OpenFile) SetFlags(flags uint32) {
	if e, ok := PipeOf(o.file); ok {
		e.setPackets(flags&unix.O_DIRECT != 0)
	}
	for {
		old := o.flags.Load()
		if o.flags.CompareAndSwap(old, old&^settable|flags&settable) {
			return
		}
	}
}

// SetNonblock sets or clears O_NONBLOCK, as FIONBIO does.
func (o *OpenFile) SetNonblock(on bool) {
	if on {
		o.flags.Or(unix.O_NONBLOCK)
	} else {
		o.flags.And(^uint32(unix.O_NONBLOCK))
	}
}

// Nonblock tells whether O_NONBLOCK is set.
func (o *OpenFile) Nonblock() bool { return o.Flags()&unix.O_NONBLOCK != 0 }

// Readable tells whether the access mode allows reading. The mode 3 allows nothing but ioctl(2), see open(2).
func (o *OpenFile) Readable() bool {
	mode := o.Flags() & (unix.O_ACCMODE | unix.O_PATH)
	return mode == unix.O_RDONLY || mode == unix.O_RDWR
}

// Writable tells whether the access mode allows writing.
func (o *OpenFile) Writable() bool {
	mode := o.Flags() & (unix.O_ACCMODE | unix.O_PATH)
	return mode == unix.O_WRONLY || mode == unix.O_RDWR
}

// tryRetain takes a reference unless the last one is gone.
func (o *OpenFile) tryRetain() bool {
	for {
		n := o.refs.Load()
		if n <= 0 {
			return false
		}
		if o.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Retain takes another reference. The caller must hold one.
func (o *OpenFile) Retain() { o.refs.Add(1) }

// Release gives a reference up. The last one closes the file.
func (o *OpenFile) Release() {
	if o.refs.Add(-1) != 0 {
		return
	}
	o.closes()
	o.dropWatches()
	o.unlockAll()
	o.file.Close() // no file has anything to say here: data are where they belong when write returns
}

// HasPosition tells whether the file is one that lseek and pread work on.
func (o *OpenFile) HasPosition() bool { return o.sizer != nil }

// Read reads at the position and moves it. It doesn't wait: unix.EAGAIN.
func (o *OpenFile) Read(dst Dst) (int64, error) {
	if !o.Readable() {
		return 0, unix.EBADF
	}
	if o.sizer == nil {
		return o.file.Read(dst, 0)
	}
	o.posMu.Lock()
	defer o.posMu.Unlock()
	if beyondOffsets(o.pos, dst.Len()) {
		return 0, unix.EINVAL
	}
	n, err := o.file.Read(dst, o.pos)
	o.pos += n
	return n, err
}

// ReadAt reads at off and leaves the position alone, as pread(2) does.
func (o *OpenFile) ReadAt(dst Dst, off int64) (int64, error) {
	switch {
	case off < 0, beyondOffsets(off, dst.Len()):
		return 0, unix.EINVAL
	case !o.positional():
		return 0, unix.ESPIPE
	case !o.Readable():
		return 0, unix.EBADF
	}
	return o.file.Read(dst, off)
}

// Write writes at the position, or at the end with O_APPEND, and moves the position. It doesn't wait.
func (o *OpenFile) Write(src Src) (int64, error) {
	if !o.Writable() {
		return 0, unix.EBADF
	}
	if o.sizer == nil {
		return o.file.Write(src, 0)
	}
	o.posMu.Lock()
	defer o.posMu.Unlock()
	if beyondOffsets(o.pos, src.Len()) {
		return 0, unix.EINVAL
	}
	if o.Flags()&unix.O_APPEND != 0 {
		if a, ok := o.file.(Appender); ok {
			n, end, err := a.Append(src)
			if n > 0 {
				o.pos = end
			}
			return n, err
		}
	}
	n, err := o.file.Write(src, o.pos)
	o.pos += n
	return n, err
}

// WriteAt writes at off and leaves the position alone, as pwrite(2) does. As on Linux, O_APPEND
// wins over off [pwrite(2) BUGS].
func (o *OpenFile) WriteAt(src Src, off int64) (int64, error) {
	switch {
	case off < 0, beyondOffsets(off, src.Len()):
		return 0, unix.EINVAL
	case !o.positional():
		return 0, unix.ESPIPE
	case !o.Writable():
		return 0, unix.EBADF
	}
	if o.Flags()&unix.O_APPEND != 0 {
		if a, ok := o.file.(Appender); ok {
			n, _, err := a.Append(src)
			return n, err
		}
	}
	return o.file.Write(src, off)
}

// beyondOffsets tells whether a transfer of n bytes at off would end where no offset is: it is refused as a whole, whatever the size
// of the file (rw_verify_area of Linux).
func beyondOffsets(off int64, n int) bool { return off > math.MaxInt64-int64(n) }

// positional tells whether pread and pwrite work: files with a position, directories (which then
// refuse with EISDIR), and the devices on which seeking means nothing.
func (o *OpenFile) positional() bool {
	if o.sizer != nil {
		return true
	}
	switch o.file.(type) {
	case DirReader, positional:
		return true
	}
	return false
}

type (
	// seekless files accept lseek, and their position stays 0 (null_lseek and noop_llseek of Linux).
	seekless interface{ seekless() }
	// positional files accept pread and pwrite although they have no position.
	positional interface{ positional() }
)

// Seek moves the position, as lseek(2) does.
func (o *OpenFile) Seek(off int64, whence int) (int64, error) {
	if o.Flags()&unix.O_PATH != 0 {
		return 0, unix.EBADF
	}
	_, dir := o.file.(DirReader)
	if o.sizer == nil && !dir {
		if _, ok := o.file.(seekless); ok {
			return 0, nil
		}
		return 0, unix.ESPIPE
	}
	o.posMu.Lock()
	defer o.posMu.Unlock()
	var base int64
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = o.pos
	case io.SeekEnd, SeekData, SeekHole:
		if dir {
			return 0, unix.EINVAL
		}
		size, err := o.sizer.Size()
		if err != nil {
			return 0, err
		}
		if whence == io.SeekEnd {
			base = size
			break
		}
		// The simplest implementation that lseek(2) allows: no holes but the one at the end.
		if off < 0 || off >= size {
			return 0, unix.ENXIO
		}
		if whence == SeekHole {
			off = size
		}
	default:
		return 0, unix.EINVAL
	}
	if off > 0 && base > math.MaxInt64-off || base+off < 0 {
		return 0, unix.EINVAL
	}
	o.pos = base + off
	return o.pos, nil
}

// Truncate sets the size, as ftruncate(2) does.
func (o *OpenFile) Truncate(size int64) error {
	if size < 0 || !o.Writable() || o.sizer == nil {
		return unix.EINVAL
	}
	return o.sizer.Truncate(size)
}

// ReadDir lists the directory from the position on and moves it, as getdents64(2) does; see DirReader.
func (o *OpenFile) ReadDir(emit func(ino uint64, typ uint8, name string, next int64) bool) error {
	d, ok := o.file.(DirReader)
	if o.Flags()&unix.O_PATH != 0 {
		return unix.EBADF
	}
	if !ok {
		return unix.ENOTDIR
	}
	o.posMu.Lock()
	defer o.posMu.Unlock()
	return d.ReadDir(o.pos, func(ino uint64, typ uint8, name string, next int64) bool {
		if !emit(ino, typ, name, next) {
			return false
		}
		o.pos = next
		return true
	})
}
