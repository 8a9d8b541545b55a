package record

import (
	"bytes"
	"sync"
	"testing"

	"wick/kernel/ground/regs"
)

func TestCallsOfAThread(t *testing.T) {
	th := Add(1, 7, regs.New())
	defer th.Remove()
	if _, ok := th.Recent(0); ok {
		t.Error("a thread that has made no call has a last one")
	}
	for n := range uint64(KeptCalls + 3) {
		th.Begin(n)
		if th.Inside != 1 {
			t.Errorf("call %d: inside %d", n, th.Inside)
		}
		th.End(100 + n)
	}
	if th.Inside != 0 {
		t.Error("the last call has ended, and the thread is inside")
	}
	last := uint64(KeptCalls + 2)
	before := uint64(0)
	for n := range uint64(KeptCalls) {
		c, ok := th.Recent(n)
		if !ok || c.Number != last-n || c.Result != 100+last-n {
			t.Errorf("%d calls ago: %+v, %v", n, c, ok)
		}
		if n > 0 && c.Sequence >= before {
			t.Errorf("%d calls ago: sequence %d, the next one's is %d", n, c.Sequence, before)
		}
		before = c.Sequence
	}
	if _, ok := th.Recent(KeptCalls); ok {
		t.Error("more calls than are kept")
	}
}

// TestThreadsHaveTheirPlaces: threads with ids that collide are all found, and the places of those that have left are used again.
func TestThreadsHaveTheirPlaces(t *testing.T) {
	var all []*Thread
	for i := range MaxThreads + 1 {
		all = append(all, Add(1, 5+i/2*MaxThreads, nil))
	}
	found := map[*Thread]bool{}
	for i := range Threads {
		if th := Threads[i].Load(); th != nil {
			found[th] = true
		}
	}
	for i, th := range all[:MaxThreads] {
		if !found[th] {
			t.Fatalf("thread %d of %d is not on record", i, MaxThreads)
		}
	}
	for _, th := range all {
		th.Remove()
		th.Remove()
	}
	for i := range Threads {
		if Threads[i].Load() != nil {
			t.Fatalf("place %d is taken, and all have left", i)
		}
	}
}

func TestLastPackets(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 2*SnapLen)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for range 3 * KeptPackets {
				AddPacket(int64(g), g&1 == 1, g&2 == 2, len(long), long)
			}
		})
	}
	all.Wait()
	AddPacket(5, true, false, 60, []byte{1, 2, 3})
	p := &Packets[(12*KeptPackets+1)%KeptPackets]
	if p.Number != 12*KeptPackets+1 || p.TimeNS != 5 || p.Sent != 1 || p.Dropped != 0 || p.WireSize != 60 || p.Size != 3 || !bytes.Equal(p.Data[:3], []byte{1, 2, 3}) {
		t.Errorf("the last packet is on record as %+v", p)
	}
	p = &Packets[0]
	if p.Size != SnapLen || p.WireSize != 2*SnapLen || p.Sent != uint64(p.TimeNS&1) || p.Dropped != uint64(p.TimeNS>>1) {
		t.Errorf("a long packet is on record as %+v", p)
	}
}

func BenchmarkCall(b *testing.B) {
	th := Add(1, 7, nil)
	defer th.Remove()
	for b.Loop() {
		th.Begin(1)
		th.End(0)
	}
}

func BenchmarkPacket(b *testing.B) {
	frame := make([]byte, 1514)
	for b.Loop() {
		AddPacket(1, true, false, len(frame), frame)
	}
}

// TestCallsOfSeveralThreadsAreInOrder: threads that make calls in turn, one or several at a time, have them on record in the order
// in which they were made.
func TestCallsOfSeveralThreadsAreInOrder(t *testing.T) {
	threads := [3]*Thread{Add(1, 7, nil), Add(1, 8, nil), Add(1, 9, nil)}
	last := uint64(0)
	for n := range 200 {
		th := threads[n*n/7%len(threads)]
		for range n % 20 {
			th.Begin(1)
			th.End(0)
			c, ok := th.Recent(0)
			if !ok || c.Sequence <= last {
				t.Fatalf("the call after number %d is number %d", last, c.Sequence)
			}
			last = c.Sequence
		}
	}
	for _, th := range threads {
		th.Remove()
	}
	if Made() < last {
		t.Errorf("%d calls have been made, and there is number %d", Made(), last)
	}
}
