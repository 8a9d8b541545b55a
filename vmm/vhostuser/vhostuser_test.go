package vhostuser_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/vmm/vhostuser"
	"wick/vmm/vhostuser/vhosttest"
)

// upper is a device that writes what it reads in capitals, as far as there is room.
type upper struct {
	backend *vhostuser.Backend
	leave   chan struct{}           // if not nil, chains stay in the queue until it is closed
	learn   chan struct{}           // if not nil, Stopped takes until it is closed
	slept   func(index, chains int) // if not nil, called when a queue has gone to sleep after so many chains
	stopped chan error

	mu   sync.Mutex
	read []int // guarded by mu: pieces of each chain
}

func (u *upper) Features() uint64 { return 1 }
func (u *upper) Config() []byte   { return []byte("configuration") }
func (u *upper) Queues() int      { return 2 }
func (u *upper) Stopped(err error) {
	if err != nil {
		u.stopped <- err
		if u.learn != nil {
			<-u.learn
		}
	}
}

func (u *upper) Kick(q *vhostuser.Queue) {
	chains := 0
	q.Each(func(c *vhostuser.Chain) (int, bool, error) {
		if u.leave != nil {
			select {
			case <-u.leave:
			default:
				return 0, false, nil
			}
		}
		chains++
		u.mu.Lock()
		u.read = append(u.read, len(c.Read))
		u.mu.Unlock()
		text := bytes.ToUpper(bytes.Join(c.Read, nil))
		n := 0
		for _, piece := range c.Write {
			n += copy(piece, text[n:])
		}
		if string(text) == "ERROR" {
			return 0, false, vhostuser.ErrRing
		}
		return n, true, nil
	})
	if u.slept != nil {
		u.slept(q.Index, chains)
	}
}

// world is the device with a front-end.
type world struct {
	*vhosttest.FrontEnd
	device *upper
	ended  chan error // what Serve returned
}

func newWorld(t testing.TB, change ...func(*upper)) *world {
	t.Helper()
	ours, theirs := vhosttest.Pair(t)
	w := &world{FrontEnd: vhosttest.New(t, theirs, 2, 16), device: &upper{stopped: make(chan error, 10)}, ended: make(chan error, 1)}
	w.device.backend = vhostuser.New(ours, w.device)
	for _, change := range change {
		change(w.device)
	}
	done := make(chan struct{})
	go func() {
		w.ended <- w.device.backend.Serve()
		close(done)
	}()
	t.Cleanup(func() {
		theirs.Close()
		<-done
	})
	w.Handshake()
	return w
}

const basic = vhosttest.Version1 | vhosttest.Protocol

// offer gives the device a buffer with text and one to write to, as descriptors 0 and 1.
func (w *world) offer(q *vhosttest.Queue, text string) {
	copy(w.Memory[q.Buffer(0):], text)
	q.Desc(0, q.Buffer(0), uint32(len(text)), vhosttest.Next, 1)
	q.Desc(1, q.Buffer(1), 100, vhosttest.Write, 0)
	q.Offer(0)
}

// want takes the answer.
func (w *world) want(q *vhosttest.Queue, text string) {
	w.T.Helper()
	head, n := q.Await()
	if got := string(w.Memory[q.Buffer(1):][:n]); head != 0 || got != text {
		w.T.Fatalf("chain %d, %q; want %q", head, got, text)
	}
}

