package tap

import (
	"time"

	"wick/packet"
)

// run is the goroutine: it puts frames in words and writes the text, until the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.done)
	for {
		more := q.collect()
		if len(q.text) > 0 && !q.write() {
			return
		}
		if more {
			continue
		}
		open, idle := q.idle()
		if idle {
			<-q.wake
		} else if !open {
			return
		}
	}
}

// collect puts waiting frames in words until there is a batch; false if it has emptied the ring.
func (q *Queue) collect() (more bool) {
	r, lost, ok := q.peek()
	for ok {
		if r.lost > 0 {
			q.notShown(r.lost)
		}
		frame := packet.Frame{
			Number: r.number, Time: r.time, Interface: q.config.Interface, Direction: r.direction,
			WireLen: r.wireLen, Data: q.data[r.off : r.off+r.size], RxErrors: r.rxErrors, Drop: r.drop,
		}
		q.text = q.decoder.Append(q.text, &frame, q.config.Mode)
		q.pending++
		q.release()
		if len(q.text) >= batchSize {
			return true
		}
		r, lost, ok = q.peek()
	}
	if lost > 0 {
		q.notShown(lost)
	}
	return false
}

// notShown puts in words that n frames are missing.
func (q *Queue) notShown(n uint64) {
	q.text = packet.AppendNotShown(q.text, n)
	q.pending += n
}

// peek returns the oldest record, which keeps its place; if there is none, the frames lost behind the last.
func (q *Queue) peek() (r record, lost uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count > 0 {
		return q.records[q.oldest], 0, true
	}
	lost, q.lost = q.lost, 0
	return record{}, lost, false
}

// release frees the oldest record.
func (q *Queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records[q.oldest].drop = ""
	if q.oldest++; q.oldest == len(q.records) {
		q.oldest = 0
	}
	q.count--
}

// idle tells whether the queue is open, and whether the goroutine has to wait for wake because it is empty.
func (q *Queue) idle() (open, idle bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	empty := q.count == 0 && q.lost == 0
	q.waiting = empty && !q.closed
	return !q.closed || !empty, q.waiting
}

// write gives the text to the sink; false if Close would wait no longer.
func (q *Queue) write() bool {
	if q.taken() {
		return true
	}
	retry := time.NewTicker(RetryInterval)
	defer retry.Stop()
	for {
		select {
		case <-q.config.Room:
		case <-retry.C:
		case <-q.giveUp:
			return q.taken()
		}
		if q.taken() {
			return true
		}
	}
}

// taken tries the sink once.
func (q *Queue) taken() bool {
	if !q.config.Write(q.text) {
		return false
	}
	q.text, q.pending = q.text[:0], 0
	return true
}
