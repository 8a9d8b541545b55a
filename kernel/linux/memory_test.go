package linux

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
	"wick/kernel/vfs"
)

// plainFile is a file that can't be mapped.
type plainFile struct{ vfs.File }

func (plainFile) Close() error { return nil }

// mappedFile is a file that can.
type mappedFile struct {
	plainFile
	backing mm.Backing
	err     error
}

func (f mappedFile) Mapping() (mm.Backing, error) { return f.backing, f.err }
func (f mappedFile) Path() string                 { return "/tmp/file" }

// TestMmapOfFiles tries what concerns the descriptor, mmap(2).
func TestMmapOfFiles(t *testing.T) {
	p := newProgram(t)
	machine := p.proc.Kernel.Machine.(*mmtest.Machine)
	data := bytes.Repeat([]byte("wick"), 2000)
	file := mappedFile{backing: machine.NewFile(data, true)}
	for i, open := range []struct {
		file  vfs.File
		flags uint32
	}{
		{file, unix.O_RDONLY}, {file, unix.O_RDWR}, {file, unix.O_WRONLY}, {file, unix.O_PATH},
		{plainFile{}, unix.O_RDWR}, {mappedFile{}, unix.O_RDWR}, {mappedFile{err: unix.EACCES}, unix.O_RDONLY},
	} {
		if fd, err := p.proc.FDs.Open(open.file, open.flags); fd != i || err != nil {
			t.Fatalf("descriptor %d, %v", fd, err)
		}
	}
	const readOnly, readWrite, writeOnly, pathOnly, plain, zero, refused = 0, 1, 2, 3, 4, 5, 6
	const at = 0x1000000
	const fixed, r, rw = unix.MAP_FIXED, unix.PROT_READ, unix.PROT_READ | unix.PROT_WRITE
	const private, shared, anonymous = unix.MAP_PRIVATE, unix.MAP_SHARED, unix.MAP_ANONYMOUS
	noFD := uint64(0xffffffff) // -1 in 32 bits, as compilers pass it

	mapped := func(want any, length, prot, flags, fd, off uint64) {
		t.Helper()
		p.returns(want, unix.SYS_MMAP, at, length, prot, flags|fixed, fd, off)
	}
	mapped(at, 8000, r, private, readOnly, 0)
	p.check(func() {
		if v := p.word(at + 4096); v != 0x6b6369776b636977 {
			t.Errorf("the file reads as %#x", v)
		}
		maps := p.proc.Space.Maps()
		if a := maps[len(maps)-1]; a.Start != at || a.Name != "/tmp/file" || a.Prot != r {
			t.Errorf("area %+v", a)
		}
	})
	mapped(at, 4096, rw, private, readOnly, 4096)
	p.store(at, 5)
	mapped(at, 4096, r, shared, readOnly, 0)
	p.check(func() {
		if v := p.word(at); v != 0x6b6369776b636977 {
			t.Errorf("a write to a private mapping reaches the file: %#x", v)
		}
	})
	mapped(unix.EACCES, 4096, rw, shared, readOnly, 0)
	mapped(unix.ENODEV, 4096, rw, shared, readWrite, 0) // it is no mm.SharedBacking
	mapped(unix.EACCES, 4096, r, private, writeOnly, 0)
	mapped(unix.EBADF, 4096, r, private, pathOnly, 0)
	mapped(unix.ENODEV, 4096, r, private, plain, 0)
	mapped(unix.EACCES, 4096, r, private, refused, 0)
	mapped(unix.EBADF, 4096, r, private, noFD, 0)
	mapped(unix.EBADF, 4096, r, private, 77, 0)
	mapped(unix.EINVAL, 4096, r, private, readOnly, 100)
	mapped(unix.EINVAL, 0, r, private, readOnly, 0)
	mapped(unix.EINVAL, 4096, r, 0, readOnly, 0)
	mapped(at, 4096, rw, private, zero, 1<<20) // as /dev/zero
	p.store(at, 7)
	mapped(at, 4096, rw, private|anonymous, noFD, 0)
	mapped(at, 4096, rw, private|anonymous, noFD, 8192)
	mapped(unix.EINVAL, 4096, rw, private|anonymous, noFD, 1)
	p.check(func() {
		if v := p.word(at); v != 0 {
			t.Errorf("new memory has %#x", v)
		}
	})
	// The mapping outlives the descriptor.
	mapped(at, 8000, r, private, readOnly, 0)
	p.check(func() { p.proc.FDs.Close(readOnly) })
	p.check(func() {
		if v := p.word(at + 4096); v != 0x6b6369776b636977 {
			t.Errorf("the file reads as %#x", v)
		}
	})
	p.run()
}

