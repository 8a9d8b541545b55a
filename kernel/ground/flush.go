package ground

import "sync/atomic"

// A CPU keeps translations until it is asked to drop them: another counts up its flushAsked, interrupts it, and waits until
// its flushSeen has got there. No lock is held meanwhile, and who waits answers what others ask of it.
//
// A CPU that idles is not interrupted and not waited for: it touches nothing of the runtime's or of a program's memory, and
// answers when it has something to do again. Either it sees the question when it has left the set of idle CPUs, or
// whoever asks sees that it has left.

// answerFlush does the flush that another CPU asks for, if there is one. It leaves the program's page tables altogether: they may
// be about to be freed.
func answerFlush(c *cpu) {
	if g := atomic.LoadUint64(&c.flushAsked); c.flushSeen != g {
		leaveRoot(c)
		atomic.StoreUint64(&c.flushSeen, g)
	}
}

// leaveRoot has this CPU use no program's page tables any more.
func leaveRoot(c *cpu) {
	writeCR3(kernelRoot)
	atomic.StoreUint64(&c.root, kernelRoot)
	atomic.StoreUint64(&c.loaded, kernelRoot)
}

// uses tells whether a CPU may have root loaded. One that changes from one root to another (loadUser) says so before, for the flushes
// of the new one, and after, lest the old one be freed while its next instruction is still found by it.
func uses(c *cpu, root uint64) bool {
	return atomic.LoadUint64(&c.root) == root || atomic.LoadUint64(&c.loaded) == root
}

// shootdown makes the other CPUs drop their translations and waits until they have: those that have root loaded, or, if
// root is 0, all. leave tells that root is to be freed, so that also idle CPUs must not have it loaded any more. The caller
// holds no lock.
func shootdown(root uint64, leave bool) {
	if cpuCount == 1 {
		return
	}
	my := me()
	var goals [maxCPUs]uint64 // 0: not waited for
	for i := uint64(0); i < cpuCount; i++ {
		c := cpuByID(i)
		if c == my || root != 0 && !uses(c, root) {
			continue
		}
		goal := atomic.AddUint64(&c.flushAsked, 1)
		if !leave && isIdle(i) {
			continue
		}
		goals[i%maxCPUs] = goal
		sendIPI(my, c, vecFlush)
	}
	for i := uint64(0); i < cpuCount; i++ {
		for c := cpuByID(i); atomic.LoadUint64(&c.flushSeen) < goals[i%maxCPUs]; {
			answerFlush(my)
			pause()
		}
	}
}

// flush drops translations of user pages of root on all CPUs. pages == 0 stands for everything, and also takes the root
// out of use, so that it can be freed.
func flush(root, va, pages uint64) {
	c := me()
	if c.root == root {
		switch {
		case pages == 0:
			leaveRoot(c)
		case pages > maxFlushPages:
			writeCR3(root)
		default:
			for i := uint64(0); i < pages; i++ {
				invlpg(va + i*pageSize)
			}
		}
	}
	shootdown(root, pages == 0)
}
