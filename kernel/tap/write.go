package tap

import "time"

// run is the goroutine: it encodes frames and writes what comes of it, until the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.done)
	q.text = q.encoder.begin(q.text)
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
			q.finish()
			return
		}
	}
}

// finish writes what comes at the end.
func (q *Queue) finish() {
	q.mu.Lock()
	seen, unsaid := q.seen, q.unsaid
	q.mu.Unlock()
	if q.text = q.encoder.end(q.text, seen, unsaid); len(q.text) > 0 {
		q.write()
	}
}

// collect encodes waiting frames until there is a batch; false if it has emptied the ring.
func (q *Queue) collect() (more bool) {
	r, lost, ok := q.peek()
	for ok {
		if r.verdict {
			q.text = q.encoder.verdict(q.text, r)
		} else {
			q.text = q.encoder.frame(q.text, r, q.data[r.off:r.off+r.size])
		}
		q.pending += r.frames()
		q.told += r.lost.sum()
		q.release()
		if len(q.text) >= batchSize {
			return true
		}
		r, lost, ok = q.peek()
	}
	if n := lost.sum(); n > 0 {
		q.text = q.encoder.missing(q.text, lost)
		q.pending += n
		q.told += n
	}
	return false
}

// peek returns the oldest record, which keeps its place, unless it is held; if there is none, the frames lost behind the last.
func (q *Queue) peek() (r record, lost counts, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count > 0 {
		r = q.records[q.oldest]
		return r, counts{}, !r.held || q.closed
	}
	lost, q.lost = q.lost, counts{}
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

// idle tells whether the queue is open, and whether the goroutine has to wait for wake because it is empty or its oldest frame is held.
func (q *Queue) idle() (open, idle bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	empty := q.count == 0 && q.lost.sum() == 0
	held := q.count > 0 && q.records[q.oldest].held
	q.waiting = (empty || held) && !q.closed
	return !q.closed || !empty, q.waiting
}

// write gives the text to the sink; false if Close would wait for it no longer.
func (q *Queue) write() bool {
	if q.taken() {
		return true
	}
	retry := time.NewTicker(RetryInterval)
	defer retry.Stop()
	ending := q.ending
	var giveUp <-chan time.Time
	for {
		select {
		case <-q.config.Room:
		case <-retry.C:
		case <-ending:
			ending, giveUp = nil, time.After(q.patience)
		case <-giveUp:
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
	q.mu.Lock()
	q.missing += q.told
	q.mu.Unlock()
	q.text, q.pending, q.told = q.text[:0], 0, 0
	return true
}
