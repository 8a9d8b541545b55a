package packet

// LayerKind names a layer of the detailed form.
type LayerKind uint8

const (
	LayerEthernet LayerKind = iota
	LayerVLAN
	LayerLLC
	LayerSNAP
	LayerARP
	LayerIPv4
	LayerIPv6
	LayerExtension
	LayerICMP
	LayerICMPv6
	LayerQuote
	LayerUDP
	LayerTCP
	LayerDNS
	LayerDHCP
	LayerHTTP
	LayerCooked
	LayerVsock
	LayerVsockMon
	LayerData
)

func (k LayerKind) String() string {
	return pick(int(k), "Ethernet", "VLAN", "LLC", "SNAP", "ARP", "IPv4", "IPv6", "Ext", "ICMP", "ICMPv6", "Quote",
		"UDP", "TCP", "DNS", "DHCP", "HTTP", "Cooked",
		"Vsock", "Vsockmon", "Data")
}

// details prints a line per layer.
func (p *printer) details() {
	for i := range p.count {
		l := p.layers[i]
		p.newLine(true)
		p.layerHead(l.Kind.String(), l.Off, l.End)
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
func (p *printer) detail(l Layer) {
	b := p.slice(l.Off, l.End)
	switch l.Kind {
	case LayerEthernet:
		p.ethernetDetail(b, l)
	case LayerVLAN:
		p.vlanDetail(b, l)
	case LayerLLC:
		p.llcDetail(b, l)
	case LayerSNAP:
		p.snapDetail(b, l)
	case LayerARP:
		p.arpDetail(b, l)
	case LayerIPv4:
		p.ipv4Detail(b, l)
	case LayerIPv6:
		p.ipv6Detail(b, l)
	case LayerExtension:
		p.extensionDetail(b, l)
	case LayerICMP:
		p.icmpDetail(b, l)
	case LayerICMPv6:
		p.icmpv6Detail(l)
	case LayerQuote:
		p.char(' ')
		p.quoted4or6(b, l.Off)
	case LayerUDP:
		p.udpDetail(b, l)
	case LayerTCP:
		p.tcpDetail(b, l)
	case LayerCooked:
		p.cookedDetail(b, l)
	case LayerVsock:
		p.vsockDetail(b, l)
	case LayerVsockMon:
		p.vsockMonDetail(b, l)
	case LayerDNS:
		p.dnsWords(l.Off, l.End)
	case LayerDHCP:
		p.dhcpWords(l.Off, l.End)
	case LayerHTTP:
		p.httpDetail(b, l)
	default:
		p.field("len", l.End-l.Off)
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
	p.verdict(r, len(p.b))
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
