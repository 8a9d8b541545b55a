package dump

import (
	"time"

	"wick/packet"
)

// half is what is known of one direction of a TCP connection: of the data sent in it, and of the acknowledgments sent in
// it, which are for the other's data.
type half struct {
	begun bool
	next  uint32 // behind the last byte seen
	holes []hole // before next, in order

	acked    bool // ack and window are valid
	ack      uint32
	window   int
	repeated int // duplicates of ack so far

	timing   bool // a segment that ends at timedEnd is under way since timedAt
	timedEnd uint32
	timedAt  time.Duration

	payload       uint64 // bytes, retransmitted ones included
	retransmitted uint64 // segments
	outOfOrder    uint64
	duplicateAcks uint64
	zeroWindows   uint64
	rtt           roundTrip
}

// hole is a stretch of the sequence that was passed over.
type hole struct {
	from, to uint32
	since    time.Duration
}

// maxHoles bounds how many are remembered.
const maxHoles = 64

// roundTrip are times from a segment to its acknowledgment, as seen at the place of the capture.
type roundTrip struct {
	samples       int
	min, max, sum time.Duration
}

func (r *roundTrip) add(d time.Duration) {
	if r.samples == 0 || d < r.min {
		r.min = d
	}
	r.max = max(r.max, d)
	r.sum += d
	r.samples++
}

// before and beyond compare sequence numbers [RFC 9293 3.4].
func before(a, b uint32) bool { return int32(a-b) < 0 }
func beyond(a, b uint32) bool { return int32(a-b) > 0 }

// segment notes a segment that from sends, with so many bytes of payload.
func segment(from, to *half, h packet.TCP, payload int, now time.Duration) {
	flags := h.Flags()
	from.payload += uint64(payload)
	if flags&packet.TCPRST != 0 {
		return
	}
	size := payload
	for _, f := range [...]packet.TCPFlags{packet.TCPSYN, packet.TCPFIN} { // each has a number of its own
		if flags&f != 0 {
			size++
		}
	}
	probe := from.data(to, h.Seq(), size, payload == size, now)
	if flags&packet.TCPACK != 0 {
		from.acknowledge(to, h, size == 0 && !probe, now)
	}
}

// data notes size numbers from seq on; it tells whether they are a probe of a living connection, which repeats the last
// number.
func (f *half) data(to *half, seq uint32, size int, plain bool, now time.Duration) (probe bool) {
	end := seq + uint32(size)
	switch {
	case !f.begun:
		f.begun, f.next = true, end
		f.time(size, end, now)
	case plain && size <= 1 && seq == f.next-1: // [RFC 9293 3.8.4]
		return true
	case size == 0:
	case !before(seq, f.next):
		if seq != f.next {
			f.open(hole{f.next, seq, now})
		}
		f.next = end
		f.time(size, end, now)
	default:
		f.again(to, seq, end, now)
	}
	return false
}

// time starts to time a segment, unless another is being timed.
func (f *half) time(size int, end uint32, now time.Duration) {
	if size > 0 && !f.timing {
		f.timing, f.timedEnd, f.timedAt = true, end, now
	}
}

// open remembers a hole.
func (f *half) open(h hole) {
	if len(f.holes) == maxHoles {
		f.holes = append(f.holes[:0], f.holes[1:]...)
	}
	f.holes = append(f.holes, h)
}

// reorderTime is how much later than its successors a segment may come that was sent before them. What is filled later was
// sent again. It is Wireshark's.
const reorderTime = 3 * time.Millisecond

// again notes numbers that begin before the last seen.
func (f *half) again(to *half, seq, end uint32, now time.Duration) {
	if beyond(end, f.next) {
		f.next = end
	}
	since, filled := f.fill(seq, end)
	limit := reorderTime
	if f.rtt.samples > 0 && to.rtt.samples > 0 {
		limit = max(limit, f.rtt.min+to.rtt.min)
	}
	asked := to.acked && to.ack == seq && to.repeated >= 2 // a fast retransmission [RFC 5681 3.2]
	if filled && !asked && now-since <= limit {
		f.outOfOrder++
		return
	}
	f.retransmitted++
	if f.timing && before(seq, f.timedEnd) { // which of the two is acknowledged can't be told [RFC 6298 3]
		f.timing = false
	}
}

// fill takes [seq, end) out of the holes, and tells whether there was something to take, and since when.
func (f *half) fill(seq, end uint32) (since time.Duration, filled bool) {
	rest := make([]hole, 0, len(f.holes)+1)
	for _, h := range f.holes {
		if !before(seq, h.to) || !before(h.from, end) {
			rest = append(rest, h)
			continue
		}
		if !filled {
			since, filled = h.since, true
		}
		if before(h.from, seq) {
			rest = append(rest, hole{h.from, seq, h.since})
		}
		if before(end, h.to) {
			rest = append(rest, hole{end, h.to, h.since})
		}
	}
	f.holes = rest
	return since, filled
}

// acknowledge notes what f says of the data of to. bare tells that the segment has nothing else to say.
func (f *half) acknowledge(to *half, h packet.TCP, bare bool, now time.Duration) {
	ack, window := h.Ack(), h.Window()
	plain := h.Flags()&(packet.TCPSYN|packet.TCPFIN) == 0
	if window == 0 && plain {
		f.zeroWindows++
	}
	// The conditions of RFC 5681 2: outstanding data, no data, no SYN or FIN, the same number and window.
	if bare && plain && f.acked && ack == f.ack && window == f.window && to.begun && before(ack, to.next) {
		f.duplicateAcks++
		f.repeated++
	} else if !f.acked || beyond(ack, f.ack) {
		f.repeated = 0
	}
	if !f.acked || beyond(ack, f.ack) {
		f.acked, f.ack = true, ack
	}
	f.window = window
	if to.timing && !before(ack, to.timedEnd) {
		to.rtt.add(now - to.timedAt)
		to.timing = false
	}
}
