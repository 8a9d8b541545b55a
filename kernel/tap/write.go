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
	seen := q.number
	q.mu.Unlock()
	if q.text = q.encoder.end(q.text, seen); len(q.text) > 0 {
		q.write()
	}
}

// collect encodes waiting frames until there is a batch; false if it has emptied the ring.
func (q *Queue) collect() (more bool) {
	r, lost, ok := q.peek()
	for ok {
		q.text = q.encoder.frame(q.text, r, q.data[r.off:r.off+r.size])
		q.pending += 1 + r.lost
		q.told += r.lost
		q.release()
		if len(q.text) >= batchSize {
			return true
		}
		r, lost, ok = q.peek()
	}
	if lost > 0 {
		q.text = q.encoder.missing(q.text, lost)
		q.pending += lost
		q.told += lost
	}
	return false
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
