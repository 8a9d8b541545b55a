package vfs

import (
	"math"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// A mapped file. Its pages are mapped in place, so that every mapping, read and write deals with the same bytes:
//
//   - the file's own pages, by any mapping. A fault that finds none makes one, of a hole too; so a hole is never mapped.
//   - initial bytes where the boot loader put them, as long as nobody changes the file: before it is written to while it
//     is mapped, and before it is mapped by something that can write, all of them are taken out of the mappings for
//     good (settleLocked); a fault then makes a page of the file's own. Programs are mapped in place this way.
//
// A page that leaves the file (truncate, a hole punched) goes to dropped, then out of all mappings, then is freed (unmap).

// ReadAt implements mm.Backing: the contents now, without waiting for writers.
func (f *Regular) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, unix.EINVAL
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.copyLocked(p, off), nil
}

// Frame implements mm.Backing.
func (f *Regular) Frame(off int64) (mm.PhysAddr, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.frameLocked(off)
}

// frameLocked returns the frame of the page at off if there is one.
func (f *Regular) frameLocked(off int64) (mm.PhysAddr, bool) {
	if off < 0 || off >= f.size {
		return 0, false
	}
	if i, ok := f.searchLocked(off / pageSize); ok {
		return f.pages[i].frame, f.pages[i].frame != 0
	}
	n := int64(len(f.initial))
	if f.frames == 0 || off >= n || off+pageSize > n && (f.cut || f.size > n) {
		return 0, false
	}
	return f.frames + mm.PhysAddr(off), true
}

// Page implements mm.SharedBacking.
func (f *Regular) Page(off int64) (mm.PhysAddr, mm.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 || off >= f.size {
		return 0, mm.BusError
	}
	if frame, ok := f.frameLocked(off); ok {
		return frame, mm.Handled
	}
	switch p, err := f.ownLocked(off / pageSize); err {
	case nil:
		return p.frame, mm.Handled
	case unix.ENOMEM:
		return 0, mm.OutOfMemory
	}
	return 0, mm.BusError
}

// Attach implements mm.SharedBacking. The error is unix.EPERM if a seal forbids it, see F_ADD_SEALS of fcntl(2).
func (f *Regular) Attach(v *mm.View, access mm.Access) (mm.Access, error) {
	if access >= mm.SharedMayWrite {
		f.writeMu.Lock()
		defer f.writeMu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		switch access {
		case mm.SharedMayWrite:
			access = mm.SharedRead
		case mm.SharedWrite:
			return access, unix.EPERM
		}
	}
	if f.views == nil {
		f.views = make(map[*mm.View]mm.Access)
	}
	f.views[v] = access
	if access >= mm.SharedMayWrite {
		f.pastEnd = true
		f.settleLocked()
	}
	return access, nil
}

// Inherit implements mm.SharedBacking.
func (f *Regular) Inherit(from, v *mm.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views[v] = f.views[from]
}

// Detach implements mm.SharedBacking.
func (f *Regular) Detach(v *mm.View) {
	f.mu.Lock()
	written := f.views[v] == mm.SharedWrite
	delete(f.views, v)
	last := len(f.views) == 0
	f.mu.Unlock()
	if written {
		f.touch() // mmap(2): some time between the write and now
	}
	if last {
		f.reap()
	}
}

// Punch implements mm.SharedBacking.
func (f *Regular) Punch(off, n int64) error {
	err := f.allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err == nil {
		f.touch()
	}
	return err
}

// settleLocked ends the mapping of initial bytes in place, if the file is mapped: it is about to be changed. writeMu and mu are
// held; mu is given up in between.
func (f *Regular) settleLocked() {
	if f.frames == 0 || len(f.views) == 0 {
		return
	}
	f.frames = 0
	f.mu.Unlock()
	f.unmap(0, math.MaxInt64, false)
	f.mu.Lock()
}

// unmap takes the pages at offsets from off to end out of all mappings, with copies also those that private mappings have
// made of them, and frees what was dropped. writeMu is held, mu isn't.
func (f *Regular) unmap(off, end int64, copies bool) {
	f.mu.Lock()
	dropped := f.dropped
	f.dropped = nil
	views := make([]*mm.View, 0, len(f.views))
	for v := range f.views {
		views = append(views, v)
	}
	f.mu.Unlock()
	for _, v := range views {
		v.Drop(off, end, copies)
	}
	f.fs.freeFilePages(dropped)
}

// clearPastEndLocked zeroes what a program has stored between the end of the file and the end of its last page, before
// the file becomes longer, see mmap(2).
func (f *Regular) clearPastEndLocked() {
	if !f.pastEnd || f.size%pageSize == 0 {
		return
	}
	if page := f.bytesLocked(f.size / pageSize); page != nil {
		clear(page[f.size%pageSize:])
	}
}

// mappedWritableLocked tells whether a mapping can change the file.
func (f *Regular) mappedWritableLocked() bool {
	for _, access := range f.views {
		if access >= mm.SharedMayWrite {
			return true
		}
	}
	return false
}

// snapshot is a file without frames as a mm.Backing: mappings copy what they see first.
type snapshot struct{ f *Regular }

// Frame implements mm.Backing.
func (s snapshot) Frame(off int64) (mm.PhysAddr, bool) { return s.f.Frame(off) }

// ReadAt implements mm.Backing.
func (s snapshot) ReadAt(p []byte, off int64) (int, error) { return s.f.ReadAt(p, off) }