func TestNegotiation(t *testing.T) {
	w := newWorld(t)
	if f := binary.NativeEndian.Uint64(w.Ask(vhosttest.GetFeatures, nil)); f != 1|1<<28|1<<29|1<<30|1<<32 {
		t.Errorf("features %#x", f)
	}
	if f := binary.NativeEndian.Uint64(w.Ask(vhosttest.GetProtocolFeatures, nil)); f != 1|1<<3|1<<9 {
		t.Errorf("protocol features %#x", f)
	}
	if n := binary.NativeEndian.Uint64(w.Ask(vhosttest.GetQueueNum, nil)); n != 2 {
		t.Errorf("%d queues", n)
	}
	ask := binary.NativeEndian.AppendUint32(nil, 6) // offset
	ask = binary.NativeEndian.AppendUint32(ask, 3)  // size
	ask = append(ask, 0, 0, 0, 0, 0, 0, 0)
	if b := w.Ask(vhosttest.GetConfig, ask); string(b[12:]) != "ura" {
		t.Errorf("% x", b)
	}
	ask[4] = 100
	if b := w.Ask(vhosttest.GetConfig, ask); len(b) != 0 {
		t.Errorf("configuration that is not there: % x", b)
	}
}

func TestChains(t *testing.T) {
	for name, features := range map[string]uint64{"plain": 0, "event-idx": vhosttest.EventIdx} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Start(basic | features)
			for range 3 { // of the ring
				for _, q := range w.Queues {
					for range q.Size {
						w.offer(q, "hello")
						w.want(q, "HELLO")
					}
				}
			}
			w.Stop()
			w.Start(basic | features)
			w.offer(w.Queues[1], "again")
			w.want(w.Queues[1], "AGAIN")
		})
	}
}

// The device answers requests that ask for it.
func TestReplyAck(t *testing.T) {
	w := newWorld(t)
	if err := w.TrySend(vhosttest.SetFeatures, 1|8, vhosttest.U64(basic)); err != nil {
		t.Fatal(err)
	}
	if b, err := w.Answer(vhosttest.SetFeatures); err != nil || binary.NativeEndian.Uint64(b) != 0 {
		t.Errorf("% x, %v", b, err)
	}
	if err := w.TrySend(vhosttest.SetMemTable, 1|8, w.Table(), w.File, w.File); err != nil {
		t.Fatal(err)
	}
	if b, err := w.Answer(vhosttest.SetMemTable); err != nil || binary.NativeEndian.Uint64(b) != 0 {
		t.Errorf("% x, %v", b, err)
	}
	w.TrySend(vhosttest.SetVringNum, 1|8, vhosttest.State(0, 3))
	if b, err := w.Answer(vhosttest.SetVringNum); err != nil || binary.NativeEndian.Uint64(b) == 0 {
		t.Errorf("a ring of 3: % x, %v", b, err)
	}
}

// A guest that misses that it should notify isn't forgotten. Its second chain comes when the queue has gone to sleep after the
// first, and before it looks again.
func TestLostNotification(t *testing.T) {
	started, offered := make(chan struct{}), make(chan *vhosttest.Queue)
	start := sync.OnceFunc(func() { close(started) })
	again := sync.OnceFunc(func() { (<-offered).OfferQuietly(2) })
	w := newWorld(t, func(u *upper) {
		u.slept = func(index, chains int) {
			if index == 0 && chains == 0 {
				start()
			} else if index == 0 {
				again()
			}
		}
	})
	q := w.Queues[0]
	w.Start(basic | vhosttest.EventIdx)
	<-started // and no other notification is on its way
	copy(w.Memory[q.Buffer(2):], "again")
	q.Desc(2, q.Buffer(2), 5, vhosttest.Next, 3)
	q.Desc(3, q.Buffer(3), 100, vhosttest.Write, 0)
	w.offer(q, "hello")
	offered <- q
	w.want(q, "HELLO")
	if head, n := q.Await(); head != 2 || string(w.Memory[q.Buffer(3):][:n]) != "AGAIN" {
		t.Errorf("chain %d with %d bytes", head, n)
	}
}

