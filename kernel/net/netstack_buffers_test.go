package net

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// tightOptions are those of a stack whose memory is tight while the flag is set.
func tightOptions() (o Options, tight *atomic.Bool) {
	tight = new(atomic.Bool)
	return Options{Tight: tight.Load, BufferMemory: 32 << 10}, tight
}

// newTight makes a world whose memory is tight while the flag is set, and a connection in it.
func newTight(t *testing.T) (w *ours, tight *atomic.Bool, a, b int) {
	o, tight := tightOptions()
	w = newOursWith(t, o)
	a, b = w.connected(t, unix.AF_INET, unix.SOCK_STREAM)
	return w, tight, a, b
}

// held fills a connection from a to b, which doesn't read, and returns how many bytes it holds.
func (w *ours) held(t *testing.T, a, b int) (n int) {
	t.Helper()
	data := make([]byte, 8<<10)
	for {
		k, err := w.sendmsg(a, data, nil, nil, unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			n += k
		case err != unix.EAGAIN:
			t.Fatal(err)
		case w.poll(a, unix.POLLOUT, 100)&unix.POLLOUT == 0:
			return n
		}
	}
}

// drain reads n bytes.
func (w *ours) drain(t *testing.T, fd, n int) {
	t.Helper()
	for n > 0 {
		b, err := w.read(fd, min(n, 4<<10))
		if err != nil || len(b) == 0 {
			t.Fatalf("%d bytes are missing: %v", n, err)
		}
		n -= len(b)
	}
}

func room(t *testing.T, w *ours, fd int) int {
	t.Helper()
	return must[int](t)(w.fds[fd].Socket.(*streamSocket).stream().option(optRcvRoom))
}

func TestConnectionsHoldLessWhileMemoryIsTight(t *testing.T) {
	w, tight, a, b := newTight(t)
	before := w.held(t, a, b)
	if before < defaultBuffer {
		t.Errorf("%d bytes while there is memory", before)
	}
	w.drain(t, b, before)
	tight.Store(true)
	for range 20 { // what is bounded are the new bytes
		w.drain(t, b, w.held(t, a, b))
	}
	if n := w.held(t, a, b); n > 4*leastBuffer {
		t.Errorf("%d bytes while memory is tight", n)
	} else {
		w.drain(t, b, n)
	}
	if n := room(t, w, b); n != leastBuffer {
		t.Errorf("the receive buffer has %d bytes while memory is tight", n)
	}
	if n := getInt(t, w, b, unix.SOL_SOCKET, unix.SO_RCVBUF); n < defaultBuffer {
		t.Errorf("SO_RCVBUF is %d while memory is tight", n)
	}
	tight.Store(false)
	for deadline := time.Now().Add(10 * time.Second); room(t, w, b) < defaultBuffer; {
		if time.Now().After(deadline) {
			t.Fatalf("the receive buffer has only %d bytes when there is memory again", room(t, w, b))
		}
		w.drain(t, b, w.held(t, a, b))
	}
	if n := w.held(t, a, b); n < defaultBuffer {
		t.Errorf("%d bytes when there is memory again", n)
	}
}

// A connection of many begins with what the initial window needs, and has more when it needs more.
func TestManyConnectionsBeginWithLittle(t *testing.T) {
	w, _, a, b := newTight(t)
	if n := room(t, w, b); n != initialBuffer {
		t.Errorf("the receive buffer has %d bytes", n)
	}
	if n := getInt(t, w, b, unix.SOL_SOCKET, unix.SO_RCVBUF); n < defaultBuffer {
		t.Errorf("SO_RCVBUF is %d", n)
	}
	for deadline := time.Now().Add(10 * time.Second); room(t, w, b) < defaultBuffer; {
		if time.Now().After(deadline) {
			t.Fatalf("the receive buffer has only %d bytes after much has come", room(t, w, b))
		}
		w.drain(t, b, w.held(t, a, b))
	}
}

// One of few connections begins as on Linux.
func TestFewConnectionsBeginWithTheUsualBuffer(t *testing.T) {
	for name, o := range map[string]Options{"no bound": {}, "room for all": {Tight: func() bool { return true }, BufferMemory: 4 << 20}} {
		t.Run(name, func(t *testing.T) {
			s := must[*Stack](t)(New(o))
			w := &ours{t: t, s: s}
			defer s.Close()
			a, b := w.connected(t, unix.AF_INET, unix.SOCK_STREAM)
			defer w.close(a)
			defer w.close(b)
			if n := room(t, w, b); n != defaultBuffer {
				t.Errorf("the receive buffer has %d bytes", n)
			}
		})
	}
}

