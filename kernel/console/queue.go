package console

import "wick/hostlink"

// queue is a bounded first-in-first-out queue of payloads by type. Pieces of the same stream that follow
// each other become one, so that small writes don't cost a frame each.
type queue struct {
	capacity int // bytes; the memory is allocated with the first one
	bytes    []byte
	head     int // index of the first byte
	used     int // bytes

	records [maxRecords]record
	first   int // index of the first record
	count   int // records
}

// record is a run of bytes of one type.
type record struct {
	typ  hostlink.Type
	size int // bytes
}

// maxRecords bounds how often the type may change in a queue.
const maxRecords = 256

func (q *queue) empty() bool { return q.count == 0 }

// room returns how many bytes of type t fit.
func (q *queue) room(t hostlink.Type) int {
	if q.count == maxRecords && !q.extends(t) {
		return 0
	}
	return q.capacity - q.used
}

// extends tells whether bytes of type t go on where the last record ends.
func (q *queue) extends(t hostlink.Type) bool {
	return q.count > 0 && t.Stream() && q.last().typ == t
}

func (q *queue) last() *record { return &q.records[(q.first+q.count-1)%maxRecords] }

// push appends p, for which there is room.
func (q *queue) push(t hostlink.Type, p []byte) {
	if q.bytes == nil {
		q.bytes = make([]byte, q.capacity)
	}
	if !q.extends(t) {
		q.count++
		*q.last() = record{typ: t}
	}
	q.last().size += len(p)
	tail := (q.head + q.used) % q.capacity
	n := copy(q.bytes[tail:], p)
	copy(q.bytes, p[n:])
	q.used += len(p)
}

// pop appends to dst, as one frame, up to limit bytes from the front, and returns how many that were. Only
// streams are longer than limit.
func (q *queue) pop(dst []byte, limit int) ([]byte, int) {
	front := &q.records[q.first]
	n := min(front.size, limit)
	dst = hostlink.AppendHeader(dst, front.typ, n)
	upToEnd := min(n, q.capacity-q.head)
	dst = append(dst, q.bytes[q.head:q.head+upToEnd]...)
	dst = append(dst, q.bytes[:n-upToEnd]...)
	q.head = (q.head + n) % q.capacity
	q.used -= n
	if front.size -= n; front.size == 0 {
		q.first = (q.first + 1) % maxRecords
		q.count--
	}
	return dst, n
}
