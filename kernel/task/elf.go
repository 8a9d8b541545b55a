package task

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// Image is the file of a program.
type Image struct {
	Path string // for AT_EXECFN, /proc/self/maps and messages
	File mm.Backing
	Size int64 // bytes
}

// LoadError tells why a program can't be loaded.
type LoadError struct {
	Path   string
	Reason string     // continues a sentence that begins with the path
	Errno  unix.Errno // what execve(2) would return
}

func (e *LoadError) Error() string { return e.Path + " " + e.Reason }

// Unwrap returns the errno.
func (e *LoadError) Unwrap() error { return e.Errno }

// Load maps a static ELF program, position-independent or not, into an empty address space and
// prepares its stack. It returns the initial instruction and stack pointers. An error is a *LoadError; the
// space must then be released.
//
// Segments are mapped as Linux's load_elf_binary does: pages of the file in place, read-only or copied
// on write, and zero pages after them.
func Load(space *mm.Space, image Image, argv, envp []string, aux AuxInfo) (entry, sp uint64, err error) {
	p, err := parseELF(image)
	if err != nil {
		return 0, 0, err
	}
	bias, err := p.place(space.Layout())
	if err != nil {
		return 0, 0, err
	}
	var end uint64
	for _, seg := range p.loads {
		seg.vaddr += bias
		if err := mapSegment(space, &image, seg); err != nil {
			return 0, 0, err
		}
		end = max(end, seg.vaddr+seg.memsz)
	}
	space.SetBrk(end + space.Layout().BrkGap)
	if err := space.MapStack(p.execStack); err != nil {
		return 0, 0, loadError(image.Path, "leaves no room for its stack", unix.ENOMEM)
	}
	sp, err = writeStack(space, &image, argv, envp, &aux, p.auxv(bias))
	return p.entry + bias, sp, err
}

// place returns what is to be added to the addresses in the file, and checks that they are then in user
// memory below the stack.
func (p *program) place(layout mm.Layout) (bias uint64, err error) {
	lowest, highest, align := ^uint64(0), uint64(0), uint64(mm.PageSize)
	for _, seg := range p.loads {
		lowest = min(lowest, seg.vaddr)
		highest = max(highest, seg.vaddr+seg.memsz)
		align = max(align, seg.align)
	}
	if p.relocatable {
		base := (layout.PIEBase + align - 1) &^ (align - 1)
		bias = base - lowest&^(align-1)
	}
	top := layout.StackTop - layout.StackSize
	if lowest+bias < mm.MinAddr || lowest+bias > top || highest-lowest > top-(lowest+bias) {
		return 0, p.broken("has a segment outside the user addresses: " + hex(lowest) + " to " + hex(highest))
	}
	return bias, nil
}

// mapSegment maps a PT_LOAD segment whose address is final.
func mapSegment(space *mm.Space, image *Image, seg segment) error {
	const pageMask = mm.PageSize - 1
	start := seg.vaddr &^ pageMask
	fileEnd := seg.vaddr + seg.filesz
	memEnd := (seg.vaddr + seg.memsz + pageMask) &^ pageMask
	if seg.filesz > 0 {
		tail := seg.memsz > seg.filesz && fileEnd&pageMask != 0
		prot := seg.prot
		if tail {
			prot |= unix.PROT_WRITE
		}
		_, err := space.Mmap(mm.Mapping{
			Addr: start, Length: fileEnd - start, Prot: prot, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED,
			Backing: image.File, Offset: seg.off &^ pageMask, Name: image.Path,
		})
		if err != nil {
			return segmentError(image, err)
		}
		start = (fileEnd + pageMask) &^ pageMask
		if tail {
			// The rest of the file's last page belongs to the zero-initialised part.
			if err := space.Zero(fileEnd, start-fileEnd); err != nil {
				return segmentError(image, err)
			}
		}
		if prot != seg.prot {
			page := fileEnd &^ pageMask
			first := seg.vaddr &^ pageMask
			if err := space.Mprotect(first, page+mm.PageSize-first, seg.prot); err != nil {
				return segmentError(image, err)
			}
		}
	}
	if memEnd > start {
		_, err := space.Mmap(mm.Mapping{
			Addr: start, Length: memEnd - start, Prot: seg.prot,
			Flags: unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS,
		})
		if err != nil {
			return segmentError(image, err)
		}
	}
	return nil
}

// segmentError says that a segment that looked right couldn't be mapped.
func segmentError(image *Image, err error) error {
	if err == unix.ENOMEM {
		return loadError(image.Path, "needs more memory than there is", unix.ENOMEM)
	}
	errno, _ := err.(unix.Errno)
	return loadError(image.Path, "can't be mapped: "+err.Error(), errno)
}

// isPowerOfTwo tells whether n has exactly one bit.
func isPowerOfTwo(n uint64) bool { return bits.OnesCount64(n) == 1 }