func TestBuffersThatProgramsSetStayWhileMemoryIsTight(t *testing.T) {
	w, tight, a, b := newTight(t)
	const size = 100_000
	check(t, w.setopt(b, unix.SOL_SOCKET, unix.SO_RCVBUF, binary.NativeEndian.AppendUint32(nil, size)))
	check(t, w.setopt(a, unix.SOL_SOCKET, unix.SO_SNDBUF, binary.NativeEndian.AppendUint32(nil, size)))
	tight.Store(true)
	for range 5 {
		w.drain(t, b, w.held(t, a, b))
	}
	for fd, name := range map[int]int{b: unix.SO_RCVBUF, a: unix.SO_SNDBUF} {
		if n := getInt(t, w, fd, unix.SOL_SOCKET, name); n != 2*size {
			t.Errorf("option %d is %d, want %d", name, n, 2*size)
		}
	}
	if n := w.held(t, a, b); n < size {
		t.Errorf("%d bytes", n)
	}
}

// TestWindowIsNeverTakenBack: memory becomes tight and isn't, again and again, and still there is room for all that has been
// asked for, and no acknowledgement takes back what an earlier one has promised.
func TestWindowIsNeverTakenBack(t *testing.T) {
	o, tight := tightOptions()
	a, b, _, lb := testStacks(t, o)
	l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 7), 1)
	lb.mu.Lock()
	lb.keep = true
	lb.mu.Unlock()
	c := must[*oursFD](t)(dial(a, unix.AF_INET, sa4("192.0.2.2", 7)))
	defer c.Close()
	d := must[Socket](t)(acceptOne(l))
	defer d.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := sendAll(c, 4<<20, 1)
		c.Shutdown(unix.SHUT_WR)
		sent <- err
	}()
	buf := make([]byte, 5000)
	for i := 0; ; i++ {
		if i%50 == 0 {
			tight.Store(!tight.Load())
			time.Sleep(time.Millisecond) // so that the window fills
		}
		var n int64
		check(t, block(d, waiter.ReadableEvents, 0, func() (err error) {
			dst := vfs.Bytes(buf)
			n, err = d.Read(&dst, 0)
			return err
		}))
		if n == 0 {
			break
		}
	}
	check(t, <-sent)
	if n := b.s.engine.(*netstack).stack.Stats().DroppedPackets.Value(); n != 0 {
		t.Errorf("%d segments found no room", n)
	}
	checkWindowEdges(t, lb.frames())
}

// checkWindowEdges checks that the end of the window moves forward only, but for what its scale can't express.
func checkWindowEdges(t *testing.T, frames [][]byte) {
	t.Helper()
	scale, acks := 0, 0
	var edge, last seqnum.Value
	for _, f := range frames {
		if header.Ethernet(f).Type() != header.IPv4ProtocolNumber {
			continue
		}
		ip := header.IPv4(f[header.EthernetMinimumSize:])
		if ip.TransportProtocol() != header.TCPProtocolNumber {
			continue
		}
		tcp := header.TCP(ip[ip.HeaderLength():ip.TotalLength()])
		if tcp.Flags().Contains(header.TCPFlagSyn) {
			scale = header.ParseSynOptions(tcp.Options(), true).WS
			last = seqnum.Value(tcp.AckNumber())
			edge = last.Add(seqnum.Size(tcp.WindowSize()))
			continue
		}
		ack := seqnum.Value(tcp.AckNumber())
		if ack.LessThan(last) {
			continue // overtaken on its way to the card
		}
		last = ack
		end := ack.Add(seqnum.Size(tcp.WindowSize()) << scale)
		if rounded := seqnum.Size(1)<<scale - 1; end.Add(rounded).LessThan(edge) {
			t.Fatalf("the window ends at %d after %d", end, edge)
		}
		if edge.LessThan(end) {
			edge = end
		}
		acks++
	}
	if acks < 100 {
		t.Errorf("only %d acknowledgements", acks)
	}
}

// getInt reads an option that is a number.
func getInt(t *testing.T, w *ours, fd, level, name int) int {
	t.Helper()
	return int(binary.NativeEndian.Uint32(must[[]byte](t)(w.getopt(fd, level, name, 4))))
}
