package dump

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"wick/packet"
	"wick/packet/pcapng"
)

// statistics are the counts of a capture.
type statistics struct {
	table   map[conversationKey]*conversation
	all     []*conversation
	others  conversation // what found no room
	drops   map[string]*volume
	total   volume
	faulty  uint64 // packets with anomalies
	sums    uint64 // packets with a bad checksum
	first   time.Duration
	last    time.Duration
	sources []source
}

// maxConversations bounds how many are told apart.
const maxConversations = 1 << 17

// volume counts packets and their bytes on the wire.
type volume struct{ packets, bytes uint64 }

func (v *volume) add(wireLen int) {
	v.packets++
	v.bytes += uint64(wireLen)
}

// endpoint is one end of a conversation.
type endpoint struct {
	address [16]byte
	size    uint8 // of the address in bytes: 4, 16, 6 of Ethernet, 8 of vsock, 0
	port    uint32
	ported  bool // port means something
}

// conversationKey is the same for both directions: the lesser end comes first.
type conversationKey struct {
	protocol string
	ends     [2]endpoint
}

// conversation is what two ends have sent each other.
type conversation struct {
	protocol    string
	ends        [2]endpoint // of a TCP connection the first is the client, if that can be told; else the first sender
	first, last uint64      // numbers of packets
	from, to    time.Duration
	sent        [2]volume // by each end
	tcp         *[2]half
	syn         uint32 // the number of its SYN
	synSeen     bool
}

// source is what the capture tells of an interface.
type source struct {
	name    string
	counts  pcapng.Statistics
	missing uint64 // packets that the capture has missed, as it tells between packets
}

func newStatistics() *statistics {
	return &statistics{table: map[conversationKey]*conversation{}, drops: map[string]*volume{}}
}

// add counts a packet.
func (s *statistics) add(p *Packet, info *packet.Info) {
	if s.total.packets == 0 {
		s.first, s.last = p.Time, p.Time
	}
	s.first, s.last = min(s.first, p.Time), max(s.last, p.Time)
	s.total.add(p.WireLen)
	for _, m := range info.Marks {
		if m.Kind == packet.MarkAnomaly && m.From < info.Line {
			s.faulty++
			break
		}
	}
	if info.Check.State == "bad" || info.HeaderCheck.State == "bad" {
		s.sums++
	}
	if p.Drop != "" {
		s.drop(p.Drop, p.WireLen)
	}
	t := talkOf(p, info)
	c, sender := s.find(&t)
	if c.sent[0].packets+c.sent[1].packets == 0 {
		c.first, c.from = p.Number, p.Time
	}
	c.last, c.to = p.Number, p.Time
	c.sent[sender].add(p.WireLen)
	if c.tcp != nil && t.tcp != nil && p.Drop == "" { // the peer hasn't seen what was dropped
		segment(&c.tcp[sender], &c.tcp[1-sender], t.tcp, t.payload, p.Time)
	}
}

// drop counts a packet that was dropped.
func (s *statistics) drop(why string, wireLen int) {
	if s.drops[why] == nil {
		s.drops[why] = &volume{}
	}
	s.drops[why].add(wireLen)
}

// find returns the conversation of a packet, and which of its ends has sent it.
func (s *statistics) find(t *talk) (c *conversation, sender int) {
	key := conversationKey{t.protocol, [2]endpoint{t.source, t.destination}}
	if compare(&t.source, &t.destination) > 0 {
		key.ends[0], key.ends[1] = key.ends[1], key.ends[0]
	}
	c = s.table[key]
	if c == nil || c.over(t) {
		if len(s.all) == maxConversations {
			return &s.others, 0
		}
		c = &conversation{protocol: t.protocol, ends: [2]endpoint{t.source, t.destination}}
		if t.tcp != nil {
			c.tcp = &[2]half{}
			if t.tcp.Flags()&(packet.TCPSYN|packet.TCPACK) == packet.TCPSYN|packet.TCPACK {
				c.ends[0], c.ends[1] = c.ends[1], c.ends[0] // it is the server who answers
			}
		}
		s.table[key] = c
		s.all = append(s.all, c)
	}
	if t.isSYN() {
		c.syn, c.synSeen = t.tcp.Seq(), true
	}
	if t.source != c.ends[0] {
		sender = 1
	}
	return c, sender
}

// over tells whether a SYN starts another connection between the same ends.
func (c *conversation) over(t *talk) bool {
	return t.isSYN() && (c.synSeen && c.syn != t.tcp.Seq() || !c.synSeen && c.tcp != nil && c.tcp[0].begun)
}

func compare(a, b *endpoint) int {
	if n := bytes.Compare(a.address[:], b.address[:]); n != 0 {
		return n
	}
	return cmp.Compare(a.port, b.port)
}

// talk is who says something to whom in a packet.
type talk struct {
	protocol            string
	source, destination endpoint
	tcp                 packet.TCP // nil if the packet isn't a sound TCP segment
	payload             int        // of it, on the wire
}

func (t *talk) isSYN() bool {
	return t.tcp != nil && t.tcp.Flags()&(packet.TCPSYN|packet.TCPACK) == packet.TCPSYN
}

