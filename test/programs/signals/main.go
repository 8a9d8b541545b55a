// Signals checks what Go makes of signals: recovered faults, preemption, package os/signal, and how signals end a
// program.
package main

import "wick/test/programs/check"

func main() {
	check.Main(
		check.Case{Name: "nil-dereference", Run: nilDereference},
		check.Case{Name: "nil-dereference-threads", Run: nilDereferenceThreads},
		check.Case{Name: "wild-address", Run: wildAddress},
		check.Case{Name: "divide-by-zero", Run: divideByZero},
		check.Case{Name: "preempt-tight-loop", Run: preemptTightLoop},
		check.Case{Name: "preempt-with-gc", Run: preemptWithGC},
		check.Case{Name: "stop-the-world", Run: stopTheWorld},

		check.Case{Name: "notify", Run: notify},
		check.Case{Name: "notify-context", Run: notifyContext},
		check.Case{Name: "ignore", Run: ignore},
		check.Case{Name: "storm", Run: storm},
		check.Case{Name: "tgkill", Run: tgkill},
		check.Case{Name: "kill-errors", Run: killErrors},
		check.Case{Name: "alarm", Run: alarm},
		check.Case{Name: "registers-kept", Run: registersKept},
	)
}
