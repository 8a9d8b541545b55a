// Package tap stands between the data path of a network card and the packet dump, or a capture: it takes a copy of each
// frame and returns at once; one goroutine puts the frames in words, or in blocks of a capture, and gives them to a sink.
//
// Frames wait in a ring of fixed size. Those that find no room are counted, and in the place where they are missing a line,
// or the next block, says how many they were. Each frame has its number, shown or not.
//
//	driver ── Side ──> records, bytes ── one goroutine: encoder ──> text or blocks ── Write ──> sink
//	           no waiting            bounded                               tries until it is taken
//
// What has been received is not encoded before the stack has said whether it drops it (Side.Settle), so that the line and
// the block say why. What is dropped later, such as a fragment whose others never came, gets a record of its own.
//
// Watch.mu comes before Queue.mu; nothing is called while that is held.
package tap

import (
	"sync"
	"time"

	"wick/packet"
)

// Config is what a Queue is made of. Write is needed, the rest has defaults.
type Config struct {
	Interface   string      // name in the dump; in a capture "" if there is no card
	Sockets     string      // the same of the device whose packets have packet.LinkVsock
	Description string      // of the interface, for Capture
	Format      Format      // what is made of frames
	Mode        packet.Mode // how much Text says of each frame
	Start       time.Time   // what times are counted from; the zero time means now

	// Write takes complete lines or blocks, or returns false if it can't now; then it is called again with the same text. It must
	// not block and must not keep text. One goroutine calls it.
	Write func(text []byte) bool
	// Room, if not nil, receives when Write may have room again; without it, or besides, Write is tried again every
	// RetryInterval.
	Room <-chan struct{}

	// Missed, if not nil, tells at the end how many frames the card has lost before anybody saw them, for Capture.
	Missed func() uint64

	Records int // frames that can wait
	Bytes   int // bytes that they can have together
	SnapLen int // bytes that are kept of each at most
}

// Fit sets Records and Bytes to what memory of the given size has room for, in bytes.
func (c *Config) Fit(memory int) {
	const typical = 256 // bytes of a frame, on average
	size := typical
	if c.SnapLen > 0 {
		size = min(c.SnapLen, typical)
	}
	c.Records = memory / (size + recordSize)
	c.Bytes = memory - c.Records*recordSize
}

// connections is how many TCP connections the window scale is remembered of, for 64 bytes each.
const connections = 256

// Defaults of the sizes. Together they take 350 KiB.
const (
	defaultRecords = 1024
	defaultBytes   = 256 << 10
	defaultSnapLen = 2048 // more than any frame without segmentation offload
)

// RetryInterval is how often a sink is tried that took nothing.
const RetryInterval = 2 * time.Millisecond

// batchSize is how much text is collected, in bytes, before it is written. A batch is longer by a frame at most.
const batchSize = 8 << 10

// recordSize is the size of a record, in bytes.
const recordSize = 88

// origin is the interface that a frame is of.
type origin uint8

const (
	ofCard    origin = iota
	ofSockets        // the vsock device
	origins
)

func originOf(l packet.Link) origin {
	if l == packet.LinkVsock {
		return ofSockets
	}
	return ofCard
}

// counts are numbers of frames, by interface.
type counts [origins]uint64

func (c *counts) add(more counts) {
	for i := range c {
		c[i] += more[i]
	}
}

func (c *counts) sum() (n uint64) {
	for _, each := range c {
		n += each
	}
	return n
}

// record is one frame that waits, or a verdict on one that doesn't any more.
type record struct {
	number    uint64
	time      time.Duration
	lost      counts // frames that found no room since the record before
	drop      string
	off, size int // of its bytes in Queue.data
	wireLen   int
	direction packet.Direction
	rxErrors  uint8
	damage    packet.Damage
	checksum  packet.Checksum
	segmented bool
	link      packet.Link
	held      bool // what becomes of the frame isn't known yet
	verdict   bool // no frame: the one of the number has been dropped
}

// frames is how many frames the record stands for.
func (r *record) frames() uint64 {
	n := r.lost.sum()
	if !r.verdict {
		n++
	}
	return n
}

// Queue takes frames and writes their text. Its memory is allocated by New.
type Queue struct {
	config Config
	wake   chan struct{} // capacity 1; sent to when the goroutine waits for a frame
	ending chan struct{} // closed by Close
	done   chan struct{} // closed when the goroutine has ended

	patience time.Duration // of Close; set before ending is closed

	encoder encoder
	text    []byte // of the goroutine: what was not written yet
	pending uint64 // of the goroutine: frames that text speaks of, shown or not
	told    uint64 // of the goroutine: those of them that it says to be missing

	mu      sync.Mutex
	records []record     // guarded by mu; a ring
	oldest  int          // guarded by mu; index into records
	count   int          // guarded by mu; records in use
	data    []byte       // a ring; the bytes of records in use are not written to
	next    int          // guarded by mu; where in data the next frame may go
	number  uint64       // guarded by mu; of the last frame
	seen    counts       // guarded by mu; frames
	lost    counts       // guarded by mu; frames that found no room since the last record
	held    [origins]int // guarded by mu; index into records of the one that is held, or -1
	unsaid  uint64       // guarded by mu; verdicts that found no room
	late    uint64       // guarded by mu; frames that came later than Close
	missing uint64       // guarded by mu; frames of which what was written says that they are missing
	waiting bool         // guarded by mu; the goroutine has seen the ring empty
	closed  bool         // guarded by mu
}

