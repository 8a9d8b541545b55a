// Epoll checks epoll on pipes, eventfds and sockets: level- and edge-triggered, one-shot, hang-ups, changes while
// another thread waits; and poll and select on the same files.
package main

import "wick/test/programs/check"

func main() {
	check.Main(
		check.Case{Name: "level", Run: level},
		check.Case{Name: "edge", Run: edge},
		check.Case{Name: "edge-writable", Run: edgeWritable},
		check.Case{Name: "one-shot", Run: oneShot},
		check.Case{Name: "modify", Run: modify},
		check.Case{Name: "hang-up", Run: hangUp},
		check.Case{Name: "eventfd", Run: eventfd},
		check.Case{Name: "sockets", Run: sockets},
		check.Case{Name: "end-only", Run: endOnly},
		check.Case{Name: "listener", Run: listener},
		check.Case{Name: "udp", Run: udp},
		check.Case{Name: "close-removes", Run: closeRemoves},
		check.Case{Name: "duplicate-stays", Run: duplicateStays},
		check.Case{Name: "fair", Run: fair},
		check.Case{Name: "all-ready", Run: allReady},
		check.Case{Name: "wait-while-changing", Run: waitWhileChanging},
		check.Case{Name: "one-event-one-waiter", Run: oneEventOneWaiter},
		check.Case{Name: "nested", Run: nested},
		check.Case{Name: "nested-paths", Run: nestedPaths},
		check.Case{Name: "timeouts", Run: timeouts},
		check.Case{Name: "errors", Run: errnos},
		check.Case{Name: "poll", Run: poll},
		check.Case{Name: "select", Run: selectCall},
	)
}
