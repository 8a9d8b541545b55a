package net

import (
	"encoding/binary"
	"net/netip"
	"time"

	"wick/packet"
)

// DHCP messages [RFC 2131 2, RFC 2132], in UDP over IPv4 over Ethernet:
//
//	 0 op  1 htype  2 hlen  3 hops  4 xid 4  8 secs 2  10 flags 2  12 ciaddr 4  16 yiaddr 4
//	20 siaddr 4  24 giaddr 4  28 chaddr 16  44 sname 64  108 file 128  236 cookie 4  240 options…
const (
	dhcpOp, dhcpXID, dhcpFlags, dhcpCiaddr, dhcpYiaddr = 0, 4, 10, 12, 16
	dhcpChaddr, dhcpCookie, dhcpOptions                = 28, 236, 240

	dhcpMagic      = 0x63825363
	dhcpServerPort = 67
	dhcpClientPort = 68
	dhcpBroadcast  = 0x8000 // flags: answer by broadcast
	dhcpMinimum    = 300    // BOOTP relays drop shorter ones [RFC 1542 2.1]
)

// Message types [RFC 2132 9.6].
const (
	dhcpDiscover = 1
	dhcpOffer    = 2
	dhcpRequest  = 3
	dhcpDecline  = 4
	dhcpAck      = 5
	dhcpNak      = 6
	dhcpRelease  = 7
)

// Options [RFC 2132].
const (
	dhcpOptPad, dhcpOptEnd        = 0, 255
	dhcpOptSubnetMask             = 1
	dhcpOptRouter                 = 3
	dhcpOptDNS                    = 6
	dhcpOptHostname               = 12
	dhcpOptRequestedIP            = 50
	dhcpOptLeaseTime              = 51
	dhcpOptMessageType            = 53
	dhcpOptServerID               = 54
	dhcpOptParameters             = 55
	dhcpOptMaxMessage             = 57
	dhcpOptRenewal, dhcpOptRebind = 58, 59
	dhcpOptClientID               = 61
	dhcpInfinity                  = 0xffffffff
	dhcpMaxHostname               = 63
	dhcpMaxNameServersKept        = 3 // what resolv.conf(5) takes
)

// dhcpMessage is a message from a server.
type dhcpMessage struct {
	kind      byte
	xid       uint32
	mac       [6]byte
	yiaddr    netip.Addr
	server    netip.Addr
	serverMAC [6]byte // of the frame's sender: the server's or a relay's
	maskBits  int     // -1: none or not contiguous
	router    netip.Addr
	dns       []netip.Addr
	lease     time.Duration // 0: none
	t1, t2    time.Duration
}

const (
	etherLen = 14
	ipv4Len  = 20
	udpLen   = 8
)

// isDHCPReply tells whether the frame is UDP over IPv4 for the client's port; it is all that the receive path
// does while a client is at work.
func isDHCPReply(f []byte) bool {
	const dstPort = etherLen + ipv4Len + 2
	return len(f) >= etherLen+ipv4Len+udpLen+dhcpOptions && f[12] == 8 && f[13] == 0 && f[14] == 0x45 &&
		f[23] == 17 && binary.BigEndian.Uint16(f[dstPort:]) == dhcpClientPort
}

// parseDHCP reads a server's message out of an Ethernet frame, of whose checksum the card knows something. IPv4 options and
// fragments do not occur with DHCP.
func parseDHCP(f []byte, checksum packet.Checksum) (dhcpMessage, bool) {
	if !isDHCPReply(f) || binary.BigEndian.Uint16(f[20:])&0x3fff != 0 {
		return dhcpMessage{}, false
	}
	total := int(binary.BigEndian.Uint16(f[16:]))
	udpTotal := int(binary.BigEndian.Uint16(f[etherLen+ipv4Len+4:]))
	if total > len(f)-etherLen || udpTotal > total-ipv4Len || udpTotal < udpLen+dhcpOptions {
		return dhcpMessage{}, false
	}
	if foldSum(internetSum(0, f[etherLen:etherLen+ipv4Len])) != 0 {
		return dhcpMessage{}, false
	}
	if checksum == packet.ChecksumUnknown && !dhcpSumOK(f[etherLen:etherLen+ipv4Len+udpTotal]) {
		return dhcpMessage{}, false
	}
	m := f[etherLen+ipv4Len+udpLen : etherLen+ipv4Len+udpTotal]
	if m[dhcpOp] != 2 || binary.BigEndian.Uint32(m[dhcpCookie:]) != dhcpMagic {
		return dhcpMessage{}, false
	}
	d := dhcpMessage{xid: binary.BigEndian.Uint32(m[dhcpXID:]), mac: [6]byte(m[dhcpChaddr:]),
		yiaddr: netip.AddrFrom4([4]byte(m[dhcpYiaddr:])), serverMAC: [6]byte(f[6:]), maskBits: -1}
	ok := d.parseOptions(m[dhcpOptions:])
	return d, ok && d.kind != 0
}

// dhcpSumOK checks the UDP checksum of an IPv4 packet without options; zero is none.
func dhcpSumOK(p []byte) bool {
	u := p[ipv4Len:]
	if u[6] == 0 && u[7] == 0 {
		return true
	}
	return foldSum(internetSum(internetSum(uint32(17+len(u)), p[12:20]), u)) == 0
}

