package mm

import "math"

// Backing is the contents of a file that is mapped.
//
// Its methods are called with the space's lock held, and also while a file's Read or Write copies to
// or from user memory. So they must not wait for a lock that somebody holds while it copies. Of a
// Backing that is no SharedBacking the contents should not change; a snapshot of the file will do, since mmap(2)
// leaves it open whether a private mapping sees later changes.
type Backing interface {
	// Frame returns the frame that holds the file's page at off, a multiple of PageSize, if there is one that can
	// be mapped in place. It stays the property of the Backing, which frees it only when no space can have it
	// mapped any more: never, or as SharedBacking says. Bytes after the end of the file are zero.
	Frame(off int64) (pa PhysAddr, ok bool)

	// ReadAt is io.ReaderAt, for any part of the file: page faults ask it for what Frame doesn't have.
	// No byte at all then means that the page is beyond the end of the file (SIGBUS).
	ReadAt(p []byte, off int64) (n int, err error)
}

// SharedBacking is a Backing that knows its mappings, so that they, and whoever else uses the file, see the same
// bytes: it can be mapped MAP_SHARED and writable.
//
// The rules by which no frame is freed, or stays mapped, that the file doesn't have any more: the file takes the
// page out of its own books, so that Frame and Page don't return it; then calls Drop of each View that is attached; then
// frees the frame. A fault that was given the frame before holds the space's lock until it has mapped it, and Drop waits for that.
type SharedBacking interface {
	Backing

	// Attach says that v begins to map the file. It returns what is granted: access, or SharedRead instead of
	// SharedMayWrite. The error is one of mmap(2). It is called without a lock, so that it may call Drop.
	Attach(v *View, access Access) (granted Access, err error)

	// Inherit says that v begins to map what from maps, of a space that forks, with the access that was granted to that. It is
	// called with the lock of both spaces held, so it must not call Drop.
	Inherit(from, v *View)

	// Detach says that v maps nothing any more, and no TLB has anything of it. The space's lock may be held.
	Detach(v *View)

	// Page is Frame that makes the page if need be. The outcomes are Handled, BusError (beyond the end of the
	// file, or no room in the file system) and OutOfMemory.
	Page(off int64) (pa PhysAddr, outcome Outcome)

	// Punch makes n bytes at off zero, see MADV_REMOVE of madvise(2). It is called without a lock.
	Punch(off, n int64) error
}

// Access is what a mapping may do to its file; each does what those before it do.
type Access uint8

const (
	Private        Access = iota // MAP_PRIVATE: read
	SharedRead                   // MAP_SHARED of a file that isn't open for writing
	SharedMayWrite               // MAP_SHARED, and mprotect can make it writable
	SharedWrite                  // MAP_SHARED with PROT_WRITE
)

// View is a file as one call of Mmap has mapped it, with what the areas that come of it have in common. Areas are merged
// only if they have the same View.
type View struct {
	Backing
	shared SharedBacking // the Backing, if it is one; else nil
	space  *Space
	name   string
	size   uint64 // bytes of all its areas; guarded by space.mu
}

// attach makes the View for a mapping. s.mu is not held.
func (s *Space) attach(m *Mapping) (v *View, granted Access, err error) {
	shared, _ := m.Backing.(SharedBacking)
	v = &View{Backing: m.Backing, shared: shared, space: s, name: m.Name}
	access := m.access()
	if shared == nil {
		return v, min(access, SharedRead), nil
	}
	granted, err = shared.Attach(v, access)
	return v, granted, err
}

// detachUnused tells the file that a View for which nothing could be mapped won't be used.
func (v *View) detachUnused() {
	if v.shared != nil {
		v.shared.Detach(v)
	}
}

// Drop takes the file's pages at offsets from off to end out of the space. With copies it also takes what private
// mappings have copied of them, as truncate(2) does. When it returns, no CPU knows a translation to them.
//
// It waits for faults and copies, so a SharedBacking calls it without the locks that its other methods take.
func (v *View) Drop(off, end int64, copies bool) {
	s := v.space
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, left := 0, v.size; left > 0; i++ {
		a := &s.areas[i]
		if a.src != v {
			continue
		}
		left -= a.len()
		from, to := max(off, a.off), min(end, a.off+int64(a.len()))
		if from < to {
			s.clearPages(a.start+uint64(from-a.off), a.start+pageUp(uint64(to-a.off)), copies)
		}
	}
	s.flush()
}

// DropAll is Drop of the whole file without the copies.
func (v *View) DropAll() { v.Drop(0, math.MaxInt64, false) }
