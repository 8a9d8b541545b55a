package packet

import "time"

// datagram is one that arrives in fragments.
type datagram struct {
	source, destination [16]byte
	id                  uint32
	protocol            int
	v6                  bool
	at                  time.Duration // of its last fragment
	ranges              [maxRanges]byteRange
	count               int // of ranges
}

// byteRange is [from, to) of a datagram's payload.
type byteRange struct{ from, to int }

const (
	maxDatagrams = 32
	maxRanges    = 16               // remembered of a datagram; each fragment may be one
	fragmentLife = 60 * time.Second // [RFC 8200 4.5]
)

// datagramTable remembers the datagrams whose fragments came last.
type datagramTable struct {
	entries []datagram
}

func (t *datagramTable) init() { t.entries = make([]datagram, maxDatagrams) }

// find returns the entry of the datagram, or the one to be reused, emptied.
func (t *datagramTable) find(d *datagram) *datagram {
	oldest := &t.entries[0]
	for i := range t.entries {
		e := &t.entries[i]
		if e.count > 0 && e.id == d.id && e.source == d.source && e.destination == d.destination && e.protocol == d.protocol && e.v6 == d.v6 {
			if d.at-e.at > fragmentLife {
				e.count = 0
			}
			e.at = d.at
			return e
		}
		if e.count == 0 || oldest.count > 0 && e.at < oldest.at {
			oldest = e
		}
	}
	*oldest = *d
	return oldest
}

// overlap notes a range and returns how many of its bytes were there before. The very same fragment again is no
// overlap: the network may double packets.
func (d *datagram) overlap(r byteRange) int {
	n := 0
	for _, have := range d.ranges[:d.count] {
		if have == r {
			return 0
		}
		n += max(min(have.to, r.to)-max(have.from, r.from), 0)
	}
	if d.count < maxRanges {
		d.ranges[d.count] = r
		d.count++
	}
	return min(n, r.to-r.from)
}

// overlapping returns how many bytes of a fragment others have brought.
func (p *printer) overlapping(f fragment) int {
	if p.decoder == nil || len(p.decoder.datagrams.entries) == 0 {
		return 0
	}
	key := datagram{id: f.id, protocol: f.protocol, v6: p.ip.v6, at: p.f.Time}
	copy(key.source[:], p.ip.source)
	copy(key.destination[:], p.ip.destination)
	return p.decoder.datagrams.find(&key).overlap(byteRange{f.at, f.at + f.size})
}
