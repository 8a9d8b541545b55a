package tap

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wick/packet"
	"wick/packet/pcap"
	"wick/packet/pcapng"
	"wick/vsock"
)

func received(sender byte) packet.Frame {
	return packet.Frame{Direction: packet.Receive, WireLen: 60, Data: frame(sender, 60)}
}

func sent(sender byte) packet.Frame {
	return packet.Frame{Direction: packet.Transmit, WireLen: 60, Data: frame(sender, 60)}
}

// vsockFrame is a request of the guest's.
func vsockFrame() packet.Frame {
	h := vsock.Header{From: vsock.Addr{CID: 3, Port: 1024}, To: vsock.Addr{CID: 2, Port: 80}, Type: packet.VsockStream, Op: packet.VsockRequest}
	b := h.Append(nil)
	return packet.Frame{Link: packet.LinkVsock, Direction: packet.Transmit, WireLen: len(b), Data: b}
}

// TestReceivedFramesWait: nothing is written of a received frame, nor of what is sent meanwhile, until the stack has said what
// becomes of it; then the order is that of the wire.
func TestReceivedFramesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newSink(), newSink()
		text := New(Config{Interface: "e0", Write: s.Write})
		capture := New(Config{Interface: "e0", Format: Capture, Write: c.Write})
		card := NewWatch(text, capture).Card()
		card.Tap(sent(1))
		card.Tap(received(2))
		card.Tap(sent(3)) // the answer
		synctest.Wait()
		if got := s.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "#1 ") {
			t.Errorf("before the verdict: %q", got)
		}
		if n := card.Settle("udp-no-port"); n != 2 {
			t.Errorf("number %d", n)
		}
		synctest.Wait()
		lines := strings.Split(s.String(), "\n")
		if len(lines) != 4 || !strings.HasSuffix(lines[1], " !dropped(udp-no-port)") || strings.Contains(lines[2], "dropped") {
			t.Errorf("after it: %q", lines)
		}
		card.Tap(received(4))
		card.Settle("")
		driver := received(5)
		driver.Drop = "rx-runt" // nobody is asked
		card.Tap(driver)
		card.Tap(received(6)) // the driver has been stopped in the middle
		if a, b := text.Close(patience), capture.Close(patience); a != 0 || b != 0 {
			t.Error(a, b)
		}
		if shown, missing := account(t, s.String()); shown != 6 || missing != 0 {
			t.Errorf("shown %d, missing %d", shown, missing)
		}
		packets, _ := readCapture(t, c.String())
		var comments []string
		for i, p := range packets {
			comments = append(comments, strings.Join(p.Comments, ";"))
			if p.ID != pcapng.Known(uint64(i+1)) {
				t.Errorf("packet %d is called %v", i+1, p.ID)
			}
		}
		if want := []string{"", "dropped: udp-no-port", "", "", "dropped: rx-runt", ""}; !slices.Equal(comments, want) {
			t.Errorf("%q, want %q", comments, want)
		}
		card.Settle("x") // too late, and for nobody
		card.Dropped(1, "x")
	})
}

// TestLateDrops: what is dropped after others have come is told of in its place, and at the end if nothing follows.
func TestLateDrops(t *testing.T) {
	s, c := newSink(), newSink()
	text := New(Config{Interface: "e0", Write: s.Write})
	capture := New(Config{Interface: "e0", Format: Capture, Write: c.Write})
	card := NewWatch(text, capture).Card()
	card.Tap(received(1))
	first := card.Settle("")
	card.Tap(received(2))
	second := card.Settle("")
	card.Dropped(first, "ip-not-reassembled")
	card.Tap(sent(3))
	card.Dropped(second, "tcp-listen-queue-full")
	if a, b := text.Close(patience), capture.Close(patience); a != 0 || b != 0 {
		t.Error(a, b)
	}
	lines := strings.Split(s.String(), "\n")
	if len(lines) != 6 || lines[2] != "... #1 !dropped(ip-not-reassembled)" || lines[4] != "... #2 !dropped(tcp-listen-queue-full)" {
		t.Errorf("%q", lines)
	}
	packets, d := readCapture(t, c.String())
	if len(packets) != 3 || !slices.Equal(packets[2].Comments, []string{"packet 1 was dropped: ip-not-reassembled"}) ||
		!slices.Equal(d.Interfaces()[0].Statistics.Comments, []string{"packet 2 was dropped: tcp-listen-queue-full"}) {
		t.Errorf("%+v %+v", packets, d.Interfaces()[0].Statistics)
	}
}

// TestNoRoomForVerdicts: what finds no room is counted, a frame as a frame and a verdict as a verdict.
func TestNoRoomForVerdicts(t *testing.T) {
	s, c := newSink(), newSink()
	s.shut, c.shut = true, true
	text := New(Config{Interface: "e0", Write: s.Write, Room: s.room, Records: 2})
	capture := New(Config{Interface: "e0", Format: Capture, Write: c.Write, Room: c.room, Records: 2})
	card := NewWatch(text, capture).Card()
	card.Tap(sent(1))
	<-s.asked // the goroutine holds the line
	<-c.asked // and this one what stands at the beginning, at least
	for range 5 {
		card.Tap(received(2))
		card.Settle("udp-no-port")
	}
	for n := range uint64(3) {
		card.Dropped(n+1, "ip-not-reassembled")
	}
	s.setShut(false)
	c.setShut(false)
	if a, b := text.Close(patience), capture.Close(patience); a != 0 || b != 0 {
		t.Error(a, b)
	}
	if got := s.String(); !strings.HasSuffix(got, "\n... 3 packets not shown\n... 3 drops not shown\n") {
		t.Errorf("%q", got)
	}
	packets, d := readCapture(t, c.String())
	st := d.Interfaces()[0].Statistics
	if uint64(len(packets))+st.OSDropped.N != 6 || st.Received.N != 6 || len(st.Comments) != 1 || !strings.HasSuffix(st.Comments[0], " drops are not told of") {
		t.Errorf("%d packets, %+v", len(packets), st)
	}
}

