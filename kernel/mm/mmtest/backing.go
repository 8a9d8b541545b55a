package mmtest

import (
	"io"
	"sync"

	"wick/kernel/mm"
)

// File is a mm.Backing.
type File struct {
	data   []byte
	frames []mm.PhysAddr // nil: nothing can be mapped in place
}

// NewFile returns a file with the given contents. inPlace tells whether its pages are frames of the
// machine, as those of the initial RAM disk are.
func (m *Machine) NewFile(data []byte, inPlace bool) *File {
	f := &File{data: data}
	if !inPlace {
		return f
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for off := 0; off < len(data); off += mm.PageSize {
		if len(m.list) == 0 {
			m.tb.Fatal("mmtest: too few frames for the file")
		}
		i := m.list[len(m.list)-1]
		m.list = m.list[:len(m.list)-1]
		m.states[i] = fixed
		clear(m.pages[i][copy(m.pages[i][:], data[off:]):])
		f.frames = append(f.frames, address(i))
	}
	return f
}

// Frame implements mm.Backing.
func (f *File) Frame(off int64) (mm.PhysAddr, bool) {
	if i := off / mm.PageSize; i >= 0 && i < int64(len(f.frames)) {
		return f.frames[i], true
	}
	return 0, false
}

// ReadAt implements mm.Backing.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size returns the length of the file in bytes.
func (f *File) Size() int64 { return int64(len(f.data)) }

// SharedFile is a mm.SharedBacking whose pages are frames of the machine, made when they are asked for.
type SharedFile struct {
	m *Machine

	mu     sync.Mutex
	pages  map[int64]mm.PhysAddr  // by offset; guarded by mu
	size   int64                  // guarded by mu
	views  map[*mm.View]mm.Access // guarded by mu
	refuse error                  // of Attach; guarded by mu
}

// NewSharedFile returns a file of zeros. Its pages are freed by Truncate(0).
func (m *Machine) NewSharedFile(size int64) *SharedFile {
	return &SharedFile{m: m, pages: make(map[int64]mm.PhysAddr), size: size, views: make(map[*mm.View]mm.Access)}
}

// Frame implements mm.Backing.
func (f *SharedFile) Frame(off int64) (mm.PhysAddr, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pa, ok := f.pages[off]
	return pa, ok && off < f.size
}

// ReadAt implements mm.Backing, for whole pages.
func (f *SharedFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off >= f.size {
		return 0, io.EOF
	}
	if pa, ok := f.pages[off]; ok {
		return copy(p, f.m.Page(pa)[:]), nil
	}
	clear(p)
	return len(p), nil
}

// Page implements mm.SharedBacking.
func (f *SharedFile) Page(off int64) (mm.PhysAddr, mm.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 || off >= f.size {
		return 0, mm.BusError
	}
	pa, ok := f.pages[off]
	if !ok {
		if pa, ok = f.m.AllocFrame(); !ok {
			return 0, mm.OutOfMemory
		}
		f.pages[off] = pa
	}
	return pa, mm.Handled
}

// Attach implements mm.SharedBacking.
func (f *SharedFile) Attach(v *mm.View, access mm.Access) (mm.Access, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return access, f.refuse
	}
	f.views[v] = access
	return access, nil
}

// Inherit implements mm.SharedBacking.
func (f *SharedFile) Inherit(from, v *mm.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	access, ok := f.views[from]
	if !ok {
		f.m.tb.Error("mmtest: a view is inherited that isn't attached")
	}
	f.views[v] = access
}

// Detach implements mm.SharedBacking.
func (f *SharedFile) Detach(v *mm.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.views[v]; !ok {
		f.m.tb.Error("mmtest: a view is detached that isn't attached")
	}
	delete(f.views, v)
}

// Punch implements mm.SharedBacking: it takes the pages away.
func (f *SharedFile) Punch(off, n int64) error {
	f.drop(off, off+n, false)
	return nil
}

// Truncate sets the size, a multiple of the page size.
func (f *SharedFile) Truncate(size int64) {
	f.mu.Lock()
	end := f.size
	f.size = size
	f.mu.Unlock()
	f.drop(size, max(size, end), true)
}

// Refuse has Attach fail with err from now on.
func (f *SharedFile) Refuse(err error) {
	f.mu.Lock()
	f.refuse = err
	f.mu.Unlock()
}

// Views returns what each of the attached views may do, in no order.
func (f *SharedFile) Views() (accesses []mm.Access) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.views {
		accesses = append(accesses, a)
	}
	return accesses
}

// drop takes the pages from off to end away, by the rules of mm.SharedBacking.
func (f *SharedFile) drop(off, end int64, copies bool) {
	f.mu.Lock()
	var gone []mm.PhysAddr
	for at, pa := range f.pages {
		if at >= off && at < end {
			gone = append(gone, pa)
			delete(f.pages, at)
		}
	}
	var views []*mm.View
	for v := range f.views {
		views = append(views, v)
	}
	f.mu.Unlock()
	for _, v := range views {
		v.Drop(off, end, copies)
	}
	f.m.FreeFrames(gone)
}
