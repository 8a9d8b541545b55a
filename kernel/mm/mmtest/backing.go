package mmtest

import (
	"io"

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
