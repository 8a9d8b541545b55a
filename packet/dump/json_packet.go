package dump

import (
	"time"

	"wick/packet"
)

// appendJSON appends a packet as one object, on one line. text is what Describe has said of it.
func appendJSON(dst []byte, p *Packet, info *packet.Info, text []byte) []byte {
	o := object{b: append(dst, '{')}
	o.number("number", p.Number)
	if !p.At.IsZero() {
		o.text("time", p.At.UTC().Format(time.RFC3339Nano))
	}
	o.seconds("seconds", p.Time)
	if p.Interface != "" {
		o.text("interface", p.Interface)
	}
	switch p.Direction {
	case packet.Receive:
		o.text("direction", "in")
	case packet.Transmit:
		o.text("direction", "out")
	}
	o.integer("length", p.WireLen)
	o.integer("captured", len(p.Data))
	if p.Segmented {
		o.boolean("segmented", true)
	}
	headers{o: &o, p: p, info: info}.write()
	if a := info.Application; a.To > a.From {
		o.text("application", string(text[a.From:a.To]))
	}
	if p.Lost.Known {
		o.number("lost_before", p.Lost.N)
	}
	if p.Drop != "" {
		o.text("dropped", p.Drop)
	}
	if len(p.Comments) > 0 {
		o.list("comments")
		for _, c := range p.Comments {
			o.elementText(c)
		}
		o.endList()
	}
	anomalies(&o, info, text)
	o.text("line", string(text[:info.Line]))
	return append(o.b, '}', '\n')
}

// appendLateJSON appends that a packet from before was dropped.
func appendLateJSON(dst []byte, l LateDrop) []byte {
	o := object{b: append(dst, '{')}
	o.text("record", "dropped")
	o.number("number", l.Number)
	o.text("reason", l.Why)
	return append(o.b, '}', '\n')
}

// anomalies lists what is wrong, without the exclamation marks.
func anomalies(o *object, info *packet.Info, text []byte) {
	open := false
	for _, m := range info.Marks {
		if m.Kind != packet.MarkAnomaly || m.From >= info.Line {
			continue
		}
		if !open {
			o.list("anomalies")
			open = true
		}
		s := text[m.From:m.To]
		if s[0] == '!' {
			s = s[1:]
		}
		o.elementText(string(s))
	}
	if open {
		o.endList()
	}
}

// headers writes what the headers of a packet hold.
type headers struct {
	o    *object
	p    *Packet
	info *packet.Info
}

// bytes returns what was captured of a layer.
func (h headers) bytes(l *packet.Layer) []byte {
	end := min(l.End, len(h.p.Data))
	if l.Off >= end {
		return nil
	}
	return h.p.Data[l.Off:end]
}

func (h headers) write() {
	layers := h.info.Layers
	h.o.list("layers")
	for i := range layers {
		h.o.elementText(layerName(layers[i].Kind))
	}
	h.o.endList()
	h.tags()
	ips := 0
	for i := range layers {
		if k := layers[i].Kind; k == packet.LayerIPv4 || k == packet.LayerIPv6 {
			ips++
		}
	}
	outer := false
	for i := range layers {
		l := &layers[i]
		switch l.Kind {
		case packet.LayerIPv4, packet.LayerIPv6:
			ips--
			if ips > 0 && !outer {
				h.o.list("outer_ip")
				outer = true
			}
			if ips == 0 && outer {
				h.o.endList()
			}
			h.ip(i, ips > 0)
		default:
			h.layer(i)
		}
	}
}

// layerName is the name of a layer in JSON.
func layerName(k packet.LayerKind) string {
	switch k {
	case packet.LayerEthernet:
		return "ethernet"
	case packet.LayerVLAN:
		return "vlan"
	case packet.LayerLLC:
		return "llc"
	case packet.LayerSNAP:
		return "snap"
	case packet.LayerARP:
		return "arp"
	case packet.LayerIPv4:
		return "ipv4"
	case packet.LayerIPv6:
		return "ipv6"
	case packet.LayerExtension:
		return "extension"
	case packet.LayerICMP:
		return "icmp"
	case packet.LayerICMPv6:
		return "icmpv6"
	case packet.LayerQuote:
		return "quote"
	case packet.LayerUDP:
		return "udp"
	case packet.LayerTCP:
		return "tcp"
	case packet.LayerDNS:
		return "dns"
	case packet.LayerDHCP:
		return "dhcp"
	case packet.LayerHTTP:
		return "http"
	case packet.LayerCooked:
		return "cooked"
	case packet.LayerVsock:
		return "vsock"
	case packet.LayerVsockMon:
		return "vsockmon"
	}
	return "data"
}

