package packet

// TCPOptions are the values of the options that most segments have.
type TCPOptions struct {
	MSS           int // -1 if there is none
	WindowScale   int // -1 if there is none
	SACKPermitted bool
	Timestamps    bool   // TSVal and TSEcr are valid
	TSVal, TSEcr  uint32 // [RFC 7323 3.2]
	Blocks        [4][2]uint32
	SACK          int // blocks that are valid: left edge, right edge [RFC 2018 3]
}

// ParseOptions reads the options; those with a wrong length are left out.
func (h TCP) ParseOptions() TCPOptions {
	o := TCPOptions{MSS: -1, WindowScale: -1}
	for it := (options{b: h.Options()}); it.next(); {
		if want := tcpOptionLen(it.kind); want != 0 && want != len(it.body)+2 {
			continue
		}
		switch it.kind {
		case tcpMSS:
			o.MSS = int(be16(it.body))
		case tcpWindowScale:
			o.WindowScale = int(it.body[0])
		case tcpSACKPermitted:
			o.SACKPermitted = true
		case tcpTimestamps:
			o.Timestamps, o.TSVal, o.TSEcr = true, be32(it.body), be32(it.body[4:])
		case tcpSACK:
			for b := it.body; len(b) >= 8 && o.SACK < len(o.Blocks); b = b[8:] {
				o.Blocks[o.SACK] = [2]uint32{be32(b), be32(b[4:])}
				o.SACK++
			}
		}
	}
	return o
}

// Fragment is what the fragment header of IPv6 holds [RFC 8200 4.5].
type Fragment struct {
	ID     uint32
	Offset int // in bytes
	More   bool
}

// ParseFragment reads an extension header; false if it isn't that of a fragment, whose protocol is 44.
func ParseFragment(b []byte, protocol int) (Fragment, bool) {
	if protocol != extFragment || len(b) < extSize {
		return Fragment{}, false
	}
	h := fragment6(b)
	return Fragment{h.id(), h.offset(), h.more()}, true
}

// IsEcho tells whether an ICMP message, or one of ICMPv6, asks for an echo or answers.
func (h ICMP) IsEcho(v6 bool) bool {
	if v6 {
		return h.Type() == icmpv6Echo || h.Type() == icmpv6EchoReply
	}
	return h.Type() == icmpEcho || h.Type() == icmpEchoReply
}
