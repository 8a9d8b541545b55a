package net

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// losingTheTail loses so many segments in a row behind the first ones of a stream of size bytes, its last segment with data, and
// the first frame that is sent once more after its end. All else arrives.
func losingTheTail(early, size int) func([]byte) []time.Duration {
	const first = 12
	segments, sent := 0, 0
	probed := false // one has been sent once more after the end
	var next uint32
	return func(frame []byte) []time.Duration {
		arrives := []time.Duration{0}
		ip := header.IPv4(frame[header.EthernetMinimumSize:])
		if !ip.IsValid(len(ip)) || ip.TransportProtocol() != header.TCPProtocolNumber {
			return arrives
		}
		tcp := header.TCP(ip.Payload())
		n := len(tcp.Payload())
		ends := tcp.Flags().Contains(header.TCPFlagFin)
		if n == 0 && !ends {
			return arrives
		}
		if segments > 0 && int32(tcp.SequenceNumber()-next) < 0 { // once more
			if sent == size && !probed {
				probed = true
				return nil
			}
			return arrives
		}
		next = tcp.SequenceNumber() + uint32(n)
		segments++
		sent += n
		if segments > first && segments <= first+early || n > 0 && sent == size {
			return nil
		}
		return arrives
	}
}

// TestTailOfALossyStream: what is lost at the end of a stream is sent until it arrives, though much of it was lost before.
func TestTailOfALossyStream(t *testing.T) {
	const size = 60_000
	for lost := 3; lost < 9; lost++ {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			t.Parallel()
			a, b, la, _ := testStacks(t, Options{})
			la.setFate(losingTheTail(lost, size))
			l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 1)
			c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 80))
			check(t, err)
			k, err := acceptOne(l)
			check(t, err)
			go func() {
				sendAll(c, size, 1)
				c.Shutdown(unix.SHUT_WR)
			}()
			if n, _, err := receiveAll(k); n != size || err != nil {
				t.Errorf("%d of %d bytes, %v", n, size, err)
			}
		})
	}
}
