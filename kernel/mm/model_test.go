package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// model is an address space of a few pages, without any cleverness.
type model struct {
	list [windowPages]modelPage
}

type modelPage struct {
	pageState
	b byte // at markAt
}

func (x *model) page(addr uint64) *modelPage {
	if addr < windowBase || addr >= windowEnd {
		return &modelPage{pageState: pageState{mapped: addr >= windowBase-guardPages*mm.PageSize && addr < windowEnd+guardPages*mm.PageSize}}
	}
	return &x.list[(addr-windowBase)/mm.PageSize]
}

// fresh is the content of a page that has never been written.
func (p *modelPage) fresh() byte {
	if p.file && p.off < fileSize {
		return byte('a' + p.off/mm.PageSize)
	}
	return 0
}

func up(n uint64) uint64 { return (n + mm.PageSize - 1) &^ (mm.PageSize - 1) }

func (x *model) mmap(addr, length uint64, prot, flags int, file bool, off uint64) (uint64, error) {
	fixed := flags&(unix.MAP_FIXED|unix.MAP_FIXED_NOREPLACE) != 0
	if length == 0 {
		return 0, unix.EINVAL
	}
	n := up(length)
	switch {
	case n == 0 || n > mm.TaskEnd || fixed && addr > mm.TaskEnd-n:
		return 0, unix.ENOMEM
	case fixed && addr%mm.PageSize != 0:
		return 0, unix.EINVAL
	case !fixed:
		addr &^= mm.PageSize - 1
	}
	taken := addr+n > windowEnd
	for va := addr; va < min(addr+n, windowEnd); va += mm.PageSize {
		taken = taken || x.page(va).mapped
	}
	if taken && flags&unix.MAP_FIXED_NOREPLACE != 0 {
		return 0, unix.EEXIST
	}
	if kind := flags & unix.MAP_TYPE; kind != unix.MAP_SHARED && kind != unix.MAP_PRIVATE {
		return 0, unix.EINVAL
	}
	if taken && !fixed {
		return 1, nil // elsewhere
	}
	for va := addr; va < addr+n; va += mm.PageSize {
		p := x.page(va)
		*p = modelPage{pageState: pageState{mapped: true, shared: flags&unix.MAP_SHARED != 0, file: file, prot: prot}}
		if file {
			p.off = off + va - addr
		}
		p.b = p.fresh()
	}
	return addr, nil
}

func (x *model) munmap(addr, length uint64) error {
	if addr == 1 {
		return nil // what was mapped elsewhere
	}
	if addr%mm.PageSize != 0 || length == 0 || length > mm.TaskEnd-addr {
		return unix.EINVAL
	}
	for va := addr; va < min(addr+up(length), windowEnd); va += mm.PageSize {
		*x.page(va) = modelPage{}
	}
	return nil
}

func (x *model) mprotect(addr, length uint64, prot int) error {
	n := up(length)
	switch {
	case addr%mm.PageSize != 0:
		return unix.EINVAL
	case length == 0:
		return nil
	case addr+n <= addr:
		return unix.ENOMEM
	case prot > 7:
		return unix.EINVAL
	}
	for va := addr; va < addr+n; va += mm.PageSize {
		p := x.page(va)
		if !p.mapped {
			return unix.ENOMEM
		}
		if p.file && p.shared && prot&unix.PROT_WRITE != 0 {
			return unix.EACCES
		}
		p.prot = prot
	}
	return nil
}

func (x *model) madvise(addr, length uint64, advice int) error {
	n := up(length)
	switch {
	case advice < 0 || advice == 77 || addr%mm.PageSize != 0 || length != 0 && n == 0 || addr+n < addr:
		return unix.EINVAL
	case n == 0:
		return nil
	}
	var err error
	for va := addr; va < addr+n; va += mm.PageSize {
		p := x.page(va)
		if !p.mapped {
			err = unix.ENOMEM
			if advice == unix.MADV_POPULATE_READ || advice == unix.MADV_POPULATE_WRITE || va >= windowEnd+guardPages*mm.PageSize {
				return err
			}
			continue
		}
		switch advice {
		case unix.MADV_DONTNEED:
			if !p.shared {
				p.b = p.fresh()
			}
		case unix.MADV_REMOVE:
			if p.file {
				return unix.EACCES
			}
			if !p.shared {
				return unix.EINVAL
			}
			p.b = 0
		case unix.MADV_WIPEONFORK:
			if p.shared || p.file {
				return unix.EINVAL
			}
		case unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE:
			switch {
			case advice == unix.MADV_POPULATE_READ && p.prot&unix.PROT_READ == 0,
				advice == unix.MADV_POPULATE_WRITE && p.prot&unix.PROT_WRITE == 0:
				return unix.EINVAL
			case p.file && p.off >= fileSize:
				return unix.EFAULT
			}
		}
	}
	return err
}