// New makes a queue and starts its goroutine, which ends with Close.
func New(c Config) *Queue {
	if c.Start.IsZero() {
		c.Start = time.Now()
	}
	if c.Records <= 0 {
		c.Records = defaultRecords
	}
	if c.Bytes <= 0 {
		c.Bytes = defaultBytes
	}
	if c.SnapLen <= 0 {
		c.SnapLen = defaultSnapLen
	}
	q := &Queue{
		config:  c,
		wake:    make(chan struct{}, 1),
		ending:  make(chan struct{}),
		done:    make(chan struct{}),
		encoder: newEncoder(&c),
		text:    make([]byte, 0, batchSize+packet.MaxLine),
		records: make([]record, c.Records),
		data:    make([]byte, c.Bytes),
		held:    [origins]int{-1, -1},
	}
	go q.run()
	return q
}

// tap takes a frame that was seen at the time now; its number, which is returned, and its interface are set here. It copies what it keeps, never
// waits for the sink, allocates nothing, and may be called by several goroutines: the order of the calls is the order of
// the lines. With hold the frame waits for settle; of each interface one can: the one before is settled.
func (q *Queue) tap(f *packet.Frame, now time.Time, hold bool) (number uint64) {
	data := f.Data[:min(len(f.Data), q.config.SnapLen)]
	of := originOf(f.Link)
	q.mu.Lock()
	wake := hold && q.settleLocked(of, "")
	q.number++
	q.seen[of]++
	number = q.number
	r := record{
		number: number, time: now.Sub(q.config.Start), drop: f.Drop, size: len(data), wireLen: f.WireLen, direction: f.Direction,
		rxErrors: f.RxErrors, damage: f.Damage, checksum: f.Checksum, segmented: f.Segmented, link: f.Link,
		held: hold,
	}
	switch slot := q.addLocked(&r); {
	case q.closed:
		q.late++
	case slot < 0:
		q.lost[of]++
	default:
		copy(q.data[r.off:], data)
		if hold {
			q.held[of] = slot
		} else {
			wake = true
		}
	}
	q.unlock(wake)
	return number
}

// settle tells what has become of the frame of the interface that is held: why it was dropped, "" if it wasn't.
func (q *Queue) settle(link packet.Link, drop string) {
	q.mu.Lock()
	q.unlock(q.settleLocked(originOf(link), drop))
}

func (q *Queue) settleLocked(of origin, drop string) (some bool) {
	slot := q.held[of]
	if slot < 0 {
		return false // it found no room
	}
	q.held[of] = -1
	q.records[slot].held, q.records[slot].drop = false, drop
	return true
}

// dropped tells that a frame which has been settled was dropped after all.
func (q *Queue) dropped(link packet.Link, number uint64, drop string) {
	q.mu.Lock()
	r := record{number: number, drop: drop, link: link, verdict: true}
	slot := q.addLocked(&r)
	if slot < 0 {
		q.unsaid++
	}
	q.unlock(slot >= 0)
}

// addLocked gives a record its place in both rings; -1 if there is none.
func (q *Queue) addLocked(r *record) (slot int) {
	if q.closed {
		return -1
	}
	off, ok := q.reserveLocked(r.size)
	if !ok {
		return -1
	}
	slot = q.oldest + q.count
	if slot >= len(q.records) {
		slot -= len(q.records)
	}
	r.off, r.lost = off, q.lost
	q.records[slot] = *r
	q.count++
	q.lost = counts{}
	return slot
}

// unlock wakes the goroutine, if it waits and there is something for it.
func (q *Queue) unlock(wake bool) {
	wake = wake && q.waiting
	if wake {
		q.waiting = false
	}
	q.mu.Unlock()
	if wake {
		q.wake <- struct{}{} // has room: only one call finds waiting set
	}
}

// reserveLocked finds room for a frame of n bytes in one piece; false if there is none.
func (q *Queue) reserveLocked(n int) (off int, ok bool) {
	n = max(n, 1) // so that next meets the oldest frame's start only if there are none
	if q.count == len(q.records) {
		return 0, false
	}
	if q.count == 0 {
		q.next = 0
	}
	off = q.next
	switch first := q.records[q.oldest].off; {
	case q.count == 0 || off > first: // free: [next, end) and [0, first)
		if off+n > len(q.data) {
			if off = 0; q.count == 0 || n >= first {
				return 0, false
			}
		}
	case off+n >= first: // free: [next, first)
		return 0, false
	}
	q.next = off + n
	return off, true
}

// Close shows what waits, for as long as the sink takes something at least once in the time of patience, and stops the
// goroutine. It returns how many frames could not be shown because the sink didn't take them, or because they came later
// than Close: those of which nothing that was written tells.
func (q *Queue) Close(patience time.Duration) (notShown uint64) {
	q.mu.Lock()
	closed, wake := q.closed, q.waiting
	q.closed, q.waiting = true, false
	q.mu.Unlock()
	if !closed {
		q.patience = patience
		close(q.ending)
		if wake {
			q.wake <- struct{}{}
		}
	}
	<-q.done
	q.mu.Lock()
	defer q.mu.Unlock()
	notShown = q.pending + q.lost.sum() + q.late
	for i := range q.count {
		notShown += q.records[(q.oldest+i)%len(q.records)].frames()
	}
	return notShown
}

// Counts returns how many frames there were, and how many of them the sink has been told to be missing. It is for after
// Close.
func (q *Queue) Counts() (seen, missing uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.number, q.missing
}
