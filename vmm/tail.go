package vmm

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// Tail is a writer that keeps the last bytes written to it. It is safe for concurrent use.
type Tail struct {
	also io.Writer // gets everything, if not nil
	size int       // bytes to keep at least

	mu      sync.Mutex
	buf     []byte        // guarded by mu; at most 2 × size
	dropped int64         // guarded by mu: bytes that were before buf
	changed chan struct{} // has a token after a Write
}

func newTail(size int, also io.Writer) *Tail {
	return &Tail{size: size, also: also, changed: make(chan struct{}, 1)}
}

// Write keeps p. It never fails. Carriage returns, which serial ports send before each line's end, are dropped.
func (t *Tail) Write(p []byte) (int, error) {
	text := bytes.ReplaceAll(p, []byte{'\r'}, nil)
	if t.also != nil {
		t.also.Write(text) // who watches the boot may go away: the boot goes on
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, text...)
	if extra := len(t.buf) - t.size; extra > t.size {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
		t.dropped += int64(extra)
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

// String returns what is kept, from the start of a line.
func (t *Tail) String() string { return t.From(0) }

// Size returns how many bytes have been written, without those dropped at once.
func (t *Tail) Size() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped + int64(len(t.buf))
}

// From returns what is kept of that behind the first from bytes, from the start of a line if some of it is not kept.
func (t *Tail) From(from int64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from >= t.dropped {
		return string(t.buf[min(from-t.dropped, int64(len(t.buf))):])
	}
	b := t.buf
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return string(b)
}

// await waits until enough says so, which it is asked after each Write, or until nothing was written for a while, or done
// is closed. It returns what enough has said last. One goroutine may wait at a time.
func (t *Tail) await(enough func() bool, done <-chan struct{}, idle time.Duration) bool {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for !enough() {
		select {
		case <-t.changed:
			timer.Reset(idle)
		case <-timer.C:
			return enough()
		case <-done:
			return enough()
		}
	}
	return true
}
