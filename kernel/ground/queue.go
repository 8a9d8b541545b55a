package ground

import (
	"math/bits"
	"sync/atomic"
)

// Sets of runnable threads and of idle CPUs, a bit for each: what is taken out of a set belongs to who has found its bit set. There
// is no lock, so a CPU that the host doesn't run keeps no other from what waits.

// idleCPUs is the set of CPUs that have nothing to do, by their index.
var idleCPUs uint64

// put adds a runnable thread of the caller's to the queue of c, the CPU that the caller runs on.
func put(c *cpu, tid uint64) {
	bit := uint64(1) << (tid % maxThreads)
	c.offered &^= bit
	c.computing &^= bit
	atomic.OrUint64(&c.queue, bit)
}

// unoffered returns the threads in c's own queue that no idle CPU has been told of yet, and takes it that now it will be.
func unoffered(c *cpu) uint64 {
	set := atomic.LoadUint64(&c.queue)
	fresh := set &^ c.offered
	c.offered = set
	return fresh
}

// take takes a thread out of a queue: the next one behind thread last, so that each gets its turn. It returns 0 if there is
// none.
func take(queue *uint64, last uint64) uint64 {
	for {
		set := atomic.LoadUint64(queue)
		if set == 0 {
			return 0
		}
		if later := set &^ (2<<(last%maxThreads) - 1); later != 0 {
			set = later
		}
		tid := uint64(bits.TrailingZeros64(set))
		if atomic.AndUint64(queue, ^(1<<(tid%maxThreads)))>>(tid%maxThreads)&1 != 0 {
			return tid
		}
	}
}

// next takes a thread out of c's own queue or, if that is empty, out of another's.
func next(c *cpu) uint64 {
	tid := take(&c.queue, c.last)
	for i := uint64(1); tid == 0 && i < cpuCount; i++ {
		tid = take(&cpuByID((c.id+i)%cpuCount).queue, c.last)
	}
	if tid != 0 {
		c.last = tid
	}
	return tid
}

// beginIdle puts c among the idle CPUs.
func beginIdle(c *cpu) { atomic.OrUint64(&idleCPUs, 1<<(c.id%maxCPUs)) }

func isIdle(id uint64) bool { return atomic.LoadUint64(&idleCPUs)>>(id%maxCPUs)&1 != 0 }

// endIdle takes a CPU out of the idle ones, and tells whether it was among them: who gets true for another CPU must interrupt it.
func endIdle(id uint64) bool {
	bit := uint64(1) << (id % maxCPUs)
	return atomic.LoadUint64(&idleCPUs)&bit != 0 && atomic.AndUint64(&idleCPUs, ^bit)&bit != 0
}

// takeIdle takes any CPU out of the idle ones. One that has come up too late to be counted is none.
func takeIdle() (id uint64, ok bool) {
	for {
		set := atomic.LoadUint64(&idleCPUs) & (1<<cpuCount - 1)
		if set == 0 {
			return 0, false
		}
		if id = uint64(bits.TrailingZeros64(set)); endIdle(id) {
			return id, true
		}
	}
}