// A buffer of the guest may lie in two regions.
func TestBufferAcrossRegions(t *testing.T) {
	w := newWorld(t)
	w.Start(basic)
	q := w.Queues[0]
	copy(w.Memory[vhosttest.LowSize-3:], "across")
	q.Desc(0, vhosttest.LowSize-3, 6, vhosttest.Next, 1)
	q.Desc(1, q.Buffer(1), 100, vhosttest.Write, 0)
	q.Offer(0)
	w.want(q, "ACROSS")
	w.device.mu.Lock()
	defer w.device.mu.Unlock()
	if w.device.read[0] != 2 {
		t.Errorf("%d pieces", w.device.read[0])
	}
}

func TestIndirect(t *testing.T) {
	w := newWorld(t)
	w.Start(basic | vhosttest.Indirect)
	q := w.Queues[0]
	table := w.Memory[q.Buffer(5):]
	copy(w.Memory[q.Buffer(0):], "hello")
	vhosttest.PutDesc(table, q.Buffer(0), 2, vhosttest.Next, 2)
	vhosttest.PutDesc(table[16:], q.Buffer(1), 100, vhosttest.Write, 0)
	vhosttest.PutDesc(table[32:], q.Buffer(0)+2, 3, vhosttest.Next, 1)
	q.Desc(0, q.Buffer(5), 48, vhosttest.Table, 0)
	q.Offer(0)
	w.want(q, "HELLO")
}

// What the guest says of interrupts is heeded.
func TestNoInterrupt(t *testing.T) {
	w := newWorld(t)
	w.Start(basic)
	q := w.Queues[1]
	for _, no := range []bool{true, false, true} {
		q.NoInterrupt(no)
		w.offer(q, "hello")
		for _, _, ok := q.Used(); !ok; _, _, ok = q.Used() {
		}
		w.Send(vhosttest.SetVringEnable, vhosttest.State(1, 1)) // waits for the queue
		w.Ask(vhosttest.GetFeatures, nil)
		if got := q.Pending(); got == no {
			t.Errorf("interrupted: %v, unwanted: %v", got, no)
		}
	}
}

// The eventfd for interrupts may be replaced at any time.
func TestCallReplaced(t *testing.T) {
	w := newWorld(t)
	w.Start(basic)
	q := w.Queues[0]
	for range 5 {
		q.Call.Close()
		q.Call = vhosttest.EventFD(t)
		w.Send(vhosttest.SetVringCall, vhosttest.U64(0), q.Call)
		w.Ask(vhosttest.GetFeatures, nil) // after which it has been taken
		w.offer(q, "hello")
		w.want(q, "HELLO")
	}
}

// A chain that the device has left is the first when Wake makes it look again.
func TestLeftChain(t *testing.T) {
	leave := make(chan struct{})
	w := newWorld(t, func(u *upper) { u.leave = leave })
	w.Start(basic)
	w.offer(w.Queues[0], "hello")
	w.Ask(vhosttest.GetFeatures, nil)
	close(leave)
	w.device.backend.Queue(0).Wake()
	w.want(w.Queues[0], "HELLO")
}

