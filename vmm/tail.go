package vmm

import (
	"bytes"
	"io"
	"sync"
)

// Tail is a writer that keeps the last bytes written to it. It is safe for concurrent use.
type Tail struct {
	also io.Writer // gets everything, if not nil
	size int       // bytes to keep at least

	mu  sync.Mutex
	buf []byte // guarded by mu; at most 2 × size
	cut bool   // guarded by mu: something has been dropped
}

func newTail(size int, also io.Writer) *Tail { return &Tail{size: size, also: also} }

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
		t.cut = true
	}
	return len(p), nil
}

// String returns what is kept, from the start of a line.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buf
	if t.cut {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return string(b)
}
