// Udp checks UDP, over the loopback interface and with a peer (see package peer) that -peer names.
package main

import (
	"flag"

	"wick/test/programs/check"
)

var peerAddress = flag.String("peer", "", "`address:port` of the peer")

func main() {
	check.Main(
		check.Case{Name: "loopback", Run: loopback},
		check.Case{Name: "boundaries", Run: boundaries},
		check.Case{Name: "ipv6-loopback", Run: ipv6Loopback},
		check.Case{Name: "peer-filter", Run: peerFilter},
		check.Case{Name: "queues-are-apart", Run: queuesAreApart},
		check.Case{Name: "queue-is-bounded", Run: queueIsBounded},
		check.Case{Name: "blocked-reader", Run: blockedReader},
		check.Case{Name: "many-sockets", Run: manySockets},
		check.Case{Name: "refused", Run: refused},
		check.Case{Name: "truncation", Run: truncation},
		check.Case{Name: "reconnect", Run: reconnect},
		check.Case{Name: "messages", Run: messages},
		check.Case{Name: "segments", Run: segments},
		check.Case{Name: "segments-by-message", Run: segmentsByMessage},
		check.Case{Name: "segments-refused", Run: segmentsRefused},
		check.Case{Name: "port-in-use", Run: portInUse},
		check.Case{Name: "port-shared-after-bind", Run: portSharedAfterBind},
		check.Case{Name: "ipv6-reconnect", Run: ipv6Reconnect},
		check.Case{Name: "deadlines", Run: deadlines},
		check.Case{Name: "errors", Run: errnos},

		check.Case{Name: "peer-echo", Run: peerEcho},
		check.Case{Name: "peer-sizes", Run: peerSizes},
		check.Case{Name: "peer-fragments", Run: peerFragments},
		check.Case{Name: "peer-stranger", Run: peerStranger},
		check.Case{Name: "peer-many-sockets", Run: peerManySockets},
		check.Case{Name: "peer-segments", Run: peerSegments},
		check.Case{Name: "peer-burst", Run: peerBurst},
	)
}
