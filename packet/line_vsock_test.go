package packet

import (
	"encoding/binary"
	"strings"
	"testing"
)

// vsockPacket are the fields of a vsock header that tests vary.
type vsockPacket struct {
	src, dst        uint64
	sport, dport    uint32
	length          int // of the payload if 0
	typ, op         int // stream if 0
	flags, buf, fwd uint32
}

func (v vsockPacket) bytes(payload ...[]byte) []byte {
	body := join(payload...)
	if v.src == 0 && v.dst == 0 {
		v.src, v.dst = 3, 2
	}
	if v.sport == 0 {
		v.sport, v.dport = 1024, 1234
	}
	if v.length == 0 {
		v.length = len(body)
	}
	if v.typ == 0 {
		v.typ = VsockStream
	}
	le := binary.LittleEndian
	b := le.AppendUint64(nil, v.src)
	b = le.AppendUint64(b, v.dst)
	b = le.AppendUint32(b, v.sport)
	b = le.AppendUint32(b, v.dport)
	b = le.AppendUint32(b, uint32(v.length))
	b = le.AppendUint16(b, uint16(v.typ))
	b = le.AppendUint16(b, uint16(v.op))
	for _, n := range []uint32{v.flags, v.buf, v.fwd} {
		b = le.AppendUint32(b, n)
	}
	return append(b, body...)
}

// answer swaps the two ends.
func (v vsockPacket) answer() vsockPacket {
	v.src, v.dst, v.sport, v.dport = 2, 3, 1234, 1024
	return v
}

func vsockLines() []lineTest {
	head := "vsock guest(3):1024>host(2):1234 "
	var tests []lineTest
	add := func(name string, b []byte, want string) { tests = append(tests, lineTest{name, b, want}) }
	stream := func(name string, v vsockPacket, payload []byte, want string) { add(name, v.bytes(payload), head+want) }
	stream("data", vsockPacket{op: VsockRW, buf: 262144}, fill(6), "stream RW len=6 buf_alloc=262144 fwd_cnt=0")
	stream("no data", vsockPacket{op: VsockRW}, nil, "stream RW len=0 buf_alloc=0 fwd_cnt=0")
	stream("request", vsockPacket{op: VsockRequest, buf: 9}, nil, "stream REQUEST buf_alloc=9 fwd_cnt=0")
	stream("response", vsockPacket{op: VsockResponse}, nil, "stream RESPONSE buf_alloc=0 fwd_cnt=0")
	stream("reset", vsockPacket{op: VsockReset}, nil, "stream RST buf_alloc=0 fwd_cnt=0")
	stream("shutdown", vsockPacket{op: VsockShutdown, flags: 3}, nil, "stream SHUTDOWN [rcv,send] buf_alloc=0 fwd_cnt=0")
	stream("half shutdown", vsockPacket{op: VsockShutdown, flags: 2}, nil, "stream SHUTDOWN [send] buf_alloc=0 fwd_cnt=0")
	stream("credit", vsockPacket{op: VsockCreditUpdate, buf: 1, fwd: 4294967295}, nil, "stream CREDIT_UPDATE buf_alloc=1 fwd_cnt=4294967295")
	stream("credit request", vsockPacket{op: VsockCreditRequest}, nil, "stream CREDIT_REQUEST buf_alloc=0 fwd_cnt=0")
	stream("message", vsockPacket{typ: VsockSeqPacket, op: VsockRW, flags: 3}, fill(2), "seqpacket RW [eom,eor] len=2 buf_alloc=0 fwd_cnt=0")
	add("special addresses", vsockPacket{src: 1, dst: 0xffffffff, op: VsockRequest}.bytes(), "vsock local(1):1024>any(4294967295):1234 stream REQUEST buf_alloc=0 fwd_cnt=0")
	add("empty", nil, "vsock !truncated 0<44 byte 0")
	add("short", vsockPacket{}.bytes()[:43], "vsock !truncated 43<44 byte 0")
	stream("length beyond the bytes", vsockPacket{op: VsockRW, length: 10}, fill(6), "stream RW len=10 buf_alloc=0 fwd_cnt=0 !len 10>6 byte 24")
	stream("length less than the bytes", vsockPacket{op: VsockRW, length: 4}, fill(6), "stream RW len=4 buf_alloc=0 fwd_cnt=0 !len 4<6 byte 24")
	stream("length beyond 64 KiB", vsockPacket{op: VsockRW, length: 65537}, fill(6), "stream RW len=65537 buf_alloc=0 fwd_cnt=0 !len 65537>65536 byte 24")
	add("high bits", vsockPacket{src: 1<<32 | 3, dst: 5<<32 | 2, op: VsockRequest}.bytes(),
		"vsock guest(4294967299):1024>guest(21474836482):1234 stream REQUEST buf_alloc=0 fwd_cnt=0 !src_cid-high 0x01 byte 4 !dst_cid-high 0x05 byte 12")
	stream("type", vsockPacket{typ: 3, op: VsockRequest}, nil, "type-3 REQUEST buf_alloc=0 fwd_cnt=0 !type-unknown 3 byte 28")
	stream("op 0", vsockPacket{}, nil, "stream op-0 buf_alloc=0 fwd_cnt=0 !op-unknown 0 byte 30")
	stream("op 8", vsockPacket{op: 8, flags: 9}, nil, "stream op-8 buf_alloc=0 fwd_cnt=0 !op-unknown 8 byte 30")
	stream("control with payload", vsockPacket{op: VsockRequest}, fill(3), "stream REQUEST len=3 buf_alloc=0 fwd_cnt=0 !control-with-payload 3 byte 24")
	stream("flags", vsockPacket{op: VsockRequest, flags: 4}, nil, "stream REQUEST buf_alloc=0 fwd_cnt=0 !flags 0x04 byte 32")
	stream("flags of a stream", vsockPacket{op: VsockRW, flags: 1}, nil, "stream RW len=0 buf_alloc=0 fwd_cnt=0 !flags 0x01 byte 32")
	stream("flags of a shutdown", vsockPacket{op: VsockShutdown, flags: 7}, nil, "stream SHUTDOWN [rcv,send] buf_alloc=0 fwd_cnt=0 !flags 0x04 byte 32")
	stream("shutdown of nothing", vsockPacket{op: VsockShutdown}, nil, "stream SHUTDOWN buf_alloc=0 fwd_cnt=0 !shutdown-of-nothing byte 32")
	return tests
}

