package vsock

import "sync"

// segmentSize is the unit in which queues take memory, in bytes: an idle connection takes none, one with a byte a
// segment.
const segmentSize = 4 << 10

type segment [segmentSize]byte

var segments = sync.Pool{New: func() any { return new(segment) }}

// queue holds bytes in order.
type queue struct {
	list []*segment // the bytes begin at head in the first, and end before tail in the last
	head int
	size int
}

func (q *queue) len() int { return q.size }

// push appends p.
func (q *queue) push(p []byte) {
	for len(p) > 0 {
		end := q.head + q.size
		if end == len(q.list)*segmentSize {
			q.list = append(q.list, segments.Get().(*segment))
		}
		n := copy(q.list[end/segmentSize][end%segmentSize:], p)
		q.size += n
		p = p[n:]
	}
}

// peek copies bytes from the start, beginning with that at an offset, and returns their number.
func (q *queue) peek(p []byte, offset int) int {
	p = p[:max(0, min(len(p), q.size-offset))]
	for done := 0; done < len(p); {
		at := q.head + offset + done
		done += copy(p[done:], q.list[at/segmentSize][at%segmentSize:])
	}
	return len(p)
}

// pop moves n bytes from the start to a buffer; there must be as many.
func (q *queue) pop(n int, to *scatter) {
	for at, end := q.head, q.head+n; at < end; {
		piece := q.list[at/segmentSize][at%segmentSize:]
		piece = piece[:min(len(piece), end-at)]
		to.write(piece)
		at += len(piece)
	}
	q.discard(n)
}

// discard removes n bytes from the start; there must be as many.
func (q *queue) discard(n int) {
	q.head += n
	q.size -= n
	used := q.head / segmentSize
	if q.size == 0 {
		used, q.head = len(q.list), 0
	} else {
		q.head %= segmentSize
	}
	for _, s := range q.list[:used] {
		segments.Put(s)
	}
	rest := copy(q.list, q.list[used:])
	clear(q.list[rest:])
	q.list = q.list[:rest]
}

// clear removes all.
func (q *queue) clear() { q.discard(q.size) }
