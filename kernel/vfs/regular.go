package vfs

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// Regular is a regular file. Its contents are in memory: the initial bytes where the boot loader
// put them, and pages over them, made when they are first written. What is in neither is zero.
//
// Locks: writeMu, held over a whole write, so over a copy from program memory too; then the lock of an address space
// (by that copy, or by mm.View.Drop); then mu, which page faults take, and which therefore is never held while
// program memory is touched or pages are taken out of mappings.
type Regular struct {
	inode

	writeMu sync.Mutex // makes a write one step among writes

	executing atomic.Int32 // processes whose program it is; nobody may write to it meanwhile

	mu        sync.RWMutex
	initial   []byte      // guarded by mu; the bytes never change
	frames    mm.PhysAddr // guarded by mu: where initial is in physical memory; 0: not in whole frames
	cut       bool        // guarded by mu: initial was shortened: what follows it in its last frame isn't zero
	pages     []filePage  // guarded by mu, by page number
	size      int64       // guarded by mu
	opens     int         // guarded by mu: open descriptions
	temporary bool        // guarded by mu: O_TMPFILE without O_EXCL
	seals     uint32      // guarded by mu: F_SEAL_ of a memfd

	views   map[*mm.View]mm.Access // guarded by mu: what maps the file
	pastEnd bool                   // guarded by mu: the last page may not be zero after the end, since it was mapped writable
	dropped []filePage             // guarded by mu: what is no part of the file any more, but may still be mapped
}

// filePage is a page of a file that has been written.
type filePage struct {
	number int64 // its offset in the file is number*pageSize
	page
}

// newRegular makes an empty file that has no name yet.
func (fs *FS) newRegular(perm uint32) *Regular {
	f := &Regular{seals: unix.F_SEAL_SEAL}
	f.init(fs, devRoot, unix.S_IFREG|perm)
	return f
}

// searchLocked returns where in pages the page with this number is, or would be.
func (f *Regular) searchLocked(number int64) (int, bool) {
	if n := len(f.pages); n == 0 || f.pages[n-1].number < number {
		return n, false // as when a file is written from its start
	}
	return slices.BinarySearchFunc(f.pages, number, func(p filePage, number int64) int {
		return cmp.Compare(p.number, number)
	})
}

// bytesLocked returns the page with this number, or nil if it was never written.
func (f *Regular) bytesLocked(number int64) *[pageSize]byte {
	if i, ok := f.searchLocked(number); ok {
		return f.pages[i].bytes
	}
	return nil
}

// Stat implements Node.
func (f *Regular) Stat() unix.Stat_t {
	st := f.inode.Stat()
	f.mu.RLock()
	defer f.mu.RUnlock()
	st.Size = f.size
	st.Blocks = (int64(len(f.pages))*pageSize + int64(len(f.initial)) + 511) / 512
	return st
}