func vsockMonLines() []lineTest {
	head := "vsock guest(3):1024>host(2):1234 "
	header := func(op, transport, size int, rest ...[]byte) []byte {
		b := vsockPacket{}.bytes()[:24]
		for _, n := range []int{op, transport, size, 0} {
			b = binary.LittleEndian.AppendUint16(b, uint16(n))
		}
		return join(b, join(rest...))
	}
	mon := func(transport int, rest ...[]byte) []byte { return header(4, transport, 44, rest...) }
	return []lineTest{
		{"monitor", mon(2, vsockPacket{op: VsockRW}.bytes(fill(6))), head + "stream RW len=6 buf_alloc=0 fwd_cnt=0"},
		{"monitor of another transport", mon(1, fill(50)), head + "payload len=6"},
		{"monitor of an unknown transport", mon(9, fill(50)), head + "payload len=6 !transport-unknown 9 byte 26"},
		{"monitor of an unknown op", header(9, 1, 0, fill(5)), head + "op-9 len=5 !op-unknown 9 byte 24"},
		{"monitor with a header that isn't there", header(1, 1, 50, fill(5)), head + "connect len=0 !length 50>5 byte 28"},
		{"short monitor", mon(2)[:30], "vsock !truncated 30<32 byte 0"},
		{"monitor without a packet", mon(2), "vsock !truncated 0<44 byte 32"},
	}
}

func vsockEventLines() []lineTest {
	return []lineTest{
		{"transport reset", []byte{0, 0, 0, 0}, "vsock event TRANSPORT_RESET !transport-reset byte 0"},
		{"unknown event", []byte{5, 0, 0, 0}, "vsock event id=5 !event-unknown 5 byte 0"},
		{"short event", []byte{5, 0}, "vsock event !truncated 2<4 byte 0"},
	}
}

// TestVsockExample has the line of the design, whole.
func TestVsockExample(t *testing.T) {
	b := vsockPacket{op: VsockRW, buf: 262144}.bytes(fill(6))
	f := Frame{Number: 18, Time: 9e6, Interface: "v0", Direction: Transmit, Link: LinkVsock, WireLen: len(b), Data: b}
	want := "#18 0.009000 v0 > 50 vsock guest(3):1024>host(2):1234 stream RW len=6 buf_alloc=262144 fwd_cnt=0\n"
	if got := string(Append(nil, &f, Line)); got != want {
		t.Errorf("\n got %swant %s", got, want)
	}
}

// vsockConversation prints packets with one decoder and returns the faults of each.
func vsockConversation(d *Decoder, packets ...[]byte) []string {
	var faults []string
	for _, b := range packets {
		dir := Transmit
		if b[0] == 2 {
			dir = Receive
		}
		line := string(d.Append(nil, &Frame{Link: LinkVsock, Direction: dir, WireLen: len(b), Data: b}, Line))
		_, fault, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "!")
		faults = append(faults, fault)
	}
	return faults
}