// tags lists VLAN tags.
func (h headers) tags() {
	open := false
	for i := range h.info.Layers {
		l := &h.info.Layers[i]
		if l.Kind != packet.LayerVLAN {
			continue
		}
		tag, f := packet.ParseVLAN(h.bytes(l))
		if f.Bad() {
			continue
		}
		if !open {
			h.o.list("vlan")
			open = true
		}
		h.o.element()
		h.o.integer("id", tag.ID())
		h.o.integer("priority", tag.Priority())
		h.o.boolean("drop_eligible", tag.DropEligible())
		h.o.boolean("service", l.Protocol != packet.EtherTypeVLAN)
		h.o.close()
	}
	if open {
		h.o.endList()
	}
}

// layer writes the header that is the i-th layer.
func (h headers) layer(i int) {
	l := &h.info.Layers[i]
	b := h.bytes(l)
	switch l.Kind {
	case packet.LayerEthernet:
		h.ethernet(b)
	case packet.LayerARP:
		h.arp(b)
	case packet.LayerTCP:
		h.tcp(i, b)
	case packet.LayerUDP:
		h.udp(i, b)
	case packet.LayerICMP:
		h.icmp("icmp", b)
	case packet.LayerICMPv6:
		h.icmp("icmpv6", b)
	case packet.LayerVsock:
		h.vsock(b)
	}
}

func (h headers) ethernet(b []byte) {
	e, f := packet.ParseEthernet(b)
	if f.Bad() {
		return
	}
	h.o.open("ethernet")
	h.o.mac("source", e.Source())
	h.o.mac("destination", e.Destination())
	h.o.integer("type", int(e.Type()))
	h.o.close()
}

func (h headers) arp(b []byte) {
	a, f := packet.ParseARP(b)
	if f.Bad() {
		return
	}
	h.o.open("arp")
	h.o.integer("operation", a.Operation())
	h.o.mac("sender_hardware", a.SenderHardware())
	h.o.address("sender", a.SenderProtocol())
	h.o.mac("target_hardware", a.TargetHardware())
	h.o.address("target", a.TargetProtocol())
	h.o.close()
}

// ip writes an IP header, as an element of a list or as a member.
func (h headers) ip(i int, element bool) {
	l := &h.info.Layers[i]
	b := h.bytes(l)
	v4, f4 := packet.ParseIPv4(b)
	v6, f6 := packet.ParseIPv6(b)
	if element {
		h.o.element()
	} else {
		h.o.open("ip")
	}
	switch {
	case l.Kind == packet.LayerIPv4 && !f4.Bad():
		h.ipv4(v4, element)
	case l.Kind == packet.LayerIPv6 && !f6.Bad():
		h.ipv6(v6, i)
	}
	h.o.close()
}

func (h headers) ipv4(v packet.IPv4, outer bool) {
	o := h.o
	o.integer("version", 4)
	o.address("source", v.Source())
	o.address("destination", v.Destination())
	o.integer("ttl", v.TTL())
	o.integer("tos", v.TOS())
	o.integer("length", v.TotalLen())
	o.integer("id", v.ID())
	o.boolean("dont_fragment", v.DontFragment())
	if v.IsFragment() {
		o.integer("fragment_offset", v.FragmentOffset())
		o.boolean("more_fragments", v.MoreFragments())
	}
	o.integer("protocol", v.Protocol())
	if !outer {
		o.verdict(h.info.HeaderCheck)
	}
}

// ipv6 writes the header that is the i-th layer, and the extensions that follow it.
func (h headers) ipv6(v packet.IPv6, i int) {
	o := h.o
	o.integer("version", 6)
	o.address("source", v.Source())
	o.address("destination", v.Destination())
	o.integer("ttl", v.HopLimit())
	o.integer("tos", v.TrafficClass())
	o.integer("flow", v.FlowLabel())
	o.integer("length", packet.IPv6Size+v.PayloadLen())
	protocol := v.NextHeader()
	rest := h.info.Layers[i+1:]
	for j := range rest {
		if rest[j].Kind != packet.LayerExtension {
			rest = rest[:j]
			break
		}
	}
	for j := range rest {
		e := h.bytes(&rest[j])
		if fragment, ok := packet.ParseFragment(e, rest[j].Protocol); ok {
			o.integer("id", int(fragment.ID))
			o.integer("fragment_offset", fragment.Offset)
			o.boolean("more_fragments", fragment.More)
		}
		if len(e) > 0 {
			protocol = int(e[0])
		}
	}
	if len(rest) > 0 {
		o.list("extensions")
		for j := range rest {
			o.elementNumber(uint64(rest[j].Protocol))
		}
		o.endList()
	}
	o.integer("protocol", protocol)
}

