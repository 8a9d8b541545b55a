package packet

import "encoding/binary"

// endpoints identifies a conversation, the same for both directions: the lower end comes first.
type endpoints struct {
	addr [2][16]byte
	port [2]uint32
	kind uint8 // tells apart what else has the same numbers: versions of IP, types of vsock
}

// newEndpoints returns the key of what goes from source to destination, and which of the two ends the sender is.
func newEndpoints(source, destination []byte, sport, dport uint32, kind uint8) (k endpoints, sender int) {
	var s, d [16]byte
	copy(s[:], source)
	copy(d[:], destination)
	if c := compare16(&s, &d); c > 0 || c == 0 && sport > dport {
		return endpoints{[2][16]byte{d, s}, [2]uint32{dport, sport}, kind}, 1
	}
	return endpoints{[2][16]byte{s, d}, [2]uint32{sport, dport}, kind}, 0
}

func compare16(a, b *[16]byte) int {
	for i := 0; i < 16; i += 8 {
		x, y := binary.BigEndian.Uint64(a[i:]), binary.BigEndian.Uint64(b[i:])
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return 0
}

// hash mixes the key, so that its lower bits spread.
func (k *endpoints) hash() uint32 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(k.port[0])<<32 | uint64(k.port[1])
	for i := range k.addr {
		for j := 0; j < 16; j += 8 {
			h = (h ^ binary.LittleEndian.Uint64(k.addr[i][j:])) * prime
			h ^= h >> 29
		}
	}
	return uint32(h >> 16)
}

// flow is what is remembered of a TCP connection.
type flow struct {
	key   endpoints
	used  uint32 // when, on the table's clock; 0: the entry is free
	sides [2]flowSide
}

// flowSide is one direction of a connection.
type flowSide struct {
	first uint32 // sequence number seen first
	begun bool   // first is valid
	syn   bool   // its SYN has been seen
	scale int8   // shift of its windows, noScale if its SYN had no such option
}

const noScale = -1

// flowWays is how many entries a hash may choose from.
const flowWays = 4

// flowTable is a set-associative table of fixed size.
type flowTable struct {
	entries []flow
	clock   uint32
}

func (t *flowTable) init(n int) {
	sets := 1
	for sets*flowWays < n {
		sets *= 2
	}
	t.entries = make([]flow, sets*flowWays)
}

// find returns the entry of a connection; if there is none it takes the place of the one used least recently.
func (t *flowTable) find(k *endpoints) *flow {
	if len(t.entries) == 0 {
		return nil
	}
	t.clock = max(t.clock+1, 1)
	at := int(k.hash()) * flowWays & (len(t.entries) - 1)
	set := t.entries[at : at+flowWays]
	oldest := &set[0]
	for i := range set {
		f := &set[i]
		if f.used != 0 && f.key == *k {
			f.used = t.clock
			return f
		}
		if f.used < oldest.used {
			oldest = f
		}
	}
	*oldest = flow{key: *k, used: t.clock}
	return oldest
}

// tcpState is what the connection's past says of a segment.
type tcpState struct {
	scale            int    // shift of the window, 0 if it is not known or there is none
	seqBase, ackBase uint32 // what to take off the numbers
}

// segment notes a segment and returns what is known of its connection.
func (d *Decoder) segment(ip *ipContext, h TCP) tcpState {
	kind := uint8(4)
	if ip.v6 {
		kind = 6
	}
	key, sender := newEndpoints(ip.source, ip.destination, uint32(h.SourcePort()), uint32(h.DestinationPort()), kind)
	f := d.flows.find(&key)
	if f == nil {
		return tcpState{}
	}
	from, to := &f.sides[sender], &f.sides[1-sender]
	syn := h.Flags()&TCPSYN != 0
	if syn {
		if h.Flags()&TCPACK == 0 && (!from.syn || from.first != h.Seq()) { // a new connection, not its SYN again
			*to = flowSide{}
		}
		*from = flowSide{first: h.Seq(), begun: true, syn: true, scale: h.windowScale()}
	}
	if !from.begun {
		from.first, from.begun = h.Seq(), true
	}
	if h.Flags()&TCPACK != 0 && !to.begun {
		to.first, to.begun = h.Ack(), true
	}
	s := tcpState{}
	if !syn && from.syn && to.syn && from.scale > 0 && to.scale != noScale { // [RFC 7323 2.2]
		s.scale = int(from.scale)
	}
	if d.Relative {
		s.seqBase = from.first
		if h.Flags()&TCPACK != 0 {
			s.ackBase = to.first
		}
	}
	return s
}

// windowScale returns the shift that a SYN announces, noScale if none.
func (h TCP) windowScale() int8 {
	for it := (options{b: h.Options()}); it.next(); {
		if it.kind == tcpWindowScale && len(it.body) == 1 {
			return int8(min(it.body[0], maxWindowScale))
		}
	}
	return noScale
}