func TestVsockCredit(t *testing.T) {
	guest := func(op int, fwd uint32, n int) []byte { return vsockPacket{op: op, buf: 100, fwd: fwd}.bytes(fill(n)) }
	host := func(op int, fwd uint32, n int) []byte {
		return vsockPacket{op: op, buf: 50, fwd: fwd}.answer().bytes(fill(n))
	}
	checkConversation(t, vsockConversation(NewDecoder(16),
		guest(VsockRequest, 0, 0),
		host(VsockResponse, 0, 0),
		guest(VsockRW, 0, 50),
		guest(VsockRW, 0, 1), // 51 under way, room for 50
		host(VsockCreditUpdate, 51, 0),
		guest(VsockRW, 0, 50),
		host(VsockCreditUpdate, 102, 0), // of 101
		host(VsockRW, 101, 100),
		guest(VsockCreditUpdate, 100, 0),
		guest(VsockReset, 0, 0),
		host(VsockReset, 0, 0),
	), "", "", "", "credit-overrun 51>50 byte 24", "", "", "fwd_cnt 102>101 byte 40", "", "", "", "rst-without-connection byte 30")
}

// TestVsockFromTheMiddle: of connections that were open before the first packet little is known, and nothing is held
// against them.
func TestVsockFromTheMiddle(t *testing.T) {
	guest := func(op int, fwd uint32, n int) []byte { return vsockPacket{op: op, buf: 100, fwd: fwd}.bytes(fill(n)) }
	host := func(op int, fwd uint32, n int) []byte {
		return vsockPacket{op: op, buf: 50, fwd: fwd}.answer().bytes(fill(n))
	}
	checkConversation(t, vsockConversation(NewDecoder(16),
		guest(VsockRW, 4000000000, 70),
		host(VsockRW, 3000000000, 200),
		guest(VsockRW, 7, 70),
		host(VsockReset, 0, 0),
		host(VsockReset, 0, 0),
	), "", "", "", "", "")
}

// TestVsockCreditWraps counts beyond 2³².
func TestVsockCreditWraps(t *testing.T) {
	c := vsockConn{sides: [2]vsockSide{{whole: true, sent: 1<<32 - 10}, {whole: true, heard: true, bufAlloc: 50, fwdCnt: 1<<32 - 20}}}
	rw := func(n int) Vsock { return vsockPacket{op: VsockRW, buf: 9}.bytes(fill(n)) }
	if s := c.packet(0, rw(40), 40); s.overrun != 0 || c.sides[0].sent != 30 {
		t.Errorf("%+v %+v", s, c)
	}
	if s := c.packet(0, rw(1), 1); s.overrun != 51 {
		t.Errorf("%+v", s)
	}
	if s := c.packet(1, vsockPacket{op: VsockCreditUpdate, buf: 50, fwd: 31}.bytes(), 0); s.beyond {
		t.Errorf("%+v", s)
	}
	if s := c.packet(1, vsockPacket{op: VsockCreditUpdate, buf: 50, fwd: 32}.bytes(), 0); !s.beyond || s.sent != 31 {
		t.Errorf("%+v", s)
	}
}

func TestVsockAddresses(t *testing.T) {
	d := NewDecoder(16)
	d.LocalCID = 3
	checkConversation(t, vsockConversation(d,
		vsockPacket{op: VsockRequest}.bytes(),
		vsockPacket{op: VsockResponse}.answer().bytes(),
		vsockPacket{src: 4, dst: 2, op: VsockRequest}.bytes(),
		vsockPacket{src: 2, dst: 9, op: VsockRequest}.bytes(),
	), "", "", "src_cid 4 want 3 byte 0", "dst_cid 9 want 3 byte 8")
}

// TestTransportReset ends all connections: what is said of them later is about new ones.
func TestTransportReset(t *testing.T) {
	d := NewDecoder(16)
	rw := vsockPacket{op: VsockRW}.bytes(fill(10))
	vsockConversation(d, vsockPacket{op: VsockRequest}.bytes(), vsockPacket{op: VsockResponse}.answer().bytes())
	checkConversation(t, vsockConversation(d, rw), "credit-overrun 10>0 byte 24")
	d.Append(nil, &Frame{Link: LinkVsockEvent, WireLen: 4, Data: []byte{0, 0, 0, 0}}, Line)
	checkConversation(t, vsockConversation(d, rw), "")
}

func TestManyVsocks(t *testing.T) {
	d := NewDecoder(16)
	for i := range uint32(3 * maxVsocks) {
		faults := vsockConversation(d, vsockPacket{op: VsockRequest, sport: 1000 + i, dport: 1}.bytes())
		checkConversation(t, faults, "")
	}
	if n := len(d.vsocks.entries); n != maxVsocks {
		t.Errorf("%d entries", n)
	}
	// The first connection has been forgotten: a reset of it proves nothing.
	checkConversation(t, vsockConversation(d, vsockPacket{op: VsockReset, sport: 1000, dport: 1}.bytes()), "")
}