// talkOf finds out who talks: the innermost protocol that is known counts.
func talkOf(p *Packet, info *packet.Info) talk {
	t := talk{protocol: "other"}
	h := headers{p: p, info: info}
	for i := range info.Layers {
		l := &info.Layers[i]
		b := h.bytes(l)
		switch l.Kind {
		case packet.LayerEthernet:
			if e, f := packet.ParseEthernet(b); !f.Bad() {
				t.ends("Ethernet", e.Source(), e.Destination())
				t.etherType(e.Type())
			}
		case packet.LayerVLAN:
			if v, f := packet.ParseVLAN(b); !f.Bad() {
				t.etherType(v.Type())
			}
		case packet.LayerLLC:
			t.protocol = "802.3"
		case packet.LayerARP:
			if a, f := packet.ParseARP(b); !f.Bad() {
				t.ends("ARP", a.SenderProtocol(), a.TargetProtocol())
			}
		case packet.LayerIPv4:
			if v, f := packet.ParseIPv4(b); !f.Bad() {
				t.ends(ipName(v.Protocol()), v.Source(), v.Destination())
			}
		case packet.LayerIPv6:
			if v, f := packet.ParseIPv6(b); !f.Bad() {
				t.ends(ipName(v.NextHeader()), v.Source(), v.Destination())
			}
		case packet.LayerExtension:
			if len(b) > 0 {
				t.protocol = ipName(int(b[0]))
			}
		case packet.LayerTCP:
			if s, f := packet.ParseTCP(b); !f.Bad() && !info.Fragment {
				t.ports(uint32(s.SourcePort()), uint32(s.DestinationPort()))
				t.tcp, t.payload = s, h.payload(i)
			}
		case packet.LayerUDP:
			if u, f := packet.ParseUDP(b); !f.Bad() && !info.Fragment {
				t.ports(uint32(u.SourcePort()), uint32(u.DestinationPort()))
			}
		case packet.LayerVsock:
			if v, f := packet.ParseVsock(b); !f.Bad() {
				t.vsock(v)
			}
		case packet.LayerQuote:
			return t
		}
	}
	if info.Fragment {
		t.protocol += " fragments"
	}
	return t
}

func (t *talk) ends(protocol string, source, destination []byte) {
	t.protocol = protocol
	t.source, t.destination = endpoint{}, endpoint{}
	t.source.size = uint8(copy(t.source.address[:], source))
	t.destination.size = uint8(copy(t.destination.address[:], destination))
}

func (t *talk) ports(source, destination uint32) {
	t.source.port, t.destination.port = source, destination
	t.source.ported, t.destination.ported = true, true
}

func (t *talk) etherType(typ uint16) {
	if name := packet.EtherTypeName(typ); name != "" {
		t.protocol = name
	}
}

func (t *talk) vsock(v packet.Vsock) {
	var source, destination [8]byte
	binary.BigEndian.PutUint64(source[:], v.SourceCID())
	binary.BigEndian.PutUint64(destination[:], v.DestinationCID())
	t.ends("vsock", source[:], destination[:])
	t.ports(v.SourcePort(), v.DestinationPort())
}

// ipName names what IP carries.
func ipName(protocol int) string {
	if name := packet.ProtocolName(protocol); name != "" {
		return name
	}
	return "proto=" + strconv.Itoa(protocol)
}

// interfaces takes what the capture tells of its interfaces.
func (s *statistics) interfaces(all []*pcapng.Interface, lost map[*pcapng.Interface]uint64) {
	for _, i := range all {
		c := &i.Statistics
		counted := c.Received.Known || c.Dropped.Known || c.Accepted.Known || c.OSDropped.Known || c.Delivered.Known
		if missing := lost[i]; missing > 0 || counted {
			s.sources = append(s.sources, source{i.Name, i.Statistics, missing})
		}
	}
}

// sorted returns the conversations, those with the most bytes first.
func (s *statistics) sorted() []*conversation {
	all := slices.Clone(s.all)
	slices.SortStableFunc(all, func(a, b *conversation) int {
		return cmp.Compare(b.sent[0].bytes+b.sent[1].bytes, a.sent[0].bytes+a.sent[1].bytes)
	})
	if s.others.sent[0].packets > 0 {
		s.others.protocol = "others"
		all = append(all, &s.others)
	}
	return all
}

// rtt returns the estimate of the round-trip time between the ends: the least time from the place of the capture to
// one and back, and to the other and back. It is the first only, and not whole, if nothing is known of the other.
func (c *conversation) rtt() (d time.Duration, whole, ok bool) {
	a, b := &c.tcp[0].rtt, &c.tcp[1].rtt
	switch {
	case a.samples > 0 && b.samples > 0:
		return a.min + b.min, true, true
	case a.samples > 0:
		return a.min, false, true
	}
	return b.min, false, b.samples > 0
}

// span returns the time from one packet to another, or the longest that there is: a damaged capture may have more between
// them.
func span(from, to time.Duration) time.Duration {
	d := to - from
	switch {
	case to > from && d < 0:
		return math.MaxInt64
	case to < from && d > 0:
		return math.MinInt64
	}
	return d
}
