package ground

import "sync/atomic"

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

// framesLock guards what is not handed out. Nothing that it is held for can fault.
var framesLock spinlock

var (
	ranges     [maxRanges]memRange // guarded by framesLock
	rangeCount uint64              // fixed after boot

	freeList   uint64 // physical address of the first free frame, linked through their first words; guarded by framesLock
	freeFrames uint64 // on the list and in ranges; guarded by framesLock, read without it
	allFrames  uint64 // fixed after boot

	// Programs can't have what the kernel's own page faults must find: what it should take at most, less what it has of it.
	kernelShare  uint64 // fixed after boot
	kernelLimit  uint64 // fixed after boot; of the share, up to which programs may make the kernel keep more for them
	kernelLow    uint64 // fixed after boot; with fewer free frames memory is low
	kernelFrames uint64 // that hold memory of the runtime, and page tables of it; atomic

	deviceFrames uint64 // that devices have; guarded by framesLock, read without it

	memoryLow   uint32 // not 0: the kernel has met few free frames; atomic, see LookForMemory
	memoryTight uint32 // not 0: there are so few that what the kernel has might not double; guarded by framesLock, read without it
)

// minimumReserve is kept for the kernel also when it has had what it should.
const minimumReserve = (1 << 20) / pageSize

// reserve is the number of free frames that programs can't have now.
func reserve() uint64 {
	return max(kernelShare-min(atomic.LoadUint64(&kernelFrames), kernelShare), minimumReserve)
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

// takeFrame returns a frame with unknown contents, or 0. The caller holds framesLock.
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
	framesLock.lock()
	f := takeFrame()
	low := freeFrames < kernelLow
	noteTight()
	framesLock.unlock()
	if f == 0 {
		die("out of memory")
	}
	if low {
		atomic.StoreUint32(&memoryLow, 1)
	}
	clearPage(direct + f)
	atomic.AddUint64(&kernelFrames, 1)
	return f
}

// returnFrame gives back a frame of the kernel itself.
func returnFrame(f uint64) {
	framesLock.lock()
	freeFrame(f)
	framesLock.unlock()
	atomic.AddUint64(&kernelFrames, ^uint64(0))
}

// returnFrames gives back n frames of the kernel itself.
func returnFrames(frames *frameBatch, n uint64) {
	freeBatch(frames, n)
	atomic.AddUint64(&kernelFrames, -n)
}

// frameBatch is as many frames as are handed out or taken back in one go.
type frameBatch [256]uint64

// takeBatch takes up to n frames that programs can have, with unknown contents, and returns how many.
func takeBatch(frames *frameBatch, n uint64) uint64 {
	taken := uint64(0)
	framesLock.lock()
	for ; taken < n && freeFrames > reserve(); taken++ {
		frames[taken%uint64(len(frames))] = takeFrame()
	}
	noteTight()
	framesLock.unlock()
	return taken
}

func freeBatch(frames *frameBatch, n uint64) {
	framesLock.lock()
	for i := uint64(0); i < n; i++ {
		freeFrame(frames[i%uint64(len(frames))])
	}
	noteTight()
	framesLock.unlock()
}

// noteTight sets memoryTight anew. The caller holds framesLock.
func noteTight() {
	tight := uint32(0)
	if freeFrames < atomic.LoadUint64(&kernelFrames)+2*kernelLow {
		tight = 1
	}
	if memoryTight != tight {
		atomic.StoreUint32(&memoryTight, tight)
	}
}

// freeFrame gives back a frame. The caller holds framesLock.
func freeFrame(f uint64) {
	*p64(direct + f) = freeList
	freeList = f
	freeFrames++
}

// allocContiguous returns n zeroed frames in a row below 4 GiB, or 0. Memory that has been freed is not searched: it is
// for devices, which take theirs at start.
func allocContiguous(n uint64) uint64 {
	size := n * pageSize
	framesLock.lock()
	f := takeRow(size)
	framesLock.unlock()
	for a := f; f != 0 && a < f+size; a += pageSize {
		clearPage(direct + a)
	}
	return f
}

// takeRow takes sizeBytes of frames in a row below 4 GiB, or returns 0. The caller holds framesLock.
func takeRow(sizeBytes uint64) uint64 {
	for i := uint64(0); i < rangeCount; i++ {
		r := &ranges[i%maxRanges]
		if r.end-r.next < sizeBytes || r.next+sizeBytes > 1<<32 {
			continue
		}
		f := r.next
		r.next += sizeBytes
		freeFrames -= sizeBytes / pageSize
		deviceFrames += sizeBytes / pageSize
		return f
	}
	return 0
}
