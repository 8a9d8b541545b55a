// Threads checks goroutines and the threads under them: their creation and end, switching between them, futexes,
// timers, and what package sync builds on those.
package main

import "wick/test/programs/check"

func main() {
	check.Main(
		check.Case{Name: "goroutines", Run: goroutines},
		check.Case{Name: "ring", Run: ring},
		check.Case{Name: "mutex", Run: mutex},
		check.Case{Name: "rwmutex", Run: rwMutex},
		check.Case{Name: "cond", Run: cond},
		check.Case{Name: "timers", Run: timers},
		check.Case{Name: "parallel", Run: parallel},

		check.Case{Name: "locked-threads", Run: lockedThreads},
		check.Case{Name: "locked-ping-pong", Run: lockedPingPong},
		check.Case{Name: "threads-end", Run: threadsEnd},
		check.Case{Name: "blocked-threads", Run: blockedThreads},
		check.Case{Name: "affinity", Run: affinity},

		check.Case{Name: "futex-errors", Run: futexErrors},
		check.Case{Name: "futex-wake", Run: futexWake},
		check.Case{Name: "futex-bitset", Run: futexBitset},
		check.Case{Name: "futex-requeue", Run: futexRequeue},
		check.Case{Name: "futex-contended", Run: futexContended},
	)
}
