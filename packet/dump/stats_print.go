package dump

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// append prints the statistics: a line for all, then for each conversation one and one for each of its directions, then
// those of drops and interfaces.
func (s *statistics) append(b []byte) []byte {
	b = append(b, "total"...)
	b = appendVolume(b, s.total)
	b = appendField(b, "conversations", uint64(len(s.all)))
	b = appendSeconds(append(b, " time="...), span(s.first, s.last))
	b = appendField(b, "anomalies", s.faulty)
	b = append(appendField(b, "bad-checksums", s.sums), '\n')
	for _, c := range s.sorted() {
		b = c.append(b)
	}
	for _, why := range s.reasons() {
		b = append(append(b, "dropped "...), printable(why)...)
		b = append(appendVolume(b, *s.drops[why]), '\n')
	}
	for i := range s.sources {
		b = s.sources[i].append(b)
	}
	return b
}

// reasons returns why packets were dropped, the most frequent first.
func (s *statistics) reasons() []string {
	var all []string
	for why := range s.drops {
		all = append(all, why)
	}
	slices.SortFunc(all, func(x, y string) int {
		if n := int64(s.drops[y].packets) - int64(s.drops[x].packets); n != 0 {
			return int(n)
		}
		if x < y {
			return -1
		}
		return 1
	})
	return all
}

// printable escapes what might harm a terminal.
func printable(s string) string {
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}

func appendVolume(b []byte, v volume) []byte {
	return appendField(appendField(b, "packets", v.packets), "bytes", v.bytes)
}

func appendField(b []byte, name string, n uint64) []byte {
	b = append(append(append(b, ' '), name...), '=')
	return strconv.AppendUint(b, n, 10)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, d.Seconds(), 'f', 6, 64)
}

// appendMillis appends a duration in milliseconds.
func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

func (c *conversation) append(b []byte) []byte {
	b = append(b, "conversation "...)
	b = append(b, c.protocol...)
	b = append(b, ' ')
	b = c.ends[0].append(b)
	b = append(b, '>')
	b = c.ends[1].append(b)
	b = append(b, " first=#"...)
	b = strconv.AppendUint(b, c.first, 10)
	b = append(b, " last=#"...)
	b = strconv.AppendUint(b, c.last, 10)
	b = appendSeconds(append(b, " start="...), c.from)
	b = appendSeconds(append(b, " time="...), span(c.from, c.to))
	if c.tcp != nil {
		if d, whole, ok := c.rtt(); ok {
			b = append(appendMillis(append(b, " rtt="...), d), "ms"...)
			if !whole {
				b = append(b, " (of one side)"...)
			}
		}
	}
	b = append(b, '\n')
	for i, arrow := range []string{"  >", "  <"} {
		b = appendVolume(append(b, arrow...), c.sent[i])
		if c.tcp != nil {
			b = c.tcp[i].append(b)
		}
		b = append(b, '\n')
	}
	return b
}

// append prints an end as the packets' lines do.
func (e *endpoint) append(b []byte) []byte {
	switch e.size {
	case 0:
		return append(b, '-')
	case 6:
		o := object{}
		o.mac("", e.address[:6])
		return append(b, o.b[len(`"":"`):len(o.b)-1]...)
	case 8:
		b = strconv.AppendUint(b, binary.BigEndian.Uint64(e.address[:]), 10)
	default:
		a, _ := netip.AddrFromSlice(e.address[:e.size])
		if e.size == 16 && e.ported {
			b = append(a.AppendTo(append(b, '[')), ']')
		} else {
			b = a.AppendTo(b)
		}
	}
	if e.ported {
		b = strconv.AppendUint(append(b, ':'), uint64(e.port), 10)
	}
	return b
}

func (h *half) append(b []byte) []byte {
	b = appendField(b, "payload", h.payload)
	b = appendField(b, "retransmitted", h.retransmitted)
	b = appendField(b, "out-of-order", h.outOfOrder)
	b = appendField(b, "duplicate-acks", h.duplicateAcks)
	b = appendField(b, "zero-windows", h.zeroWindows)
	if r := &h.rtt; r.samples > 0 {
		b = appendMillis(append(b, " rtt="...), r.min)
		b = appendMillis(append(b, '/'), r.sum/time.Duration(r.samples))
		b = append(appendMillis(append(b, '/'), r.max), "ms"...)
		b = appendField(b, "samples", uint64(r.samples))
	}
	return b
}

func (s *source) append(b []byte) []byte {
	b = append(append(b, "interface "...), printable(s.name)...)
	for _, c := range s.known() {
		b = appendField(b, c.name, c.n)
	}
	return append(b, '\n')
}

// named is a count with its name.
type named struct {
	name string
	n    uint64
}

// known returns what is known of an interface.
func (s *source) known() []named {
	all := []named{}
	c := &s.counts
	if c.Received.Known {
		all = append(all, named{"received", c.Received.N})
	}
	if c.Accepted.Known {
		all = append(all, named{"accepted", c.Accepted.N})
	}
	if c.Delivered.Known {
		all = append(all, named{"delivered", c.Delivered.N})
	}
	if c.Dropped.Known {
		all = append(all, named{"dropped", c.Dropped.N})
	}
	if c.OSDropped.Known {
		all = append(all, named{"os-dropped", c.OSDropped.N})
	}
	if s.missing > 0 {
		all = append(all, named{"not-captured", s.missing})
	}
	return all
}