// payload returns the length of what follows the i-th layer, in bytes on the wire.
func (h headers) payload(i int) int {
	if i+1 < len(h.info.Layers) {
		return h.info.Layers[i+1].End - h.info.Layers[i+1].Off
	}
	return 0
}

func (h headers) udp(i int, b []byte) {
	u, f := packet.ParseUDP(b)
	if f.Bad() {
		return
	}
	h.o.open("udp")
	h.o.integer("source_port", u.SourcePort())
	h.o.integer("destination_port", u.DestinationPort())
	h.o.integer("length", u.Len())
	h.o.integer("payload", h.payload(i))
	h.o.verdict(h.info.Check)
	h.o.close()
}

func (h headers) tcp(i int, b []byte) {
	t, f := packet.ParseTCP(b)
	if f.Bad() {
		return
	}
	o := h.o
	o.open("tcp")
	o.integer("source_port", t.SourcePort())
	o.integer("destination_port", t.DestinationPort())
	o.number("seq", uint64(t.Seq()-h.info.SeqBase))
	if t.Flags()&packet.TCPACK != 0 {
		o.number("ack", uint64(t.Ack()-h.info.AckBase))
	}
	o.list("flags")
	for bit, name := range [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ae"} {
		if t.Flags()&(1<<bit) != 0 {
			o.elementText(name)
		}
	}
	o.endList()
	o.integer("window", t.Window())
	if h.info.WindowShift > 0 {
		o.integer("scaled_window", t.Window()<<h.info.WindowShift)
	}
	if t.Flags()&packet.TCPURG != 0 {
		o.integer("urgent", t.Urgent())
	}
	h.tcpOptions(t)
	o.integer("payload", h.payload(i))
	o.verdict(h.info.Check)
	o.close()
}

func (h headers) tcpOptions(t packet.TCP) {
	o := h.o
	options := t.ParseOptions()
	if options.MSS >= 0 {
		o.integer("mss", options.MSS)
	}
	if options.WindowScale >= 0 {
		o.integer("window_scale", options.WindowScale)
	}
	o.boolean("sack_permitted", options.SACKPermitted)
	if options.Timestamps {
		o.number("timestamp", uint64(options.TSVal))
		o.number("timestamp_echo", uint64(options.TSEcr))
	}
	if options.SACK > 0 {
		o.list("sack") // left and right edges in turn
		for _, block := range options.Blocks[:options.SACK] {
			o.elementNumber(uint64(block[0] - h.info.AckBase))
			o.elementNumber(uint64(block[1] - h.info.AckBase))
		}
		o.endList()
	}
}

func (h headers) icmp(name string, b []byte) {
	m, f := packet.ParseICMP(b)
	if f.Bad() {
		return
	}
	h.o.open(name)
	h.o.integer("type", m.Type())
	h.o.integer("code", m.Code())
	if m.IsEcho(name == "icmpv6") {
		h.o.integer("id", m.ID())
		h.o.integer("seq", m.Seq())
	}
	h.o.verdict(h.info.Check)
	h.o.close()
}

func (h headers) vsock(b []byte) {
	v, f := packet.ParseVsock(b)
	if f.Bad() {
		return
	}
	o := h.o
	o.open("vsock")
	o.number("source_cid", v.SourceCID())
	o.number("destination_cid", v.DestinationCID())
	o.number("source_port", uint64(v.SourcePort()))
	o.number("destination_port", uint64(v.DestinationPort()))
	o.integer("type", v.Type())
	o.integer("op", v.Op())
	o.number("flags", uint64(v.Flags()))
	o.number("length", uint64(v.Len()))
	o.number("buf_alloc", uint64(v.BufAlloc()))
	o.number("fwd_cnt", uint64(v.FwdCnt()))
	o.close()
}
