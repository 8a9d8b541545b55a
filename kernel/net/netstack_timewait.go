package net

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A connection that is over is remembered for a while, so that late packets of it aren't taken for those of
// a new one [RFC 9293 3.6.1]. The engine keeps some 8 KiB for each, so a server that closes first, thousands of times a
// minute, would fill the memory of a small machine.
//
// DEVIATION: the more there are, the shorter they are kept; Linux keeps 60 s and 200 bytes, and forgets at once what is more
// than tcp_max_tw_buckets.

// timeWaitTier is how long connections are remembered while there are fewer than limit.
type timeWaitTier struct {
	limit int64
	keep  time.Duration
}

var timeWaitTiers = [...]timeWaitTier{{256, 0}, {512, 10 * time.Second}, {1024, 2 * time.Second}, {2048, 500 * time.Millisecond}}

// timeWaitLeast is for more than that.
const timeWaitLeast = 100 * time.Millisecond

// timeWait is the time to remember connections while there are n; ordinary is that for a few.
func timeWait(n int64, ordinary time.Duration) time.Duration {
	for _, t := range timeWaitTiers {
		if n < t.limit {
			if t.keep == 0 || t.keep > ordinary {
				return ordinary
			}
			return t.keep
		}
	}
	return min(timeWaitLeast, ordinary)
}

// limitTimeWait adapts to the number of connections that belong to no socket any more.
func (n *netstack) limitTimeWait() {
	over := int64(n.stack.Stats().TCP.CurrentConnected.Value()) - n.streams.Load()
	want := timeWait(over, n.timeWaitOrdinary)
	if old := n.timeWaitNow.Swap(int64(want)); old != int64(want) {
		v := tcpip.TCPTimeWaitTimeoutOption(want)
		n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &v)
	}
}
