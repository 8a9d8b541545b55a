package tap

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wick/packet"
	"wick/vsock"
)

// tap gives a frame to a queue that doesn't wait for a verdict.
func tap(q *Queue, f packet.Frame) { q.tap(&f, time.Now(), false) }

// show gives a frame to a queue.
func show(q *Queue, dir packet.Direction, wireLen int, data []byte, rxErrors uint8, drop string) {
	tap(q, packet.Frame{Direction: dir, WireLen: wireLen, Data: data, RxErrors: rxErrors, Drop: drop})
}

// sink collects text; it takes nothing while it is shut.
type sink struct {
	room chan struct{}

	mu    sync.Mutex
	shut  bool          // guarded by mu
	text  bytes.Buffer  // guarded by mu
	calls int           // guarded by mu
	asked chan struct{} // receives at each call, if somebody listens
}

func newSink() *sink {
	return &sink{room: make(chan struct{}, 1), asked: make(chan struct{})}
}

func (s *sink) Write(text []byte) bool {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.shut {
		return false
	}
	s.text.Write(text)
	return true
}

func (s *sink) setShut(shut bool) {
	s.mu.Lock()
	s.shut = shut
	s.mu.Unlock()
	if !shut {
		s.room <- struct{}{}
	}
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

const patience = 30 * time.Second

// frame returns an ARP-sized frame whose sender's address tells who sent it.
func frame(sender byte, size int) []byte {
	f := make([]byte, size)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, sender, 0x88, 0xb5})
	return f
}

var lineForm = regexp.MustCompile(`^#(\d+) \d+\.\d{6} e0 [<>] \d+ \S+ experimental len=\d+( captured=\d+/\d+)?( !dropped\(\S+\))?$`)
var gapForm = regexp.MustCompile(`^\.\.\. (\d+) packets? not shown$`)

// account checks that the text consists of whole lines, that the numbers rise, and that each gap is as long as it
// says. It returns the frames shown and the frames said to be missing.
func account(t *testing.T, text string) (shown, missing uint64) {
	t.Helper()
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.Errorf("text ends without a newline: %q", text[max(0, len(text)-80):])
	}
	var last uint64
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := gapForm.FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 64)
			last += n
			missing += n
			continue
		}
		m := lineForm.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %q", line)
		}
		n, _ := strconv.ParseUint(m[1], 10, 64)
		if n != last+1 {
			t.Fatalf("number %d after %d", n, last)
		}
		last = n
		shown++
	}
	return shown, missing
}

func TestLinesInOrder(t *testing.T) {
	s := newSink()
	q := New(Config{Interface: "e0", Write: s.Write})
	for i := range 100 {
		dir := packet.Direction(i % 2)
		show(q, dir, 60, frame(byte(i), 60), 0, "")
	}
	show(q, packet.Receive, 60, frame(1, 60), 0, "ring-full")
	if n := q.Close(patience); n != 0 {
		t.Errorf("Close: %d not shown", n)
	}
	text := s.String()
	if shown, missing := account(t, text); shown != 101 || missing != 0 {
		t.Errorf("shown %d, missing %d", shown, missing)
	}
	for i, line := range strings.Split(text, "\n")[:100] {
		if want := fmt.Sprintf("02:00:00:00:00:%02x>", i); !strings.Contains(line, want) {
			t.Errorf("line %d: %q, want %q in it", i, line, want)
		}
		if want := " " + "<>"[i%2:i%2+1] + " 60 "; !strings.Contains(line, want) {
			t.Errorf("line %d: %q, want %q in it", i, line, want)
		}
	}
	if !strings.HasSuffix(text, " !dropped(ring-full)\n") {
		t.Errorf("last line: %q", text[len(text)-80:])
	}
}

// TestShutSink fills the ring while the sink takes nothing: the ring's frames are shown, the rest is said to be missing
// behind them.
func TestShutSink(t *testing.T) {
	s := newSink()
	s.shut = true
	q := New(Config{Interface: "e0", Write: s.Write, Room: s.room, Records: 8, Bytes: 4096})
	show(q, packet.Receive, 60, frame(0, 60), 0, "")
	<-s.asked // the goroutine holds the text of frame 1
	for range 28 {
		show(q, packet.Receive, 60, frame(0, 60), 0, "")
	}
	s.setShut(false)
	if n := q.Close(patience); n != 0 {
		t.Errorf("Close: %d not shown", n)
	}
	text := s.String()
	if shown, missing := account(t, text); shown != 9 || missing != 20 {
		t.Errorf("shown %d, missing %d", shown, missing)
	}
	if !strings.HasSuffix(text, "\n... 20 packets not shown\n") {
		t.Errorf("text ends with %q", text[len(text)-60:])
	}
}

// TestGapInPlace loses frames between frames that are shown.
func TestGapInPlace(t *testing.T) {
	s := newSink()
	s.shut = true
	q := New(Config{Interface: "e0", Write: s.Write, Room: s.room, Records: 2, Bytes: 200})
	one := func() { show(q, packet.Receive, 60, frame(0, 60), 0, "") }
	one()
	<-s.asked
	for range 5 { // 2 and 3 fit, 4 to 6 don't
		one()
	}
	q.release() // as if the goroutine had taken 2
	one()       // 7
	s.setShut(false)
	q.Close(patience)
	lines := strings.Split(s.String(), "\n")
	for i, want := range []string{"#1 ", "#3 ", "... 3 packets not shown", "#7 "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of %q, want %q", i, lines, want)
		}
	}
}

