package packet

// layerKind names a layer of the detailed form.
type layerKind uint8

const (
	layerEthernet layerKind = iota
	layerVLAN
	layerLLC
	layerSNAP
	layerARP
	layerIPv4
	layerIPv6
	layerExtension
	layerICMP
	layerICMPv6
	layerQuote
	layerUDP
	layerTCP
	layerDNS
	layerDHCP
	layerHTTP
	layerCooked
	layerVsock
	layerVsockMon
	layerData
)

func (k layerKind) String() string {
	return pick(int(k), "Ethernet", "VLAN", "LLC", "SNAP", "ARP", "IPv4", "IPv6", "Ext", "ICMP", "ICMPv6", "Quote",
		"UDP", "TCP", "DNS", "DHCP", "HTTP", "Cooked",
		"Vsock", "Vsockmon", "Data")
}

// details prints a line per layer.
func (p *printer) details() {
	for i := range p.count {
		l := p.layers[i]
		p.newLine(true)
		p.layerHead(l.kind.String(), l.off, l.end)
		p.detail(l)
		p.char('\n')
	}
	if p.end < p.wire {
		p.layerHead("Padding", p.end, p.wire)
		p.field("len", p.wire-p.end)
		p.char('\n')
	}
}

// layerHead prints name and byte range.
func (p *printer) layerHead(name string, off, end int) {
	p.str("  ")
	p.str(name)
	for i := len(name); i < 4; i++ {
		p.char(' ')
	}
	p.char(' ')
	p.num(off)
	p.char('-')
	p.num(end)
}

// detail prints every field of a layer.
func (p *printer) detail(l layer) {
	b := p.slice(l.off, l.end)
	switch l.kind {
	case layerEthernet:
		p.ethernetDetail(b, l)
	case layerVLAN:
		p.vlanDetail(b, l)
	case layerLLC:
		p.llcDetail(b, l)
	case layerSNAP:
		p.snapDetail(b, l)
	case layerARP:
		p.arpDetail(b, l)
	case layerIPv4:
		p.ipv4Detail(b, l)
	case layerIPv6:
		p.ipv6Detail(b, l)
	case layerExtension:
		p.extensionDetail(b, l)
	case layerICMP:
		p.icmpDetail(b, l)
	case layerICMPv6:
		p.icmpv6Detail(l)
	case layerQuote:
		p.char(' ')
		p.quoted4or6(b, l.off)
	case layerUDP:
		p.udpDetail(b, l)
	case layerTCP:
		p.tcpDetail(b, l)
	case layerCooked:
		p.cookedDetail(b, l)
	case layerVsock:
		p.vsockDetail(b, l)
	case layerVsockMon:
		p.vsockMonDetail(b, l)
	case layerDNS:
		p.dnsWords(l.off, l.end)
	case layerDHCP:
		p.dhcpWords(l.off, l.end)
	case layerHTTP:
		p.httpDetail(b, l)
	default:
		p.field("len", l.end-l.off)
	}
}

// mac prints " name=address".
func (p *printer) mac(name string, a []byte) {
	p.char(' ')
	p.str(name)
	p.char('=')
	p.b = appendMAC(p.b, a)
}

// fieldIPv4 and fieldIPv6 print " name=address".
func (p *printer) fieldIPv4(name string, a []byte) {
	p.char(' ')
	p.str(name)
	p.char('=')
	p.b = appendIPv4(p.b, a)
}

func (p *printer) fieldIPv6(name string, a []byte) {
	p.char(' ')
	p.str(name)
	p.char('=')
	p.b = appendIPv6(p.b, a)
}

// cksum prints a checksum as it stands and its verdict.
func (p *printer) cksum(got uint16, r checkResult) {
	p.fieldHex("cksum", int(got), 4)
	p.char(' ')
	p.b = appendCheck(p.b, r)
}

// dump prints the captured bytes in hexadecimal and ASCII, 16 a line.
func (p *printer) dump() {
	for off := 0; off < len(p.data); off += 16 {
		row := p.data[off:min(off+16, len(p.data))]
		p.str("  ")
		p.b = appendHex(p.b, uint64(off), 4)
		p.char(' ')
		for i := range 16 {
			if i%8 == 0 {
				p.char(' ')
			}
			if i < len(row) {
				p.b = append(p.b, hexDigits[row[i]>>4], hexDigits[row[i]&0xf], ' ')
			} else {
				p.str("   ")
			}
		}
		p.str(" |")
		for _, c := range row {
			if c < ' ' || c > '~' {
				c = '.'
			}
			p.char(c)
		}
		p.str("|\n")
	}
}
