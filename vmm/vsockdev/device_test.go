package vsockdev

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"wick/packet"
	"wick/vmm/vhostuser"
	"wick/vmm/vhostuser/vhosttest"
	"wick/vsock"
)

const cid = 7

// world is a device with a guest that does not behave.
type world struct {
	*vhosttest.FrontEnd
	*Device
	logged chan error

	mu    sync.Mutex
	conns []*vsock.Conn // guarded by mu: accepted; nobody reads from them
}

func newWorld(t testing.TB, accept bool) *world {
	t.Helper()
	ours, theirs := vhosttest.Pair(t)
	w := &world{FrontEnd: vhosttest.New(t, theirs, 2, 16), logged: make(chan error, 1)}
	w.Device = New(ours, Config{CID: cid, Request: func(c *vsock.Conn) { w.request(c, accept) }, Log: func(err error) { w.logged <- err }})
	done := make(chan struct{})
	go func() {
		w.Device.Serve()
		close(done)
	}()
	t.Cleanup(func() {
		theirs.Close()
		<-done
	})
	w.Handshake()
	w.Start(vhosttest.Version1 | vhosttest.Protocol)
	return w
}

func (w *world) request(c *vsock.Conn, accept bool) {
	if !accept {
		c.Refuse(vsock.DropNoListener)
		return
	}
	if c.Accept() == nil {
		w.mu.Lock()
		w.conns = append(w.conns, c)
		w.mu.Unlock()
	}
}

// say sends a packet and waits until the device has taken it. The whole of it is size bytes.
func (w *world) say(h vsock.Header, size int) {
	w.T.Helper()
	w.offer(h, size)
	w.FrontEnd.Queues[1].Await()
}

func (w *world) offer(h vsock.Header, size int) {
	q := w.FrontEnd.Queues[1]
	h.From.CID, h.To.CID, h.Type = cid, vsock.Host, packet.VsockStream
	h.Append(w.Memory[q.Buffer(0):][:0])
	q.Desc(0, q.Buffer(0), uint32(size), 0, 0)
	q.Offer(0)
}

