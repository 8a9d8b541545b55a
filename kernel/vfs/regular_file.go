package vfs

import (
	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// RegularFile is an open regular file.
type RegularFile struct {
	alwaysReady
	node *Regular
	dir  *Dir   // where it was opened; nil: it never had a name
	name string // in dir
}

// open returns the file opened by a name in dir.
func (f *Regular) open(dir *Dir, name string) *RegularFile {
	f.reference()
	return &RegularFile{node: f, dir: dir, name: name}
}

// Read implements File.
func (r *RegularFile) Read(dst Dst, off int64) (int64, error) {
	n, err := r.node.readAt(dst, off)
	if n > 0 {
		r.node.happened(unix.IN_ACCESS)
	}
	return n, err
}

// Write implements File.
func (r *RegularFile) Write(src Src, off int64) (int64, error) {
	n, _, err := r.node.writeAt(src, off, false)
	return n, err
}

// Append implements Appender.
func (r *RegularFile) Append(src Src) (n, end int64, err error) { return r.node.writeAt(src, 0, true) }

// Stat implements File.
func (r *RegularFile) Stat() (unix.Stat_t, error) { return r.node.Stat(), nil }

// Size implements Sizer.
func (r *RegularFile) Size() (int64, error) {
	r.node.mu.RLock()
	defer r.node.mu.RUnlock()
	return r.node.size, nil
}

// Truncate implements Sizer.
func (r *RegularFile) Truncate(size int64) error { return r.node.Truncate(size) }

// Allocate makes room for the n bytes at off, as fallocate(2) does.
func (r *RegularFile) Allocate(mode uint32, off, n int64) error {
	err := r.node.allocate(mode, off, n)
	if err == nil {
		r.node.touch()
		r.node.happened(unix.IN_MODIFY)
	}
	return err
}

// Mapping returns the contents for mmap: a mm.SharedBacking, if the file system has frames.
func (r *RegularFile) Mapping() (mm.Backing, error) {
	if r.node.fs.memory.frames == nil {
		return snapshot{r.node}, nil
	}
	return r.node, nil
}

// Execute makes the file a process's program: until done is called nobody can write to it (ETXTBSY, open(2), truncate(2)).
//
// DEVIATION: who has it open for writing already goes on; on Linux the file can't be executed then.
func (r *RegularFile) Execute() (done func()) {
	r.node.executing.Add(1)
	return func() { r.node.executing.Add(-1) }
}

// Node implements NodeHolder.
func (r *RegularFile) Node() Node { return r.node }

// Path implements PathHolder.
func (r *RegularFile) Path() string { return entryPath(r.dir, r.name, r.node) }

func (r *RegularFile) foundAt() (*Dir, string) { return r.dir, r.name }

// Close implements File.
func (r *RegularFile) Close() error {
	r.node.unreference()
	return nil
}

// knownSeals are the seals that F_ADD_SEALS takes.
const knownSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE

// Seals returns what F_GET_SEALS does. Files other than sealable memfds have F_SEAL_SEAL.
func (r *RegularFile) Seals() uint32 {
	r.node.mu.RLock()
	defer r.node.mu.RUnlock()
	return r.node.seals
}

// AddSeals forbids kinds of changes from now on, as F_ADD_SEALS does.
func (r *RegularFile) AddSeals(seals uint32) error {
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	switch {
	case seals&^knownSeals != 0:
		return unix.EINVAL
	case r.node.seals&unix.F_SEAL_SEAL != 0:
		return unix.EPERM
	case seals&unix.F_SEAL_WRITE != 0 && r.node.seals&unix.F_SEAL_WRITE == 0 && r.node.mappedWritableLocked():
		return unix.EBUSY
	}
	r.node.seals |= seals
	return nil
}
