package net

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// TestHeadersAreThoseOfTheEngine: a datagram without DF takes the engine's way, one with DF a shorter one; but for DF and the number that
// only the former needs, they are the same.
func TestHeadersAreThoseOfTheEngine(t *testing.T) {
	a, b, la, _ := testStacks(t, Options{})
	peer := udpOn(t, b, sa4("192.0.2.2", 7))
	s := udpOn(t, a, sa4("192.0.2.1", 3000))
	check(t, s.SetOption(unix.IPPROTO_IP, unix.IP_TTL, []byte{7, 0, 0, 0}))
	check(t, s.SetOption(unix.IPPROTO_IP, unix.IP_TOS, []byte{0x20, 0, 0, 0}))
	send := func(discover byte, size int) header.IPv4 {
		check(t, s.SetOption(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, []byte{discover, 0, 0, 0}))
		la.watch()
		sendTo(t, s, string(make([]byte, size)), sa4("192.0.2.2", 7))
		recvFrom(t, peer)
		for _, f := range la.frames() {
			if ip := header.IPv4(f[header.EthernetMinimumSize:]); header.Ethernet(f).Type() == header.IPv4ProtocolNumber && ip.Protocol() == unix.IPPROTO_UDP {
				return ip
			}
		}
		t.Fatal("the datagram was not sent")
		return nil
	}
	for _, size := range []int{0, 1, 500, 1472} {
		long, short := send(unix.IP_PMTUDISC_DONT, size), send(unix.IP_PMTUDISC_DO, size)
		if long.Flags() != 0 || short.Flags() != header.IPv4FlagDontFragment {
			t.Errorf("%d bytes: flags %#x and %#x", size, long.Flags(), short.Flags())
		}
		for _, ip := range []header.IPv4{long, short} {
			if ip.TTL() != 7 || !ip.IsChecksumValid() {
				t.Errorf("%d bytes: TTL %d, checksum valid %v", size, ip.TTL(), ip.IsChecksumValid())
			}
			binary.BigEndian.PutUint32(ip[4:], 0) // number, flags, offset
			ip.SetChecksum(0)
		}
		if !bytes.Equal(long, short) {
			t.Errorf("%d bytes:\n% x\n% x", size, long[:28], short[:28])
		}
	}
}
