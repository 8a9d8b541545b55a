//go:build faults

package ground

// Faults for tests of what becomes of them.
const (
	FaultPage  = 1 // a page fault of ground itself
	FaultStuck = 2 // a CPU never leaves ground
)

// Provoke makes a fault in ground.
func Provoke(fault uint64) { call(callProvoke, fault, 0, 0) }

// Spin never returns, and nothing preempts it. The watchdog doesn't wait as long for that as usual.
func Spin() {
	stuckInGo = 3
	spin()
}

func spin()

func provoke(t *thread) uint64 {
	switch {
	case t.ax != callProvoke:
		return negErrno(enosys)
	case t.di == FaultPage:
		return *p64(mmapTop - pageSize)
	}
	for {
		pause()
	}
}
