package mm

import (
	"slices"
	"sort"

	"golang.org/x/sys/unix"
)

// area is a range of user memory with equal properties, a VMA in Linux's words.
type area struct {
	start, end uint64 // page-aligned, start < end
	src        *View  // nil: anonymous memory
	off        int64  // of start in the file
	prot       uint8  // PROT_READ, PROT_WRITE, PROT_EXEC
	flags      areaFlags
}

type areaFlags uint8

const (
	areaShared     areaFlags = 1 << iota // MAP_SHARED
	areaMayWrite                         // of a shared file: mprotect may make it writable
	areaStack                            // the main thread's stack
	areaDontFork                         // MADV_DONTFORK: a fork's copy doesn't have it
	areaWipeOnFork                       // MADV_WIPEONFORK: a fork's copy has zeros
)

func (a *area) len() uint64 { return a.end - a.start }

// offset returns the file offset of va.
func (a *area) offset(va uint64) int64 { return a.off + int64(va-a.start) }

// allows tells whether the program may do the access. On x86 what can be written or executed can be read.
func (a *area) allows(write, fetch bool) bool {
	switch {
	case write:
		return a.prot&unix.PROT_WRITE != 0
	case fetch:
		return a.prot&unix.PROT_EXEC != 0
	}
	return a.prot != unix.PROT_NONE
}

// joins tells whether b, which begins where a ends, can be one area with it.
func (a *area) joins(b *area) bool {
	return a.end == b.start && a.prot == b.prot && a.flags == b.flags && a.src == b.src &&
		(a.src == nil || a.off+int64(a.len()) == b.off)
}

// fileEntry returns the entry for a page of the area's file that is mapped in place.
func (a *area) fileEntry(frame PhysAddr) entry {
	e := entry(frame) | pteBorrowed
	if a.flags&areaShared != 0 {
		e |= pteShared
	}
	return e.protect(int(a.prot))
}

// areaList is the areas of a space, in order, without overlaps.
type areaList []area

// search returns the index of the first area that ends above va.
func (l areaList) search(va uint64) int {
	lo, hi := 0, len(l)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if l[mid].end > va {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// find returns the area that contains va, or nil. It is valid until the list changes.
func (l areaList) find(va uint64) *area {
	if i := l.search(va); i < len(l) && l[i].start <= va {
		return &l[i]
	}
	return nil
}

// overlapping returns the areas that have addresses in [lo, hi): l[i:j].
func (l areaList) overlapping(lo, hi uint64) (i, j int) {
	i = l.search(lo)
	j = i + sort.Search(len(l)-i, func(k int) bool { return l[i+k].start >= hi })
	return i, j
}

// covered tells whether every address in [lo, hi) belongs to an area.
func (l areaList) covered(lo, hi uint64) bool {
	for i := l.search(lo); lo < hi; i++ {
		if i == len(l) || l[i].start > lo {
			return false
		}
		lo = l[i].end
	}
	return true
}

// bytesIn returns how many bytes of [lo, hi) belong to areas.
func (l areaList) bytesIn(lo, hi uint64) (n uint64) {
	i, j := l.overlapping(lo, hi)
	for ; i < j; i++ {
		n += min(l[i].end, hi) - max(l[i].start, lo)
	}
	return n
}

// splits tells whether va lies inside an area, not at its start.
func (l areaList) splits(va uint64) bool {
	a := l.find(va)
	return a != nil && a.start < va
}

// cut makes va a border between areas.
func (l *areaList) cut(va uint64) {
	i := l.search(va)
	if i == len(*l) || (*l)[i].start >= va {
		return
	}
	high := (*l)[i]
	high.off = high.offset(va)
	high.start = va
	(*l)[i].end = va
	*l = slices.Insert(*l, i+1, high)
}

// remove takes [lo, hi) out of the list.
func (l *areaList) remove(lo, hi uint64) {
	l.cut(lo)
	l.cut(hi)
	i, j := l.overlapping(lo, hi)
	*l = slices.Delete(*l, i, j)
}

// insert adds a, for which there must be room, and merges it with its neighbours.
func (l *areaList) insert(a area) {
	i := l.search(a.start)
	if i > 0 && (*l)[i-1].joins(&a) {
		(*l)[i-1].end = a.end
		l.join(i, i)
		return
	}
	if i < len(*l) && a.joins(&(*l)[i]) {
		(*l)[i].start, (*l)[i].off = a.start, a.off
		return
	}
	*l = slices.Insert(*l, i, a)
}

// join merges what can be merged at the borders before the areas i to j.
func (l *areaList) join(i, j int) {
	for j = min(j, len(*l)-1); j >= max(i, 1); j-- {
		if (*l)[j-1].joins(&(*l)[j]) {
			(*l)[j-1].end = (*l)[j].end
			*l = slices.Delete(*l, j, j+1)
		}
	}
}

// gapBelow returns the start of the highest free range of length bytes in [floor, ceiling).
func (l areaList) gapBelow(floor, ceiling, length uint64) (uint64, bool) {
	i := l.search(ceiling) - 1
	if i+1 < len(l) && l[i+1].start < ceiling {
		ceiling = l[i+1].start
	}
	for top := ceiling; top > floor; i-- {
		bottom := floor
		if i >= 0 {
			bottom = max(floor, l[i].end)
		}
		if top > bottom && top-bottom >= length {
			return top - length, true
		}
		if i < 0 {
			break
		}
		top = l[i].start
	}
	return 0, false
}

// gapAbove returns the start of the lowest free range of length bytes in [floor, ceiling).
func (l areaList) gapAbove(floor, ceiling, length uint64) (uint64, bool) {
	for i := l.search(floor); floor < ceiling; i++ {
		top := ceiling
		if i < len(l) {
			top = min(ceiling, l[i].start)
		}
		if top > floor && top-floor >= length {
			return floor, true
		}
		if i >= len(l) {
			break
		}
		floor = l[i].end
	}
	return 0, false
}
