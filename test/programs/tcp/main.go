// Tcp checks TCP, over the loopback interface and with a peer (see package peer) that -peer names; or, with -serve,
// is the peer for somebody else.
package main

import (
	"flag"
	"fmt"
	"os"

	"wick/test/programs/check"
	"wick/test/programs/peer"
)

var (
	peerAddress = flag.String("peer", "", "`address:port` of the peer")
	serve       = flag.String("serve", "", "be a peer at `address:port` until somebody says quit")
)

func main() {
	flag.Parse()
	if *serve != "" {
		os.Exit(beServer(*serve))
	}
	check.Main(
		check.Case{Name: "loopback", Run: loopback},
		check.Case{Name: "loopback-64m", Run: loopback64M},
		check.Case{Name: "addresses", Run: addresses},
		check.Case{Name: "ipv6-loopback", Run: ipv6Loopback},
		check.Case{Name: "half-close", Run: halfClose},
		check.Case{Name: "reset", Run: reset},
		check.Case{Name: "refused", Run: refused},
		check.Case{Name: "deadlines", Run: deadlines},
		check.Case{Name: "flow-control", Run: flowControl},
		check.Case{Name: "close-unblocks", Run: closeUnblocks},
		check.Case{Name: "port-in-use", Run: portInUse},
		check.Case{Name: "options", Run: options},
		check.Case{Name: "sendfile", Run: sendfile},
		check.Case{Name: "splice", Run: splice},
		check.Case{Name: "writev", Run: writev},
		check.Case{Name: "messages", Run: messages},
		check.Case{Name: "blocking-calls", Run: blockingCalls},
		check.Case{Name: "errors", Run: errnos},
		check.Case{Name: "backlog", Run: backlog},

		check.Case{Name: "peer-small", Run: sizes(1, 100, 1<<10, 1460, 1461, 10_000)},
		check.Case{Name: "peer-64k", Run: sizes(64 << 10)},
		check.Case{Name: "peer-1m", Run: sizes(1 << 20)},
		check.Case{Name: "peer-8m", Run: sizes(8 << 20)},
		check.Case{Name: "peer-64m", Run: bulk},
		check.Case{Name: "peer-refused", Run: peerRefused},
		check.Case{Name: "peer-in-a-row", Run: inARow},
		check.Case{Name: "peer-at-once", Run: atOnce},
		check.Case{Name: "peer-mixed", Run: mixed},
	)
}

// beServer serves until somebody says quit, and returns the exit status.
func beServer(address string) int {
	s, err := peer.ListenTCP(address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("serving", s.Port())
	<-s.Quit()
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ok serve")
	return 0
}