// parseOptions reads the options up to their end; false if they are broken.
func (d *dhcpMessage) parseOptions(o []byte) bool {
	for len(o) > 0 && o[0] != dhcpOptEnd {
		if o[0] == dhcpOptPad {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return false
		}
		d.parseOption(o[0], o[2:2+int(o[1])])
		o = o[2+int(o[1]):]
	}
	return true
}

// parseOption notes one option; one of the wrong length is ignored.
func (d *dhcpMessage) parseOption(code byte, v []byte) {
	switch {
	case code == dhcpOptMessageType && len(v) == 1:
		d.kind = v[0]
	case code == dhcpOptSubnetMask && len(v) == 4:
		d.maskBits = maskBits(binary.BigEndian.Uint32(v))
	case code == dhcpOptRouter && len(v) >= 4:
		d.router = netip.AddrFrom4([4]byte(v))
	case code == dhcpOptServerID && len(v) == 4:
		d.server = netip.AddrFrom4([4]byte(v))
	case code == dhcpOptDNS:
		for ; len(v) >= 4 && len(d.dns) < dhcpMaxNameServersKept; v = v[4:] {
			d.dns = append(d.dns, netip.AddrFrom4([4]byte(v)))
		}
	case code == dhcpOptLeaseTime && len(v) == 4:
		d.lease = dhcpSeconds(v)
	case code == dhcpOptRenewal && len(v) == 4:
		d.t1 = dhcpSeconds(v)
	case code == dhcpOptRebind && len(v) == 4:
		d.t2 = dhcpSeconds(v)
	}
}

func dhcpSeconds(v []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(v)) * time.Second
}

// maskBits is the length of the prefix that the mask stands for, or -1.
func maskBits(m uint32) int {
	n := 0
	for ; m&(1<<31) != 0; m <<= 1 {
		n++
	}
	if m != 0 {
		return -1
	}
	return n
}

// dhcpQuery is what a client's message says.
type dhcpQuery struct {
	kind      byte
	xid       uint32
	secs      uint16
	mac       [6]byte
	hostname  string
	ciaddr    netip.Addr // our address, when we have one; else the answer must come by broadcast
	requested netip.Addr
	server    netip.Addr // option, if valid
	toMAC     [6]byte
	to        netip.Addr // IP destination
}

// append appends the query as an Ethernet frame.
func (q *dhcpQuery) append(b []byte) []byte {
	m := make([]byte, dhcpOptions, dhcpMinimum+64)
	m[0], m[1], m[2] = 1, 1, 6
	binary.BigEndian.PutUint32(m[dhcpXID:], q.xid)
	binary.BigEndian.PutUint16(m[8:], q.secs)
	src := netip.IPv4Unspecified()
	if q.ciaddr.IsValid() {
		src = q.ciaddr
		a := src.As4()
		copy(m[dhcpCiaddr:], a[:])
	} else {
		binary.BigEndian.PutUint16(m[dhcpFlags:], dhcpBroadcast)
	}
	copy(m[dhcpChaddr:], q.mac[:])
	binary.BigEndian.PutUint32(m[dhcpCookie:], dhcpMagic)
	m = append(m, dhcpOptMessageType, 1, q.kind)
	m = append(m, dhcpOptClientID, 7, 1)
	m = append(m, q.mac[:]...)
	if q.requested.IsValid() {
		m = appendAddrOption(m, dhcpOptRequestedIP, q.requested)
	}
	if q.server.IsValid() {
		m = appendAddrOption(m, dhcpOptServerID, q.server)
	}
	if n := min(len(q.hostname), dhcpMaxHostname); n > 0 {
		m = append(append(m, dhcpOptHostname, byte(n)), q.hostname[:n]...)
	}
	m = append(m, dhcpOptMaxMessage, 2, 1500>>8, 1500&0xff)
	m = append(m, dhcpOptParameters, 6, dhcpOptSubnetMask, dhcpOptRouter, dhcpOptDNS, dhcpOptLeaseTime, dhcpOptRenewal, dhcpOptRebind, dhcpOptEnd)
	for len(m) < dhcpMinimum {
		m = append(m, dhcpOptPad)
	}
	return appendUDPFrame(b, q.mac, q.toMAC, src, q.to, dhcpClientPort, dhcpServerPort, m)
}

func appendAddrOption(m []byte, code byte, a netip.Addr) []byte {
	v := a.As4()
	return append(append(m, code, 4), v[:]...)
}

// appendUDPFrame appends an Ethernet frame with a UDP datagram over IPv4.
func appendUDPFrame(b []byte, srcMAC, dstMAC [6]byte, src, dst netip.Addr, srcPort, dstPort uint16, data []byte) []byte {
	s, d := src.As4(), dst.As4()
	b = append(b, dstMAC[:]...)
	b = append(b, srcMAC[:]...)
	b = append(b, 0x08, 0x00)
	ip := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4Len+udpLen+len(data)))
	b = append(b, 0, 0, 0, 0, 64, 17, 0, 0) // id, fragment, TTL, protocol, checksum
	b = append(b, s[:]...)
	b = append(b, d[:]...)
	binary.BigEndian.PutUint16(b[ip+10:], foldSum(internetSum(0, b[ip:])))
	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, srcPort)
	b = binary.BigEndian.AppendUint16(b, dstPort)
	b = binary.BigEndian.AppendUint16(b, uint16(udpLen+len(data)))
	b = append(b, 0, 0)
	b = append(b, data...)
	sum := internetSum(internetSum(uint32(17+udpLen+len(data)), b[ip+12:ip+20]), b[udp:])
	c := foldSum(sum)
	if c == 0 {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(b[udp+6:], c)
	return b
}
