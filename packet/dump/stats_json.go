package dump

import (
	"strings"
	"time"
)

// appendJSON prints the statistics as objects, one a line: what each is of is its member "record".
func (s *statistics) appendJSON(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.text("record", "total")
	o.volume(s.total)
	o.integer("conversations", len(s.all))
	o.seconds("time", span(s.first, s.last))
	o.number("anomalies", s.faulty)
	o.number("bad_checksums", s.sums)
	b = append(o.b, '}', '\n')
	for _, c := range s.sorted() {
		b = c.appendJSON(b)
	}
	for _, why := range s.reasons() {
		o = object{b: append(b, '{')}
		o.text("record", "dropped")
		o.text("reason", why)
		o.volume(*s.drops[why])
		b = append(o.b, '}', '\n')
	}
	for i := range s.sources {
		o = object{b: append(b, '{')}
		o.text("record", "interface")
		o.text("interface", s.sources[i].name)
		for _, c := range s.sources[i].known() {
			o.number(strings.ReplaceAll(c.name, "-", "_"), c.n)
		}
		b = append(o.b, '}', '\n')
	}
	return b
}

func (o *object) volume(v volume) {
	o.number("packets", v.packets)
	o.number("bytes", v.bytes)
}

func (c *conversation) appendJSON(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.text("record", "conversation")
	o.text("protocol", c.protocol)
	o.number("first", c.first)
	o.number("last", c.last)
	o.seconds("start", c.from)
	o.seconds("time", span(c.from, c.to))
	if c.tcp != nil {
		if d, whole, ok := c.rtt(); ok {
			o.seconds("rtt", d)
			o.boolean("rtt_of_one_side", !whole)
		}
	}
	for i, name := range []string{"a", "b"} {
		o.open(name)
		e := c.ends[i]
		port := e.port
		if e.ported {
			e.ported = false
			o.text("address", string(e.append(nil)))
			o.number("port", uint64(port))
		} else {
			o.text("address", string(e.append(nil)))
		}
		o.volume(c.sent[i])
		if c.tcp != nil {
			c.tcp[i].appendJSON(&o)
		}
		o.close()
	}
	return append(o.b, '}', '\n')
}

func (h *half) appendJSON(o *object) {
	o.number("payload", h.payload)
	o.number("retransmitted", h.retransmitted)
	o.number("out_of_order", h.outOfOrder)
	o.number("duplicate_acks", h.duplicateAcks)
	o.number("zero_windows", h.zeroWindows)
	if r := &h.rtt; r.samples > 0 {
		o.seconds("rtt_min", r.min)
		o.seconds("rtt_avg", r.sum/time.Duration(r.samples))
		o.seconds("rtt_max", r.max)
		o.integer("rtt_samples", r.samples)
	}
}