func (x *model) mremap(addr, oldLength, newLength uint64, flags int, to uint64) (uint64, error) {
	const keep = unix.MREMAP_DONTUNMAP
	oldLength, newLength = up(oldLength), up(newLength)
	if flags&^7 != 0 || flags == unix.MREMAP_FIXED || flags&keep != 0 && oldLength != newLength || addr%mm.PageSize != 0 ||
		newLength == 0 || newLength > mm.TaskEnd {
		return 0, unix.EINVAL
	}
	if flags != 0 && (to%mm.PageSize != 0 || to > mm.TaskEnd-newLength || addr+oldLength > to && to+newLength > addr) {
		return 0, unix.EINVAL
	}
	if !x.page(addr).mapped {
		return 0, unix.EFAULT
	}
	if flags&unix.MREMAP_FIXED != 0 {
		return x.move(addr, oldLength, newLength, flags&keep != 0, to)
	}
	if oldLength >= newLength {
		if oldLength > mm.TaskEnd-addr {
			return 0, unix.EINVAL
		}
		if oldLength > newLength {
			x.munmap(addr+newLength, oldLength-newLength)
		}
		return addr, nil
	}
	if p := x.page(addr); oldLength == 0 && p.file && p.shared {
		return 0, unix.ENOMEM
	} else if oldLength == 0 {
		return 0, unix.EINVAL
	}
	for va := addr + oldLength; va < addr+newLength; va += mm.PageSize {
		if x.page(va).mapped {
			return 0, unix.ENOMEM
		}
	}
	x.extend(addr, oldLength, newLength, *x.page(addr))
	return addr, nil
}

// extend makes new pages behind [addr, addr+oldLength), which began with first.
func (x *model) extend(addr, oldLength, newLength uint64, first modelPage) {
	for n := oldLength; n < newLength; n += mm.PageSize {
		p := x.page(addr + n)
		*p = first
		if p.file {
			p.off += n
		}
		p.b = p.fresh()
	}
}

func (x *model) move(addr, oldLength, newLength uint64, keep bool, to uint64) (uint64, error) {
	first := *x.page(addr)
	if oldLength == 0 && !(first.file && first.shared) {
		return 0, unix.EINVAL
	}
	x.munmap(to, newLength)
	if oldLength > newLength {
		x.munmap(addr+newLength, oldLength-newLength)
		oldLength = newLength
	}
	for n := uint64(0); n < oldLength; n += mm.PageSize {
		from := x.page(addr + n)
		*x.page(to + n) = *from
		if keep {
			if !from.shared {
				from.b = from.fresh()
			}
		} else {
			*from = modelPage{}
		}
	}
	x.extend(to, oldLength, newLength, first)
	return to, nil
}

func (x *model) msync(addr, length uint64, flags int) error {
	n := up(length)
	switch {
	case flags > 7 || addr%mm.PageSize != 0 || flags&5 == 5:
		return unix.EINVAL
	case addr+n < addr:
		return unix.ENOMEM
	}
	for va := addr; va < addr+n; va += mm.PageSize {
		if !x.page(va).mapped {
			return unix.ENOMEM
		}
	}
	return nil
}

func (x *model) write(addr uint64, b byte) error {
	p := x.page(addr)
	if !p.mapped || p.prot&unix.PROT_WRITE == 0 || p.file && p.off >= fileSize {
		return unix.EFAULT
	}
	p.b = b
	return nil
}

func (x *model) read(addr uint64) (byte, error) {
	p := x.page(addr)
	if !p.mapped || p.prot == 0 || p.file && p.off >= fileSize {
		return 0, unix.EFAULT
	}
	return p.b, nil
}

func (x *model) pages() (pages [windowPages]pageState) {
	for i := range x.list {
		pages[i] = x.list[i].pageState
	}
	return pages
}

func (x *model) single(addr, length uint64) bool { return true }

func FuzzSpace(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte("\x00\x00\x04\x03\x00\x01\x06\x01\x00\x09\x00\x00\x02\x01\x01\x01\x00\x00\x04\x00\x01\x0a\x02\x01"), false)
	for seed := range int64(4) {
		f.Add(randomSteps(seed, 200), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, inPlace bool) {
		if len(data) > 6000 {
			return
		}
		compare(t, data, newSpaceSubject(t, inPlace), new(model))
	})
}

func TestSpaceAgainstModel(t *testing.T) {
	for seed := range int64(100) {
		compare(t, randomSteps(seed, 150), newSpaceSubject(t, seed%2 == 0), new(model))
	}
}