// take gives the device a buffer and returns the packet that comes.
func (w *world) take(size uint32) vsock.Header {
	w.T.Helper()
	q := w.FrontEnd.Queues[0]
	q.Desc(0, q.Buffer(0), size, vhosttest.Write, 0)
	q.Offer(0)
	_, n := q.Await()
	h, err := vsock.ParseHeader(w.Memory[q.Buffer(0):][:n])
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

// sync waits until the device has nothing to do.
func (w *world) sync() {
	for _, q := range w.FrontEnd.Queues {
		w.Send(vhosttest.SetVringEnable, vhosttest.State(q.Index, 1))
	}
	w.Ask(vhosttest.GetFeatures, nil)
}

func request(port uint32) vsock.Header {
	return vsock.Header{From: vsock.Addr{Port: port}, To: vsock.Addr{Port: 1}, Op: packet.VsockRequest, BufAlloc: 1 << 30}
}

func TestNoPackets(t *testing.T) {
	w := newWorld(t, true)
	w.say(request(1), vsock.HeaderSize-1)
	w.say(request(1), 0)
	if n := w.Malformed(); n != 2 {
		t.Errorf("%d malformed", n)
	}
	w.say(request(1), vsock.HeaderSize)
	if h := w.take(4096); h.Op != packet.VsockResponse {
		t.Errorf("%+v", h)
	}
}

// A header may come in any pieces.
func TestHeaderInPieces(t *testing.T) {
	w := newWorld(t, true)
	q := w.FrontEnd.Queues[1]
	h := request(1)
	h.From.CID, h.To.CID, h.Type = cid, vsock.Host, packet.VsockStream
	h.Append(w.Memory[q.Buffer(0):][:0])
	for i := range uint16(11) {
		q.Desc(i, q.Buffer(0)+4*uint64(i), 4, vhosttest.Next, i+1)
	}
	q.Desc(10, q.Buffer(0)+40, 4, 0, 0)
	q.Offer(0)
	if h := w.take(4096); h.Op != packet.VsockResponse {
		t.Errorf("%+v", h)
	}
}

// A buffer in which no packet fits stops the device, as everything else that breaks a ring.
func TestBufferTooSmall(t *testing.T) {
	w := newWorld(t, true)
	w.say(request(1), vsock.HeaderSize)
	q := w.FrontEnd.Queues[0]
	q.Desc(0, q.Buffer(0), vsock.HeaderSize, vhosttest.Write, 0)
	q.Offer(0)
	if err := <-w.logged; !errors.Is(err, vhostuser.ErrRing) || !strings.HasSuffix(err.Error(), "no room for a packet: 44 bytes") {
		t.Errorf("%v", err)
	}
	for _, c := range w.conns {
		if err := c.Err(); err != vsock.ErrTransport {
			t.Errorf("a connection: %v", err)
		}
	}
}

// A guest that asks and asks and takes no answer is not heard any more, until it takes some.
func TestAnswersAreNotTaken(t *testing.T) {
	w := newWorld(t, false)
	q := w.FrontEnd.Queues[1]
	taken := 0
	for w.Congested() == false {
		w.say(request(uint32(taken)), vsock.HeaderSize)
		taken++
	}
	if taken > 300 {
		t.Errorf("%d answers wait", taken)
	}
	w.offer(request(9999), vsock.HeaderSize)
	w.sync()
	if _, _, ok := q.Used(); ok {
		t.Error("it goes on")
	}
	for i := range taken {
		if h := w.take(100); h.Op != packet.VsockReset || h.To.Port != uint32(i) {
			t.Fatalf("answer %d: %+v", i, h)
		}
	}
	q.Await()
	if h := w.take(100); h.Op != packet.VsockReset || h.To.Port != 9999 {
		t.Errorf("%+v", h)
	}
}

// TestMemoryIsBounded: a guest that opens all connections there are, fills their buffers, and tells of endless buffers of
// its own, costs the host what the package says and no more.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t, true)
	before := heap()
	for port := range uint32(DefaultConns + 100) {
		w.say(request(port), vsock.HeaderSize)
		w.take(4096)
		for sent := 0; sent < BufAlloc; sent += 32 << 10 {
			h := request(port)
			h.Op, h.Len = packet.VsockRW, 32<<10
			w.say(h, vsock.HeaderSize+32<<10)
		}
		if port >= DefaultConns {
			w.take(4096) // RST for the data of connections that there are not
			w.take(4096)
		}
	}
	if len(w.conns) != DefaultConns {
		t.Fatalf("%d connections", len(w.conns))
	}
	for _, c := range w.conns { // a program of the host that writes as much as it is let
		for {
			if _, err := c.Write(make([]byte, 16<<10)); err != nil {
				break
			}
		}
	}
	const most = DefaultConns * (BufAlloc + 64<<10)
	if used := heap() - before; used > most+most/8 {
		t.Errorf("%d MiB, expected at most %d", used>>20, most>>20)
	} else {
		t.Logf("%d MiB of %d", used>>20, most>>20)
	}
	w.Stop()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
	if left := heap() - before; left > 8<<20 {
		t.Errorf("%d MiB are left after a reset", left>>20)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // empties pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Connections opened and given up again and again leave nothing.
func TestChurn(t *testing.T) {
	w := newWorld(t, true)
	for i := range uint32(2000) {
		w.say(request(i), vsock.HeaderSize)
		if h := w.take(4096); h.Op != packet.VsockResponse {
			t.Fatalf("%+v", h)
		}
		h := request(i)
		h.Op = packet.VsockReset
		w.say(h, vsock.HeaderSize)
	}
	if n := w.Len(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// FuzzGuest has a guest send anything, while a program of the host reads and writes what it can.
func FuzzGuest(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 5, 1, 0, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1<<10 {
			return
		}
		w := newWorld(t, true)
		q := w.FrontEnd.Queues[0]
		for i := range q.Size {
			q.Desc(i, q.Buffer(i), 100+uint32(i), vhosttest.Write, 0)
			q.Offer(i)
		}
		for len(script) >= 4 {
			h := request(uint32(script[1] & 3))
			h.Op, h.Len, h.Flags = int(script[0]&15), uint32(script[2]), uint32(script[3]&3)
			h.FwdCnt, h.BufAlloc = uint32(script[3]>>4), uint32(script[2])<<4
			w.offer(h, int(script[3]))
			script = script[4:]
			if _, _, ok := q.Used(); ok {
				q.Offer(0)
			}
			w.mu.Lock()
			for _, c := range w.conns {
				c.Read(make([]byte, 64))
				c.Write([]byte("hello"))
			}
			w.mu.Unlock()
			select {
			case <-w.logged: // a head that is offered twice, and so on
				return
			default:
			}
		}
		w.sync()
	})
}

// A guest that takes no packets does not hold up the host's calls.
func TestNobodyTakes(t *testing.T) {
	w := newWorld(t, true)
	done := make(chan error, 1)
	c, err := w.Connect(vsock.Addr{CID: vsock.Host, Port: 1}, vsock.Addr{CID: cid, Port: 2}, 50*time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Notify(func() {
		if err := c.Err(); err != vsock.ErrNotYet {
			select {
			case done <- err:
			default: // it was told before: when Notify sets the hook, and when the time is over
			}
		}
	})
	if err := <-done; err != vsock.ErrTimeout {
		t.Error(err)
	}
}
