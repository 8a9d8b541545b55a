package vsock

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"wick/packet"
)

func TestHeader(t *testing.T) {
	h := Header{From: Addr{0x01020304, 0x11121314}, To: Addr{0x21222324, 0x31323334}, Len: 0x41424344,
		Type: 0x5152, Op: 0x6162, Flags: 0x71727374, BufAlloc: 0x81828384, FwdCnt: 0x91929394}
	b := h.Append(nil)
	want := []byte{ // [virtio 5.10.6]
		4, 3, 2, 1, 0, 0, 0, 0, 0x24, 0x23, 0x22, 0x21, 0, 0, 0, 0, 0x14, 0x13, 0x12, 0x11, 0x34, 0x33, 0x32, 0x31,
		0x44, 0x43, 0x42, 0x41, 0x52, 0x51, 0x62, 0x61, 0x74, 0x73, 0x72, 0x71, 0x84, 0x83, 0x82, 0x81, 0x94, 0x93, 0x92, 0x91,
	}
	if !bytes.Equal(b, want) {
		t.Errorf("% x\nwant\n% x", b, want)
	}
	got, err := ParseHeader(append(b, "data"...))
	if got != h || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if v, fault := packet.ParseVsock(b); fault.Bad() || v.Op() != h.Op || v.FwdCnt() != h.FwdCnt {
		t.Error("package packet reads it in another way")
	}
}

func TestNoHeader(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, HeaderSize-1)} {
		if _, err := ParseHeader(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	for _, at := range []int{4, 12} { // the reserved halves of the CIDs
		b := (&Header{}).Append(nil)
		b[at] = 1
		if _, err := ParseHeader(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	var model []byte
	for i := range 20000 {
		switch r.IntN(4) {
		case 0, 1:
			p := make([]byte, r.IntN(3*segmentSize))
			for j := range p {
				p[j] = byte(r.Uint32())
			}
			if len(model) < 20*segmentSize {
				q.push(p)
				model = append(model, p...)
			}
		case 2:
			n := r.IntN(len(model) + 1)
			q.discard(n)
			model = model[n:]
		case 3:
			n := r.IntN(len(model) + 1)
			got := make([]byte, n)
			place := scatter{to: [][]byte{got[:n/3], got[n/3 : n/2], got[n/2:]}}
			q.pop(n, &place)
			if !bytes.Equal(got, model[:n]) {
				t.Fatalf("step %d: pop of %d bytes", i, n)
			}
			model = model[n:]
		}
		offset := r.IntN(len(model) + 10)
		got := make([]byte, r.IntN(len(model)+10))
		n := q.peek(got, offset)
		want := model[min(offset, len(model)):]
		if want = want[:min(len(want), len(got))]; !bytes.Equal(got[:n], want) {
			t.Fatalf("step %d: peek at %d: %d bytes, want %d", i, offset, n, len(want))
		}
		if segs := len(q.list); q.len() != len(model) || segs > (len(model)+segmentSize-1)/segmentSize+1 || segs > 0 && len(model) == 0 {
			t.Fatalf("step %d: %d bytes in %d segments, want %d", i, q.len(), segs, len(model))
		}
	}
}

func TestSendCredit(t *testing.T) {
	const top = 1<<32 - 1
	for _, c := range []struct {
		name             string
		credit           sendCredit
		bufAlloc, fwdCnt uint32
		ok               bool
		free             uint32
	}{
		{"nothing sent", sendCredit{}, 100, 0, true, 100},
		{"some read", sendCredit{100, 0, 80}, 100, 50, true, 70},
		{"all read", sendCredit{100, 0, 80}, 100, 80, true, 100},
		{"more read than sent", sendCredit{100, 0, 80}, 100, 81, false, 20},
		{"much more", sendCredit{100, 0, 80}, 100, 1<<31 - 1, false, 20},
		{"older", sendCredit{100, 50, 80}, 999, 49, true, 70},
		{"the buffer shrinks", sendCredit{100, 0, 80}, 50, 10, true, 0},
		{"to nothing", sendCredit{100, 0, 0}, 0, 0, true, 0},
		{"over the top", sendCredit{100, top - 10, 5}, 100, 3, true, 98},
		{"over the top, too far", sendCredit{100, top - 10, 5}, 100, 6, false, 84},
		{"over the top, older", sendCredit{100, 2, 5}, 100, top, true, 97},
		{"all there is", sendCredit{}, top, 0, true, maxWindow},
	} {
		credit := c.credit
		if ok := credit.update(c.bufAlloc, c.fwdCnt); ok != c.ok || credit.free() != c.free {
			t.Errorf("%s: %v, free %d; want %v, %d", c.name, ok, credit.free(), c.ok, c.free)
		}
	}
}

// Whatever the sizes of buffer, writes and reads are, a sender without credit hears of more when all has been read.
func TestCreditNeverStalls(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		alloc := uint32(1 + r.IntN(300))
		receive := receiveCredit{bufAlloc: alloc}
		var send sendCredit
		tell := func() {
			var h Header
			receive.stamp(&h)
			if !send.update(h.BufAlloc, h.FwdCnt) {
				t.Fatal("the truth is taken for a lie")
			}
		}
		tell()
		for range 50 {
			n := min(send.free(), uint32(r.IntN(400)))
			send.sent += n
			if !receive.accept(n) {
				t.Fatalf("%d bytes within the credit are refused", n)
			}
			if r.IntN(9) == 0 {
				receive.bufAlloc = uint32(1 + r.IntN(300))
				tell()
			}
			receive.fwdCnt += min(receive.received-receive.fwdCnt, uint32(r.IntN(400)))
			if receive.updateDue() {
				tell()
			}
			if receive.received == receive.fwdCnt && send.free() == 0 {
				t.Fatalf("an empty buffer of %d bytes and no credit", receive.bufAlloc)
			}
		}
	}
}