// TestCaptureOfSockets: packets of the vsock device are of a second interface, with the header that captures have, and with
// counts of their own.
func TestCaptureOfSockets(t *testing.T) {
	c := newSink()
	capture := New(Config{Interface: "e0", Sockets: "v0", Format: Capture, Write: c.Write, Room: c.room, Records: 4})
	w := NewWatch(capture)
	card, sockets := w.Card(), w.Sockets()
	for c.String() == "" { // what stands at the beginning
		time.Sleep(time.Millisecond)
	}
	c.setShut(true)
	sockets.Tap(vsockFrame())
	<-c.asked // the goroutine holds the frame
	f := vsockFrame()
	f.Direction = packet.Receive
	sockets.Tap(f)
	card.Tap(received(1)) // one is held of each
	card.Settle("")
	sockets.Settle("vsock-no-listener")
	broken := vsockFrame()
	broken.Data = broken.Data[:10]
	sockets.Tap(broken)
	card.Tap(sent(2))
	for range 3 { // no room
		sockets.Tap(vsockFrame())
	}
	card.Tap(sent(2))
	c.setShut(false)
	if n := capture.Close(patience); n != 0 {
		t.Error(n)
	}
	packets, d := readCapture(t, c.String())
	interfaces := d.Interfaces()
	if len(interfaces) != 2 || interfaces[1].Name != "v0" || interfaces[1].Link != pcap.LinkVsock || interfaces[1].SnapLen != interfaces[0].SnapLen+packet.VsockMonSize {
		t.Fatalf("%+v", interfaces)
	}
	for i, want := range []pcapng.Statistics{
		{Received: pcapng.Known(3), OSDropped: pcapng.Known(1)}, {Received: pcapng.Known(6), OSDropped: pcapng.Known(3)},
	} {
		if st := interfaces[i].Statistics; st.Received != want.Received || st.OSDropped != want.OSDropped || st.Start.IsZero() || st.Stop.IsZero() {
			t.Errorf("%s: %+v", interfaces[i].Name, st)
		}
	}
	if len(packets) != 5 {
		t.Fatalf("%d packets", len(packets))
	}
	p := packets[0]
	const connect, virtio = 1, 2
	if p.Interface != interfaces[1] || p.WireLen != 76 || p.Flags != pcapng.FlagOutbound || !bytes.Equal(p.Data[packet.VsockMonSize:], vsockFrame().Data) {
		t.Errorf("%+v", p)
	}
	if h, f := packet.ParseVsockMon(p.Data); f.Bad() || h.SourceCID() != 3 || h.DestinationCID() != 2 || h.SourcePort() != 1024 || h.DestinationPort() != 80 ||
		h.Op() != connect || h.Transport() != virtio || h.HeaderLen() != packet.VsockSize {
		t.Errorf("% x", h)
	}
	if p := packets[1]; !slices.Equal(p.Comments, []string{"dropped: vsock-no-listener"}) || p.Interface != interfaces[1] {
		t.Errorf("%+v", p)
	}
	if p := packets[2]; p.Interface != interfaces[0] || p.ID != pcapng.Known(3) {
		t.Errorf("%+v", p)
	}
	if p := packets[3]; p.WireLen != 76 || len(p.Data) != packet.VsockMonSize+10 {
		t.Errorf("%+v", p)
	}
}

// TestCaptureWithoutCard: the vsock device is the only interface of a machine that has no card.
func TestCaptureWithoutCard(t *testing.T) {
	c := newSink()
	capture := New(Config{Sockets: "v0", Format: Capture, Write: c.Write})
	NewWatch(capture).Sockets().Tap(vsockFrame())
	if n := capture.Close(patience); n != 0 {
		t.Error(n)
	}
	packets, d := readCapture(t, c.String())
	if i := d.Interfaces(); len(i) != 1 || i[0].Name != "v0" || len(packets) != 1 || packets[0].Interface != i[0] || i[0].Statistics.Received != pcapng.Known(1) {
		t.Errorf("%+v %+v", i, packets)
	}
}

// TestWatchDoesNotAllocate: neither does the path of frames that somebody looks at.
func TestWatchDoesNotAllocate(t *testing.T) {
	q := New(Config{Interface: "e0", Write: func([]byte) bool { return true }})
	defer q.Close(patience)
	card := NewWatch(q).Card()
	f := received(1)
	if n := testing.AllocsPerRun(1000, func() { card.Tap(f); card.Settle("udp-no-port") }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestManyAtOnce: frames from several goroutines, one of which receives, are all accounted for.
func TestManyAtOnce(t *testing.T) {
	const each = 3000
	s := newSink()
	q := New(Config{Interface: "e0", Sockets: "e0", Write: s.Write, Records: 64, Bytes: 8 << 10})
	w := NewWatch(q)
	done := make(chan struct{})
	for range 2 {
		side := w.Card()
		go func() {
			defer func() { done <- struct{}{} }()
			for range each {
				side.Tap(sent(1))
			}
		}()
	}
	go func() {
		defer func() { done <- struct{}{} }()
		side := w.Card()
		for i := range each {
			side.Tap(received(2))
			side.Settle([]string{"", "udp-no-port"}[i%2])
		}
	}()
	for range 3 {
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("it hangs")
		}
	}
	notShown := q.Close(patience)
	if shown, missing := account(t, s.String()); shown+missing != 3*each || notShown != 0 {
		t.Errorf("shown %d, missing %d, not shown %d of %d", shown, missing, notShown, 3*each)
	}
}
