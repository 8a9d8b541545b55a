package packet

// TCP options [IANA tcp-parameters].
const (
	tcpMSS           = 2
	tcpWindowScale   = 3
	tcpSACKPermitted = 4
	tcpSACK          = 5
	tcpTimestamps    = 8
	tcpUserTimeout   = 28
	tcpMPTCP         = 30
	tcpFastOpen      = 34

	maxWindowScale = 14 // [RFC 7323 2.3]
)

func tcpOptionName(kind int) string {
	switch kind {
	case optionEnd:
		return "eol"
	case optionNop:
		return "nop"
	case tcpMSS:
		return "mss"
	case tcpWindowScale:
		return "ws"
	case tcpSACKPermitted:
		return "sackOK"
	case tcpSACK:
		return "sack"
	case 6:
		return "echo"
	case 7:
		return "echo-reply"
	case tcpTimestamps:
		return "ts"
	case 14:
		return "alt-checksum"
	case 19:
		return "md5"
	case tcpUserTimeout:
		return "user-timeout"
	case 29:
		return "ao"
	case tcpMPTCP:
		return "mptcp"
	case tcpFastOpen:
		return "tfo"
	case 69:
		return "eno"
	case 172:
		return "accecn0"
	case 174:
		return "accecn1"
	case 253, 254:
		return "exp"
	}
	return ""
}

// tcpOptionLen returns the length that an option must have, 0 if it varies.
func tcpOptionLen(kind int) int {
	switch kind {
	case tcpMSS, tcpUserTimeout:
		return 4
	case tcpWindowScale:
		return 3
	case tcpSACKPermitted:
		return 2
	case tcpTimestamps:
		return 10
	case 19: // [RFC 2385 3]
		return 18
	}
	return 0
}

// tcpOptions prints the options in angle brackets; with all, those that only fill as well.
func (p *printer) tcpOptions(h TCP, all bool) {
	if len(h) == TCPSize {
		return
	}
	var list brackets
	for it := (options{b: h.Options()}); it.next(); {
		if it.kind <= optionNop && !all {
			continue
		}
		if !list.item(p) {
			break
		}
		p.optionName(tcpOptionName(it.kind), it.kind)
		if want := tcpOptionLen(it.kind); want != 0 && want != len(it.body)+2 {
			p.field("len", len(it.body)+2)
			continue
		}
		p.tcpOption(it.kind, it.body)
	}
	list.done(p)
}

// tcpOption prints the value of an option, whose length has been checked where it is fixed.
func (p *printer) tcpOption(kind int, body []byte) {
	switch kind {
	case optionEnd, optionNop, tcpSACKPermitted:
	case tcpMSS:
		p.char(' ')
		p.num(int(be16(body)))
	case tcpWindowScale:
		p.char(' ')
		p.num(int(body[0]))
	case tcpTimestamps:
		p.char(' ')
		p.num32(be32(body))
		p.char('/')
		p.num32(be32(body[4:]))
	case tcpSACK:
		for ; len(body) >= 8; body = body[8:] {
			p.char(' ')
			p.num32(be32(body))
			p.char('-')
			p.num32(be32(body[4:]))
		}
	case tcpUserTimeout:
		p.char(' ')
		p.userTimeout(be16(body))
	case tcpMPTCP:
		p.mptcp(body)
	case tcpFastOpen:
		p.cookie(body)
	default:
		p.field("len", len(body)+2)
	}
}

// userTimeout prints a timeout of minutes or seconds [RFC 5482 3].
func (p *printer) userTimeout(v uint16) {
	p.num(int(v & 0x7fff))
	if v&0x8000 != 0 {
		p.char('m')
	} else {
		p.char('s')
	}
}

// cookie prints a Fast Open cookie; none is a request for one [RFC 7413 4.1.1].
func (p *printer) cookie(body []byte) {
	if len(body) == 0 {
		p.str(" request")
		return
	}
	p.char(' ')
	for _, c := range body {
		p.b = append(p.b, hexDigits[c>>4], hexDigits[c&0xf])
	}
}

// mptcp prints the subtype of a multipath option [RFC 8684 3].
func (p *printer) mptcp(body []byte) {
	if len(body) == 0 {
		return
	}
	p.char(' ')
	switch body[0] >> 4 {
	case 0:
		p.str("capable")
	case 1:
		p.str("join")
	case 2:
		p.str("dss")
	case 3:
		p.str("add-addr")
	case 4:
		p.str("remove-addr")
	case 5:
		p.str("prio")
	case 6:
		p.str("fail")
	case 7:
		p.str("fastclose")
	case 8:
		p.str("rst")
	default:
		p.num(int(body[0] >> 4))
	}
}

// tcpOptionFaults reports options of wrong length or in the wrong segment; off is where they start.
func (p *printer) tcpOptionFaults(h TCP, off int) {
	if len(h) == TCPSize {
		return
	}
	syn := h.Flags()&TCPSYN != 0
	it := options{b: h.Options()}
	for it.next() {
		size, at := len(it.body)+2, off+it.at
		if want := tcpOptionLen(it.kind); want != 0 && size != want {
			p.optionFault(it.kind, "-length", Fault{Relation: '=', Got: size, Want: want}, at+1)
			continue
		}
		switch it.kind {
		case tcpSACK:
			if (size-2)%8 != 0 || size == 2 {
				p.optionFault(it.kind, "-length", Fault{Relation: '!', Got: size}, at+1)
			}
		case tcpMSS, tcpWindowScale, tcpSACKPermitted:
			if !syn {
				p.optionFault(it.kind, "-outside-SYN", Fault{}, at)
			}
			if it.kind == tcpWindowScale && it.body[0] > maxWindowScale {
				p.compare("ws", int(it.body[0]), '>', maxWindowScale, at+2)
			}
		}
	}
	if it.bad.Bad() {
		p.fault(it.bad, off)
	}
}

// optionFault reports f under the name of the option and what is the matter with it.
func (p *printer) optionFault(kind int, what string, f Fault, off int) {
	if !p.oneMore() {
		return
	}
	from := p.bang()
	p.optionName(tcpOptionName(kind), kind)
	f.Name, f.Offset = what, off
	p.b = f.append(p.b)
	p.mark(MarkAnomaly, from)
}
