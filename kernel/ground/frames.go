package ground

// direct is where all physical memory is mapped.
const direct = 0xffff800000000000

const (
	pageSize = 4096
	pageMask = pageSize - 1
)

// maxRanges bounds the ranges of usable memory that are remembered.
const maxRanges = 16

// memRange is usable memory that has never been handed out, in bytes.
type memRange struct{ next, end uint64 }

var (
	ranges     [maxRanges]memRange
	rangeCount uint64

	freeList   uint64 // physical address of the first free frame, linked through their first words
	freeFrames uint64 // on the list and in ranges
	allFrames  uint64

	// Programs can't have what the kernel's own page faults must find: the kernel's share, less what it has of it.
	kernelShare  uint64
	kernelFrames uint64 // that hold memory of the runtime, and page tables of it
)

// minimumReserve is kept for the kernel also when it has had its share.
const minimumReserve = (1 << 20) / pageSize

// reserve is the number of free frames that programs can't have now.
func reserve() uint64 {
	return max(kernelShare-min(kernelFrames, kernelShare), minimumReserve)
}

// addRange takes [start, end) into use.
func addRange(start, end uint64) {
	start = (start + pageMask) &^ pageMask
	end &^= pageMask
	if start >= end || rangeCount >= maxRanges {
		return
	}
	ranges[rangeCount%maxRanges] = memRange{start, end}
	rangeCount++
	freeFrames += (end - start) / pageSize
	allFrames += (end - start) / pageSize
}

// takeFrame returns a frame with unknown contents, or 0.
func takeFrame() uint64 {
	if f := freeList; f != 0 {
		freeList = *p64(direct + f)
		freeFrames--
		return f
	}
	for i := uint64(0); i < rangeCount; i++ {
		r := &ranges[i%maxRanges]
		if r.next < r.end {
			f := r.next
			r.next += pageSize
			freeFrames--
			return f
		}
	}
	return 0
}

// allocFrame returns a zeroed frame for the kernel itself. Running out is fatal: programs are refused long before.
func allocFrame() uint64 {
	f := takeFrame()
	if f == 0 {
		die("out of memory")
	}
	clearPage(direct + f)
	kernelFrames++
	return f
}

func freeFrame(f uint64) {
	*p64(direct + f) = freeList
	freeList = f
	freeFrames++
}

// allocContiguous returns n zeroed frames in a row below 4 GiB, or 0. Memory that has been freed is not searched: it is
// for devices, which take theirs at start.
func allocContiguous(n uint64) uint64 {
	size := n * pageSize
	for i := uint64(0); i < rangeCount; i++ {
		r := &ranges[i%maxRanges]
		if r.end-r.next < size || r.next+size > 1<<32 {
			continue
		}
		f := r.next
		r.next += size
		freeFrames -= n
		for a := f; a < r.next; a += pageSize {
			clearPage(direct + a)
		}
		return f
	}
	return 0
}
