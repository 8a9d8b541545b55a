package vdso

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// VDSO is the two pages, which all programs share.
type VDSO struct{ data, code page }

// New puts the code, as Image does, in a frame of the machine. The frame of [vvar], at data, stays whoever's it is.
func New(machine mm.Machine, code []byte, entrySize int, data mm.PhysAddr) (*VDSO, error) {
	image, err := Image(code, entrySize)
	if err != nil {
		return nil, err
	}
	frame, ok := machine.AllocFrame()
	if !ok {
		return nil, errors.New("vdso: no memory")
	}
	copy(machine.Page(frame)[:], image)
	return &VDSO{page{machine, data}, page{machine, frame}}, nil
}

// Map maps the pages, and returns the address of the ELF image, which AT_SYSINFO_EHDR of getauxval(3) tells. The error is
// unix.ENOMEM.
func (v *VDSO) Map(space *mm.Space) (uint64, error) {
	// The code looks for its data right before it, so that a place for both is looked for.
	base, err := space.Mmap(mm.Mapping{
		Length: 2 * mm.PageSize, Prot: unix.PROT_READ, Flags: unix.MAP_PRIVATE, Backing: &v.data, Name: "[vvar]",
	})
	if err != nil {
		return 0, err
	}
	return space.Mmap(mm.Mapping{
		Addr: base + mm.PageSize, Length: mm.PageSize, Prot: unix.PROT_READ | unix.PROT_EXEC, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED,
		Backing: &v.code, Name: "[vdso]",
	})
}

// page is a file of one page, in a frame that is never freed. It implements mm.Backing.
type page struct {
	machine mm.Machine
	frame   mm.PhysAddr
}

// Frame implements mm.Backing.
func (p *page) Frame(off int64) (mm.PhysAddr, bool) { return p.frame, off == 0 }

// ReadAt implements mm.Backing.
func (p *page) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= mm.PageSize {
		return 0, io.EOF
	}
	n := copy(b, p.machine.Page(p.frame)[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
