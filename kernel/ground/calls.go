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
func service(cpu *cpu, t *thread) uint64 {
	a, b, c := t.di, t.si, t.dx
	switch t.ax {
	case callAllocFrames:
		return allocFrames(a, b)
	case callFreeFrames:
		freeFramesAt(a, b)
	case callNewRoot:
		return newRoot()
	case callFlush:
		flush(a, b, c)
	case callKick:
		u := userAt(a)
		if on := atomic.LoadUint64(&u.OnCPU); on != 0 {
			if target := cpuByID(on - 1); target != cpu {
				sendIPI(cpu, target, vecResched)
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

// allocFrames stores up to n frames for programs at a, and returns how many.
func allocFrames(a, n uint64) uint64 {
	var batch frameBatch
	done := uint64(0)
	for done < n {
		want := min(n-done, uint64(len(batch)))
		got := takeBatch(&batch, want)
		copyWords(a+done*8, addressOf(&batch), got)
		if done += got; got < want {
			break
		}
	}
	return done
}

// freeFramesAt gives back the n frames that are told at a.
func freeFramesAt(a, n uint64) {
	var batch frameBatch
	for done := uint64(0); done < n; {
		some := min(n-done, uint64(len(batch)))
		copyWords(addressOf(&batch), a+done*8, some)
		freeBatch(&batch, some)
		done += some
	}
}

// newRoot returns page tables with nothing in the lower half, or 0.
func newRoot() uint64 {
	var root frameBatch
	if takeBatch(&root, 1) == 0 {
		return 0
	}
	clearPage(direct + root[0])
	copyWords(direct+root[0]+pageSize/2, direct+kernelRoot+pageSize/2, pageSize/16)
	return root[0]
}
