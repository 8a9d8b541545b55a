package ground

import "sync/atomic"

var (
	groundLock uint32
	flushGen   uint64 // number of TLB shootdowns asked for
	flushRoot  uint64 // what the last one is of: a page-table root, or 0 for the kernel's memory
)

// lock takes the ground lock. Interrupts are off, so it answers shootdowns while it waits.
func lock() {
	c := me()
	for !atomic.CompareAndSwapUint32(&groundLock, 0, 1) {
		answerFlush(c)
		pause()
	}
	c.locked = 1
	c.watch.entries++
}

// unlock releases it. At the end of an entry the assembly does this, after its last use of shared state.
func unlock() {
	me().locked = 0
	atomic.StoreUint32(&groundLock, 0)
}

// answerFlush does the flush that another CPU waits for, if there is one.
func answerFlush(c *cpu) {
	if g := atomic.LoadUint64(&flushGen); c.flushSeen != g {
		if root := atomic.LoadUint64(&flushRoot); root != 0 && c.root == root {
			// Leave the root altogether: it may be about to be freed.
			c.root = kernelRoot
			writeCR3(kernelRoot)
		} else {
			writeCR3(c.root)
		}
		atomic.StoreUint64(&c.flushSeen, g)
	}
}

// shootdown makes the other CPUs drop their translations and waits until they have: those that have root loaded, or, if
// root is 0, all. The caller holds the ground lock.
func shootdown(root uint64) {
	if cpuCount == 1 {
		return
	}
	my := me()
	wanted := uint64(0)
	for i := uint64(0); i < cpuCount; i++ {
		if c := cpuByID(i); c != my && (root == 0 || atomic.LoadUint64(&c.root) == root) {
			wanted |= 1 << i
		}
	}
	if wanted == 0 {
		return
	}
	atomic.StoreUint64(&flushRoot, root)
	g := atomic.AddUint64(&flushGen, 1)
	my.flushSeen = g
	for i := uint64(0); i < cpuCount; i++ {
		c := cpuByID(i)
		if wanted>>i&1 == 0 {
			continue
		}
		sendIPI(c.lapicID, vecFlush)
	}
	for i := uint64(0); i < cpuCount; i++ {
		for wanted>>i&1 != 0 && atomic.LoadUint64(&cpuByID(i).flushSeen) < g {
			pause()
		}
	}
}