// TestDeafSink: a sink that takes nothing ends the run late by the timeout only, and Close says what it missed.
func TestDeafSink(t *testing.T) {
	s := newSink()
	s.shut = true
	q := New(Config{Interface: "e0", Write: s.Write, Records: 8, Bytes: 4096})
	for range 50 {
		show(q, packet.Transmit, 60, frame(0, 60), 0, "")
	}
	if n := q.Close(time.Millisecond); n != 50 {
		t.Errorf("Close: %d not shown, want 50", n)
	}
	show(q, packet.Transmit, 60, frame(0, 60), 0, "")
	if n := q.Close(time.Millisecond); n != 51 {
		t.Errorf("Close again: %d not shown, want 51", n)
	}
}

// TestConcurrent taps from many goroutines into a sink that is slow in bursts, and accounts for every frame.
func TestConcurrent(t *testing.T) {
	const senders, each = 8, 3000
	s := newSink()
	slow := 0
	write := func(text []byte) bool {
		if slow++; slow%4 != 0 {
			return false
		}
		return s.Write(text)
	}
	q := New(Config{Interface: "e0", Write: write, Records: 64, Bytes: 8 << 10, SnapLen: 512})
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				size := 14 + (n*37+i)%1500
				show(q, packet.Direction(i&1), size, frame(byte(i), size), 0, "")
			}
		})
	}
	wg.Wait()
	notShown := q.Close(patience)
	shown, missing := account(t, s.String())
	if total := shown + missing + notShown; total != senders*each || notShown != 0 {
		t.Errorf("shown %d + missing %d + not shown %d = %d, want %d", shown, missing, notShown, total, senders*each)
	}
}

// TestReserve places frames of all sizes against a plain model: no two frames that wait share a byte.
func TestReserve(t *testing.T) {
	q := &Queue{records: make([]record, 7), data: make([]byte, 64)}
	type span struct{ off, end int }
	var held []span
	seed := uint32(1)
	random := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>16) % n
	}
	for range 20000 {
		if random(2) == 0 && len(held) > 0 {
			held = held[1:]
			q.release()
			continue
		}
		n := random(70)
		off, ok := q.reserveLocked(n)
		if !ok {
			if len(held) == 0 && n <= len(q.data) {
				t.Fatalf("%d bytes refused by an empty ring", n)
			}
			continue
		}
		end := off + n
		if end > len(q.data) {
			t.Fatalf("[%d,%d) is beyond %d", off, end, len(q.data))
		}
		for _, h := range held {
			if off < h.end && h.off < end {
				t.Fatalf("[%d,%d) overlaps [%d,%d)", off, end, h.off, h.end)
			}
		}
		q.records[(q.oldest+q.count)%len(q.records)] = record{off: off, size: n}
		q.count++
		held = append(held, span{off, end})
	}
}

// TestFullFrame: the largest frames with a VLAN tag are kept whole, so that their checksums can be judged.
func TestFullFrame(t *testing.T) {
	s := newSink()
	q := New(Config{Interface: "e0", Write: s.Write, Mode: packet.Full})
	show(q, packet.Receive, 1522, frame(1, 1522), 0, "")
	show(q, packet.Receive, 9000, frame(1, 9000), 0, "")
	q.Close(patience)
	text := s.String()
	if strings.Contains(text, "captured=1522") || !strings.Contains(text, "captured=2048/9000") {
		t.Errorf("text: %.400s", text)
	}
}

func TestTapDoesNotAllocate(t *testing.T) {
	q := New(Config{Interface: "e0", Write: func([]byte) bool { return true }})
	defer q.Close(patience)
	f := frame(1, 60)
	if n := testing.AllocsPerRun(1000, func() { show(q, packet.Receive, 60, f, 0, "") }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkTap(b *testing.B) {
	q := New(Config{Interface: "e0", Write: func([]byte) bool { return true }})
	defer q.Close(patience)
	f := frame(1, 1514)
	b.ReportAllocs()
	for b.Loop() {
		show(q, packet.Receive, len(f), f, 0, "")
	}
}

// TestVsockPackets: they are numbered with the frames of the card, and are of another interface.
func TestVsockPackets(t *testing.T) {
	s := newSink()
	q := New(Config{Interface: "e0", Sockets: "v0", Write: s.Write})
	show(q, packet.Receive, 60, frame(1, 60), 0, "")
	h := vsock.Header{From: vsock.Addr{CID: 3, Port: 1024}, To: vsock.Addr{CID: 2, Port: 80}, Type: packet.VsockStream, Op: packet.VsockRequest}
	b := h.Append(nil)
	tap(q, packet.Frame{Link: packet.LinkVsock, Direction: packet.Transmit, WireLen: len(b), Data: b})
	if n := q.Close(patience); n != 0 {
		t.Errorf("Close: %d not shown", n)
	}
	lines := strings.Split(s.String(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "#1 ") || !strings.Contains(lines[0], " e0 < 60 ") ||
		!strings.HasPrefix(lines[1], "#2 ") || !strings.HasSuffix(lines[1], " v0 > 44 vsock guest(3):1024>host(2):80 stream REQUEST buf_alloc=0 fwd_cnt=0") {
		t.Errorf("%q", lines)
	}
}