// TestMemoryCalls tries that each call gets its arguments; what they do is tested in mm.
func TestMemoryCalls(t *testing.T) {
	p := newProgram(t)
	const at, page = 0x1000000, 4096
	const rw = unix.PROT_READ | unix.PROT_WRITE
	p.returns(at, unix.SYS_MMAP, at, 4*page, rw, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, 0, 0)
	p.store(at, 1)
	p.returns(0, unix.SYS_MPROTECT, at, page, unix.PROT_READ)
	p.returns(unix.EINVAL, unix.SYS_MPROTECT, at+1, page, unix.PROT_READ)
	p.check(func() {
		if err := p.proc.Space.PutUint32(at, 2); err != unix.EFAULT {
			t.Errorf("write after mprotect: %v", err)
		}
	})
	p.returns(0, unix.SYS_MINCORE, at, 4*page, dataAt)
	p.check(func() {
		if v := p.word(dataAt); v != 1 {
			t.Errorf("mincore: %#x", v)
		}
	})
	p.returns(unix.EFAULT, unix.SYS_MINCORE, at, 4*page, 0)
	p.returns(0, unix.SYS_MADVISE, at, page, unix.MADV_DONTNEED)
	p.returns(unix.EINVAL, unix.SYS_MADVISE, at, page, 0xffffffff)
	p.check(func() {
		if v := p.word(at); v != 0 {
			t.Errorf("after MADV_DONTNEED: %#x", v)
		}
	})
	p.returns(0, unix.SYS_MSYNC, at, page, unix.MS_SYNC)
	p.returns(unix.EINVAL, unix.SYS_MSYNC, at, page, unix.MS_SYNC|unix.MS_ASYNC)
	p.returns(0, unix.SYS_MLOCK, at, 4*page)
	p.returns(unix.ENOMEM, unix.SYS_MLOCK, at, 5*page)
	p.returns(0, unix.SYS_MLOCK2, at, page, 1)
	p.returns(unix.EINVAL, unix.SYS_MLOCK2, at, page, 2)
	p.returns(0, unix.SYS_MUNLOCK, at, page)
	p.returns(0, unix.SYS_MLOCKALL, unix.MCL_CURRENT)
	p.returns(unix.EINVAL, unix.SYS_MLOCKALL, 0)
	p.returns(0, unix.SYS_MUNLOCKALL)
	p.returns(at+8*page, unix.SYS_MREMAP, at+page, page, 2*page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, at+8*page)
	p.returns(unix.EFAULT, unix.SYS_MREMAP, at+page, page, 2*page, unix.MREMAP_MAYMOVE, 0)
	p.returns(0, unix.SYS_MUNMAP, at, 16*page)
	p.returns(unix.EINVAL, unix.SYS_MUNMAP, at, 0)
	p.check(func() { p.proc.Space.SetBrk(at) })
	p.returns(at, unix.SYS_BRK, 0)
	p.returns(at+page, unix.SYS_BRK, at+page)
	p.store(at, 3)
	p.returns(at+page, unix.SYS_BRK, 5)
	p.returns(at, unix.SYS_BRK, at)
	p.run()
}

// TestSharedMappingOfFile maps a file shared by its system calls: writes through memory and through the descriptor are the same.
func TestSharedMappingOfFile(t *testing.T) {
	p := newFileProgram(t)
	fs, err := vfs.NewFS(nil, 0, vfs.Options{Frames: p.proc.Kernel.Machine})
	if err != nil {
		t.Fatal(err)
	}
	p.proc.Paths = fs.NewPaths()
	const at, page = 0x1000000, 4096
	const r, rw = unix.PROT_READ, unix.PROT_READ | unix.PROT_WRITE
	p.returns(0, unix.SYS_MEMFD_CREATE, p.str("mem"), 0)
	p.returns(0, unix.SYS_FTRUNCATE, 0, 2*page)
	p.returns(at, unix.SYS_MMAP, at, 3*page, rw, unix.MAP_SHARED|unix.MAP_FIXED, 0, 0)
	p.returns(at+4*page, unix.SYS_MMAP, at+4*page, 2*page, r, unix.MAP_SHARED_VALIDATE|unix.MAP_FIXED, 0, 0)
	p.returns(unix.EOPNOTSUPP, unix.SYS_MMAP, at+8*page, page, r, unix.MAP_SHARED_VALIDATE|unix.MAP_FIXED|0x80000, 0, 0) // MAP_SYNC
	p.store(at+page, 0x6b636977)
	p.returns(8, unix.SYS_PREAD64, 0, dataAt, 8, page)
	p.returns(8, unix.SYS_PWRITE64, 0, dataAt, 8, 16)
	p.check(func() {
		for _, addr := range []uint64{dataAt, at + 16, at + 4*page + 16, at + 5*page} {
			if v := p.word(addr); v != 0x6b636977 {
				t.Errorf("%#x holds %#x", addr, v)
			}
		}
		if err := p.proc.Space.PutUint64(at+2*page, 1); err != unix.EFAULT {
			t.Errorf("beyond the end: %v", err)
		}
	})
	p.returns(unix.EFAULT, unix.SYS_PWRITE64, 0, at+2*page, 8, 0)
	p.returns(0, unix.SYS_MPROTECT, at+4*page, page, rw) // the descriptor is open for writing
	p.returns(0, unix.SYS_MSYNC, at, 3*page, unix.MS_SYNC)
	p.returns(2*page, unix.SYS_PWRITE64, 0, at, 2*page, page) // from itself, beyond the end
	p.returns(0, unix.SYS_CLOSE, 0)
	p.store(at+2*page, 7)
	p.check(func() {
		if v := p.word(at + 16); v != 0x6b636977 {
			t.Errorf("after close: %#x", v)
		}
	})
	p.run()
}