// TestBrokenRings: whatever a driver does to a ring stops the device, with the reason, and nothing else; a reset makes a
// new start.
func TestBrokenRings(t *testing.T) {
	for _, c := range []struct {
		name, want string
		do         func(w *world, q *vhosttest.Queue)
	}{
		{"index too far", "its index went to 17 from 0, and there are 16 entries", func(w *world, q *vhosttest.Queue) {
			q.SetIndex(17)
			q.Notify()
		}},
		{"index backwards", "its index went to 65535 from 0, and there are 16 entries", func(w *world, q *vhosttest.Queue) {
			q.SetIndex(0xffff)
			q.Notify()
		}},
		{"head out of range", "descriptor 16 of 16", func(w *world, q *vhosttest.Queue) { q.Offer(16) }},
		{"next out of range", "descriptor 999 of 16", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, q.Buffer(0), 1, vhosttest.Next, 999)
			q.Offer(0)
		}},
		{"a loop", "a chain of more than 16 descriptors", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, q.Buffer(0), 1, vhosttest.Next, 1)
			q.Desc(1, q.Buffer(0), 1, vhosttest.Next, 0)
			q.Offer(0)
		}},
		{"outside memory", "1 bytes at 0x1000000 are not memory", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, vhosttest.MemorySize, 1, 0, 0)
			q.Offer(0)
		}},
		{"at the end of all addresses", "4096 bytes at 0xffffffffffffff00 are not memory", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, 1<<64-256, 4096, 0, 0)
			q.Offer(0)
		}},
		{"over the end of memory", "4294967295 bytes at 0x100000 are not memory", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, vhosttest.LowSize, 1<<32-1, vhosttest.Write, 0)
			q.Offer(0)
		}},
		{"wrong order", "a buffer to read behind one to write", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, q.Buffer(0), 1, vhosttest.Write|vhosttest.Next, 1)
			q.Desc(1, q.Buffer(0), 1, 0, 0)
			q.Offer(0)
		}},
		{"a table of no descriptor", "an indirect table of 15 bytes in a ring of 16", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, q.Buffer(0), 15, vhosttest.Table, 0)
			q.Offer(0)
		}},
		{"a table too long", "an indirect table of 272 bytes in a ring of 16", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, q.Buffer(0), 17*16, vhosttest.Table, 0)
			q.Offer(0)
		}},
		{"a table outside memory", "16 bytes at 0x10000000 are not memory", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, 1<<28, 16, vhosttest.Table, 0)
			q.Offer(0)
		}},
		{"a descriptor behind a table", "a descriptor behind an indirect table", func(w *world, q *vhosttest.Queue) {
			q.Desc(0, q.Buffer(0), 16, vhosttest.Table|vhosttest.Next, 1)
			q.Offer(0)
		}},
		{"a table in a table", "an indirect table in an indirect table", func(w *world, q *vhosttest.Queue) {
			vhosttest.PutDesc(w.Memory[q.Buffer(0):], q.Buffer(0), 16, vhosttest.Table, 0)
			q.Desc(0, q.Buffer(0), 16, vhosttest.Table, 0)
			q.Offer(0)
		}},
		{"a loop in a table", "a chain of more than 1 descriptors", func(w *world, q *vhosttest.Queue) {
			vhosttest.PutDesc(w.Memory[q.Buffer(0):], q.Buffer(1), 16, vhosttest.Next, 0)
			q.Desc(0, q.Buffer(0), 16, vhosttest.Table, 0)
			q.Offer(0)
		}},
		{"what the device does not like", "", func(w *world, q *vhosttest.Queue) { w.offer(q, "error") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.Start(basic | vhosttest.Indirect)
			c.do(w, w.Queues[1])
			select {
			case err := <-w.device.stopped:
				if !errors.Is(err, vhostuser.ErrRing) || !strings.HasPrefix(err.Error(), "queue 1: ") || !strings.HasSuffix(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it goes on")
			}
			w.offer(w.Queues[0], "is anybody there?")
			w.Stop()
			if _, _, ok := w.Queues[0].Used(); ok {
				t.Error("another queue goes on")
			}
			w.Start(basic)
			w.offer(w.Queues[1], "hello")
			w.want(w.Queues[1], "HELLO")
		})
	}
}

// TestResetMendsABrokenRing: whenever it comes, what was wrong before has no part in what follows.
func TestResetMendsABrokenRing(t *testing.T) {
	const rounds = 200
	w := newWorld(t, func(u *upper) { u.stopped = make(chan error, rounds) }) // nobody asks
	for range rounds {
		w.Start(basic)
		w.offer(w.Queues[1], "hello")
		w.want(w.Queues[1], "HELLO")
		w.Queues[1].Offer(16)
		w.Stop()
	}
}

