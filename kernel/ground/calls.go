package ground

import "sync/atomic"

// ground's own services for the Go code above it, asked for by SYSCALL with numbers that Linux doesn't have.
const (
	callFirst = 1000

	callAllocFrames     = 1000 // (address for frame numbers, count) number of frames
	callFreeFrames      = 1001 // (address of frame numbers, count)
	callNewRoot         = 1002 // () root or 0
	callFlush           = 1003 // (root, va, pages)
	callKick            = 1004 // (*regs.User)
	callAllocContiguous = 1005 // (pages) frame or 0
	callPowerOff        = 1006 // (status)
	callNull            = 1007 // nothing, for measurements
	callStartWatchdog   = 1008 // ()
	callProvoke         = 1009 // (fault), in kernels for tests only
	callAddEntropy      = 1010 // (address of bytes, count)
)

// maxFlushPages is from where on a flush of everything is cheaper than one page by page.
const maxFlushPages = 32

// service does a call of ground's own.
func service(t *thread) uint64 {
	a, b, c := t.di, t.si, t.dx
	switch t.ax {
	case callAllocFrames:
		n := uint64(0)
		for ; n < b && freeFrames > reserve(); n++ {
			*p64(a + n*8) = takeFrame()
		}
		return n
	case callFreeFrames:
		for i := uint64(0); i < b; i++ {
			freeFrame(*p64(a + i*8))
		}
	case callNewRoot:
		if freeFrames <= reserve() {
			return 0
		}
		root := takeFrame()
		clearPage(direct + root)
		copyWords(direct+root+pageSize/2, direct+kernelRoot+pageSize/2, pageSize/16)
		return root
	case callFlush:
		flush(a, b, c)
	case callKick:
		u := userAt(a)
		if on := atomic.LoadUint64(&u.OnCPU); on != 0 {
			if target := cpuByID(on - 1); target != me() {
				sendIPI(target.lapicID, vecResched)
			}
		}
	case callAllocContiguous:
		return allocContiguous(a)
	case callPowerOff:
		powerOff(a)
	case callAddEntropy:
		absorb(a, b)
	case callNull:
	case callStartWatchdog:
		startWatchdog()
	default:
		return provoke(t)
	}
	return 0
}

// flush drops translations of user pages of root on all CPUs. pages == 0 stands for everything, and also takes the root
// out of use, so that it can be freed.
func flush(root, va, pages uint64) {
	c := me()
	if c.root == root {
		switch {
		case pages == 0:
			c.root = kernelRoot
			writeCR3(kernelRoot)
		case pages > maxFlushPages:
			writeCR3(root)
		default:
			for i := uint64(0); i < pages; i++ {
				invlpg(va + i*pageSize)
			}
		}
	}
	shootdown(root)
}