// readAt reads at off into dst.
func (f *Regular) readAt(dst Dst, off int64) (total int64, err error) {
	if b, ok := dst.(*Bytes); ok { // kernel memory, which doesn't fault
		f.mu.RLock()
		n := f.copyLocked(*b, off)
		f.mu.RUnlock()
		*b = (*b)[n:]
		return int64(n), nil
	}
	var bounce *[bounceSize]byte
	for err == nil {
		want := dst.Len()
		if want == 0 {
			break
		}
		f.mu.RLock()
		piece, fixed := f.pieceLocked(off, want)
		if !fixed && len(piece) > 0 {
			if bounce == nil {
				bounce = newBounce()
				defer freeBounce(bounce)
			}
			piece = bounce[:f.copyLocked(bounce[:min(want, bounceSize)], off)]
		}
		f.mu.RUnlock()
		if len(piece) == 0 {
			break
		}
		var n int
		n, err = dst.Write(piece)
		off += int64(n)
		total += int64(n)
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// pieceLocked returns bytes of the file from off on, want at most, in place. fixed tells that they never
// change, so that they can be used without the lock. An empty piece is the end of the file.
func (f *Regular) pieceLocked(off int64, want int) (piece []byte, fixed bool) {
	if off >= f.size {
		return nil, true
	}
	end := min(f.size, int64(len(f.initial)))
	if want := int64(want); want < end-off {
		end = off + want
	}
	if off < end {
		if len(f.pages) == 0 {
			return f.initial[off:end], true
		}
		n := off
		for n < end && f.bytesLocked(n/pageSize) == nil {
			n = min(end, (n/pageSize+1)*pageSize)
		}
		if n > off {
			return f.initial[off:n], true
		}
	}
	return zeroPage[:1], false
}

var zeroPage [pageSize]byte

// copyLocked copies bytes of the file from off on and returns how many: fewer than len(p) only at the end.
func (f *Regular) copyLocked(p []byte, off int64) (total int) {
	if off >= f.size {
		return 0
	}
	p = p[:min(int64(len(p)), f.size-off)]
	for total < len(p) {
		at := off + int64(total)
		in := int(at % pageSize)
		part := p[total:min(len(p), total+pageSize-in)]
		if page := f.bytesLocked(at / pageSize); page != nil {
			copy(part, page[in:])
		} else {
			n := 0
			if at < int64(len(f.initial)) {
				n = copy(part, f.initial[at:])
			}
			clear(part[n:])
		}
		total += len(part)
	}
	return total
}

// writeAt writes src at off, or with atEnd at the end of the file, and returns the position after it.
func (f *Regular) writeAt(src Src, off int64, atEnd bool) (total, end int64, err error) {
	f.writeMu.Lock()
	defer f.writeMu.Unlock()
	if atEnd {
		f.mu.RLock()
		off = f.size
		f.mu.RUnlock()
	}
	if src.Len() == 0 {
		return 0, off, nil
	}
	if off == math.MaxInt64 {
		return 0, off, unix.EFBIG
	}
	bounce := newBounce()
	defer freeBounce(bounce)
	for err == nil {
		want := min(int64(src.Len()), bounceSize, math.MaxInt64-off)
		if want == 0 {
			break
		}
		var got, n int
		got, err = src.Read(bounce[:want])
		f.mu.Lock()
		f.settleLocked()
		n, werr := f.putLocked(bounce[:got], off)
		f.mu.Unlock()
		if werr != nil {
			err = werr
		}
		off += int64(n)
		total += int64(n)
		if got == 0 {
			break
		}
	}
	if total > 0 {
		f.touch()
		f.happened(unix.IN_MODIFY)
		err = nil
	}
	return total, off, err
}

// putLocked stores bytes at off.
func (f *Regular) putLocked(p []byte, off int64) (total int, err error) {
	if f.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 || f.seals&unix.F_SEAL_GROW != 0 && off+int64(len(p)) > f.size {
		return 0, unix.EPERM
	}
	if off+int64(len(p)) > f.size {
		f.clearPastEndLocked()
	}
	for total < len(p) {
		at := off + int64(total)
		page, err := f.pageLocked(at / pageSize)
		if err != nil {
			return total, err
		}
		total += copy(page[at%pageSize:], p[total:])
		f.size = max(f.size, off+int64(total))
	}
	return total, nil
}

// pageLocked returns the page with this number, made writable; the error is unix.ENOSPC.
func (f *Regular) pageLocked(number int64) (*[pageSize]byte, error) {
	p, err := f.ownLocked(number)
	if err != nil {
		return nil, unix.ENOSPC
	}
	return p.bytes, nil
}

// ownLocked returns the file's own page with this number, which it makes if need be: unix.ENOSPC if the file system
// has had its share of memory, unix.ENOMEM if programs have.
func (f *Regular) ownLocked(number int64) (page, error) {
	i, ok := f.searchLocked(number)
	if ok {
		return f.pages[i].page, nil
	}
	if !f.fs.pages.take(1) {
		return page{}, unix.ENOSPC
	}
	p, err := f.fs.memory.newPage()
	if err != nil {
		f.fs.pages.give(1)
		return page{}, err
	}
	if at := number * pageSize; at < int64(len(f.initial)) {
		copy(p.bytes[:], f.initial[at:])
	}
	f.pages = slices.Insert(f.pages, i, filePage{number, p})
	return p, nil
}

// Truncate sets the size, see truncate(2).
func (f *Regular) Truncate(size int64) error {
	if f.executing.Load() > 0 {
		return unix.ETXTBSY
	}
	f.writeMu.Lock()
	defer f.writeMu.Unlock()
	f.mu.Lock()
	f.settleLocked()
	if size < f.size && f.seals&unix.F_SEAL_SHRINK != 0 || size > f.size && f.seals&unix.F_SEAL_GROW != 0 {
		f.mu.Unlock()
		return unix.EPERM
	}
	shrinks := size < f.size
	if shrinks {
		f.shrinkLocked(size)
	} else if size > f.size {
		f.clearPastEndLocked()
	}
	f.size = size
	f.mu.Unlock()
	if shrinks {
		f.unmap(min(pagesIn(size), math.MaxInt64/pageSize)*pageSize, math.MaxInt64, true) // the last page of all can't be mapped
	}
	f.touch()
	f.happened(unix.IN_MODIFY)
	return nil
}

// pagesIn returns how many pages the first n bytes of a file are in.
func pagesIn(n int64) int64 { return n/pageSize + min(n%pageSize, 1) }

// shrinkLocked forgets what is beyond size.
func (f *Regular) shrinkLocked(size int64) {
	if size < int64(len(f.initial)) {
		f.initial, f.cut = f.initial[:size:size], true
	}
	i, _ := f.searchLocked(pagesIn(size))
	f.dropLocked(i, len(f.pages))
	if page := f.bytesLocked(size / pageSize); page != nil {
		clear(page[size%pageSize:])
	}
}

// dropLocked gives pages[i:j] back; those of a file that is mapped go when unmap is called, as it must be.
func (f *Regular) dropLocked(i, j int) {
	if len(f.views) > 0 {
		f.dropped = append(f.dropped, f.pages[i:j]...)
	} else {
		f.fs.freeFilePages(f.pages[i:j])
	}
	f.pages = slices.Delete(f.pages, i, j)
	if len(f.pages) == 0 {
		f.pages = nil
	}
}

// freeFilePages gives pages back that no file has any more.
func (fs *FS) freeFilePages(pages []filePage) {
	fs.pages.give(int64(len(pages)))
	var batch [64]page
	for len(pages) > 0 {
		n := min(len(pages), len(batch))
		for i := range n {
			batch[i] = pages[i].page
		}
		fs.memory.freePages(batch[:n]...)
		pages = pages[n:]
	}
}

// allocate makes room for the n bytes at off, see fallocate(2). mode has only bits that the caller allows.
func (f *Regular) allocate(mode uint32, off, n int64) error {
	f.writeMu.Lock()
	defer f.writeMu.Unlock()
	if mode&unix.FALLOC_FL_PUNCH_HOLE != 0 {
		return f.punch(off, off+n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	end := off + n
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && end > f.size && f.seals&unix.F_SEAL_GROW != 0 {
		return unix.EPERM
	}
	first, last := max(off/pageSize, pagesIn(int64(len(f.initial)))), pagesIn(end) // the initial bytes have their place
	i, _ := f.searchLocked(first)
	j, _ := f.searchLocked(last)
	if last-first-int64(j-i) > f.fs.pages.left() {
		return unix.ENOSPC
	}
	for number := first; number < last; number++ {
		if _, err := f.pageLocked(number); err != nil {
			return err
		}
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && end > f.size {
		f.clearPastEndLocked()
		f.size = end
	}
	return nil
}

// punch makes the bytes from off to end zero. writeMu is held.
func (f *Regular) punch(off, end int64) error {
	f.mu.Lock()
	f.settleLocked()
	if f.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		f.mu.Unlock()
		return unix.EPERM
	}
	err := f.zeroLocked(off, min(end, f.size))
	f.mu.Unlock()
	f.unmap(off&^(pageSize-1), end, false)
	return err
}

// zeroLocked makes the bytes from off to end zero, and gives whole pages back where it can. What it takes depends on the pages that
// there are, not on how far it is to end: a file may be as long as it likes.
func (f *Regular) zeroLocked(off, end int64) error {
	for off < end {
		number, in := off/pageSize, off%pageSize
		upto := off + min(end-off, pageSize-in)
		i, ok := f.searchLocked(number)
		switch initial := off < int64(len(f.initial)); {
		case !initial && in == 0 && end-off >= pageSize:
			upto = end &^ (pageSize - 1)
			j, _ := f.searchLocked(upto / pageSize)
			f.dropLocked(i, j)
		case ok || initial:
			page, err := f.pageLocked(number)
			if err != nil {
				return err
			}
			clear(page[in : in+upto-off])
		}
		off = upto
	}
	return nil
}

// reference counts an open description.
func (f *Regular) reference() {
	f.mu.Lock()
	f.opens++
	f.mu.Unlock()
}

// linkable tells whether a file without a name may get one: it was opened with O_TMPFILE.
func (f *Regular) linkable() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.temporary
}

// unreference ends an open description, and the file if it was the last and no name is left.
func (f *Regular) unreference() {
	f.mu.Lock()
	f.opens--
	f.mu.Unlock()
	f.reap()
}

// reap gives the memory of a file back that has no name, no open description and no mapping.
func (f *Regular) reap() {
	f.inode.mu.Lock()
	named := f.nlink > 0
	f.inode.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if named || f.opens > 0 || len(f.views) > 0 {
		return
	}
	f.dropLocked(0, len(f.pages))
	f.initial, f.size = nil, 0
	f.gone()
}

// setInitial makes data, which is at the physical address frames, the contents of a new file.
func (f *Regular) setInitial(data []byte, frames mm.PhysAddr, modified time.Time) {
	f.initial, f.size = data, int64(len(data))
	if frames%pageSize == 0 {
		f.frames = frames
	}
	if !modified.IsZero() {
		f.mtime = modified.UnixNano()
	}
}