// TestDeviceLearnsOfABrokenRingBeforeTheReset: not later, when it would be about the rings of a guest that has begun anew.
func TestDeviceLearnsOfABrokenRingBeforeTheReset(t *testing.T) {
	w := newWorld(t, func(u *upper) { u.learn = make(chan struct{}) })
	w.Start(basic)
	w.offer(w.Queues[1], "error")
	<-w.device.stopped
	w.Send(vhosttest.GetVringBase, vhosttest.State(0, 0))
	w.Conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	answer, err := w.Answer(vhosttest.GetVringBase)
	close(w.device.learn)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the reset is over before the device knows why: % x, %v", answer, err)
	}
	w.Conn.SetReadDeadline(time.Time{})
	if _, err := w.Answer(vhosttest.GetVringBase); err != nil {
		t.Error(err)
	}
}

// A front-end that shortens the guest's memory loses its device; the process goes on.
func TestMemoryGoesAway(t *testing.T) {
	w := newWorld(t)
	w.Start(basic)
	w.offer(w.Queues[0], "hello")
	w.want(w.Queues[0], "HELLO")
	if err := w.File.Truncate(0); err != nil {
		t.Fatal(err)
	}
	w.Queues[0].Kick.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	select {
	case err := <-w.device.stopped:
		if !errors.Is(err, vhostuser.ErrProtocol) || !strings.HasSuffix(err.Error(), " has gone") {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}

// TestBadFrontEnd: what a front-end must not say ends the connection with the reason.
func TestBadFrontEnd(t *testing.T) {
	table := func(w *world, i int, v uint64) []byte {
		b := w.Table()
		binary.NativeEndian.PutUint64(b[8+8*i:], v)
		return b
	}
	ring := func(q *vhosttest.Queue, i int, v uint64) []byte {
		b := q.Addr()
		binary.NativeEndian.PutUint64(b[8+8*i:], v)
		return b
	}
	for _, c := range []struct {
		name, want string
		do         func(w *world)
	}{
		{"another version", "request 1 of version 2 with 0 bytes", func(w *world) { w.TrySend(1, 2, nil) }},
		{"too long", "request 2 of version 1 with 513 bytes", func(w *world) { w.TrySend(2, 1, make([]byte, 513)) }},
		{"unknown", "request 99", func(w *world) { w.Send(99, nil) }},
		{"short", "request 2 with 7 bytes, want 8", func(w *world) { w.Send(2, make([]byte, 7)) }},
		{"features that were not offered", "features 0x2", func(w *world) { w.Send(2, vhosttest.U64(2)) }},
		{"protocol features that were not offered", "protocol features 0x2", func(w *world) { w.Send(16, vhosttest.U64(2)) }},
		{"no such queue", "queue 2 of 2", func(w *world) { w.Send(8, vhosttest.State(2, 16)) }},
		{"no such queue to stop", "queue 7 of 2", func(w *world) { w.Send(11, vhosttest.State(7, 0)) }},
		{"no such queue to kick", "queue 2 of 2", func(w *world) { w.Send(12, vhosttest.U64(2), w.Queues[0].Kick) }},
		{"a ring of 0", "a ring of 0 entries", func(w *world) { w.Send(8, vhosttest.State(0, 0)) }},
		{"a ring of 65536", "a ring of 65536 entries", func(w *world) { w.Send(8, vhosttest.State(0, 65536)) }},
		{"no eventfd", "queue 1 is to be polled", func(w *world) { w.Send(12, vhosttest.U64(1|1<<8)) }},
		{"two eventfds", "request 12 with 2 descriptors, want 1", func(w *world) { w.Send(12, vhosttest.U64(1), w.File, w.File) }},
		{"a short configuration request", "request 24 with 5 bytes, want 12", func(w *world) { w.Send(24, make([]byte, 5)) }},
		{"regions without descriptors", "a memory table of 2 regions with 1 descriptors in 72 bytes", func(w *world) { w.Send(5, w.Table(), w.File) }},
		{"regions without end", "a memory table of 4294967295 regions with 1 descriptors in 8 bytes", func(w *world) {
			w.Send(5, vhosttest.U64(1<<32-1), w.File)
		}},
		{"a file too short", "it ends at 0x1800000 of a file of 0x1000000 bytes", func(w *world) { w.Send(5, table(w, 7, 9<<20), w.File, w.File) }},
		{"a region of nothing", "out of range", func(w *world) { w.Send(5, table(w, 1, 0), w.File, w.File) }},
		{"a region over the end of all addresses", "out of range", func(w *world) { w.Send(5, table(w, 4, 1<<64-1), w.File, w.File) }},
		{"a region of everything", "out of range", func(w *world) { w.Send(5, table(w, 1, 1<<64-1), w.File, w.File) }},
		{"a ring elsewhere", "available ring at 0x1000, 38 bytes, is not memory", func(w *world) {
			w.Start(basic)
			w.Send(vhosttest.SetVringEnable, vhosttest.State(0, 0))
			w.Send(vhosttest.SetVringAddr, ring(w.Queues[0], 2, 0x1000))
			w.Send(vhosttest.SetVringEnable, vhosttest.State(0, 1))
		}},
		{"a crooked ring", "which is not aligned to 4", func(w *world) {
			w.Start(basic)
			w.Send(vhosttest.SetVringEnable, vhosttest.State(0, 0))
			w.Send(vhosttest.SetVringAddr, ring(w.Queues[0], 1, vhosttest.UserBase+2))
			w.Send(vhosttest.SetVringEnable, vhosttest.State(0, 1))
		}},
		{"a ring at the end", "is not memory", func(w *world) {
			w.Start(basic)
			w.Send(vhosttest.SetVringEnable, vhosttest.State(0, 0))
			w.Send(vhosttest.SetVringAddr, ring(w.Queues[0], 0, vhosttest.UserBase+vhosttest.LowSize-16))
			w.Send(vhosttest.SetVringEnable, vhosttest.State(0, 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.do(w)
			if err := <-w.ended; !errors.Is(err, vhostuser.ErrProtocol) || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestFrontEndGoesWithoutTheAnswer: one that is ended while it waits for an answer has gone as any other.
func TestFrontEndGoesWithoutTheAnswer(t *testing.T) {
	ours, theirs := vhosttest.Pair(t)
	f := vhosttest.New(t, theirs, 2, 16)
	f.Send(vhosttest.GetFeatures, nil)
	theirs.Close()
	if err := vhostuser.New(ours, &upper{stopped: make(chan error, 1)}).Serve(); err != nil {
		t.Errorf("got %v", err)
	}
}

// Nothing is left when a front-end goes: no descriptor, no mapping.
func TestNothingIsLeft(t *testing.T) {
	count := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) + bytes.Count(maps, []byte("memfd:"))
	}
	before := 0
	for i := range 5 {
		t.Run("", func(t *testing.T) {
			w := newWorld(t)
			w.Start(basic)
			w.Start(basic) // all is replaced
			w.offer(w.Queues[0], "hello")
			w.want(w.Queues[0], "HELLO")
		})
		if i == 0 {
			before = count()
		}
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors and mappings, %d before", after, before)
	}
}

// FuzzRings has a driver write anything into a ring's descriptors and entries.
func FuzzRings(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 1, 0}, uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, index uint16) {
		w := newWorld(t)
		w.Start(basic | vhosttest.Indirect)
		q := w.Queues[0]
		copy(w.Memory[q.Rings():], data)
		q.SetIndex(index)
		q.Kick.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
		w.Ask(vhosttest.GetVringBase, vhosttest.State(0, 0)) // it is alive
	})
}

// FuzzMessages has a front-end say anything.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{5, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		fds := unix.UnixRights(1)
		w.Conn.WriteMsgUnix(data, fds, nil)
		w.Conn.CloseWrite()
		<-w.ended
	})
}
