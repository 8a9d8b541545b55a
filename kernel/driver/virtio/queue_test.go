package virtio

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"wick/kernel/driver/virtio/virtiotest"
)

// TestChains sends chains of all shapes through a queue, which goes round often, and takes them back in any order.
func TestChains(t *testing.T) {
	for name, features := range variants {
		t.Run(name, func(t *testing.T) {
			const size, segments, room = 16, 5, 64
			m := virtiotest.New(1, features, nil, 64)
			q := queue(t, open(t, m), size, segments)
			side := m.Queues[0]
			random := rand.New(rand.NewPCG(1, 2))

			type entry struct {
				segments []Segment
				data     [][]byte
				readable int
				sent     []byte
			}
			entries := make([]entry, size)
			var free []int
			for i := range entries {
				free = append(free, i)
				for range segments {
					s, data := memory(t, m, room)
					entries[i].segments = append(entries[i].segments, s)
					entries[i].data = append(entries[i].data, data)
				}
			}
			var held []virtiotest.Chain
			done := 0
			for step := 0; done < 20_000; step++ {
				for len(free) > 0 && random.IntN(4) > 0 {
					token := free[len(free)-1]
					e := &entries[token]
					n := 1 + random.IntN(segments)
					e.readable = random.IntN(n + 1)
					if !q.Room(n) {
						if err := q.Add(token, e.segments[:e.readable], e.segments[e.readable:n]); err != ErrQueueFull {
							t.Fatalf("no room for %d segments, yet Add returns %v", n, err)
						}
						break
					}
					e.sent = fmt.Appendf(e.sent[:0], "%d %d|", token, step)
					for i := range e.readable {
						copy(e.data[i], e.sent)
					}
					if err := q.Add(token, e.segments[:e.readable], e.segments[e.readable:n]); err != nil {
						t.Fatal(err)
					}
					free = free[:len(free)-1]
					if features&virtiotest.Indirect != 0 && q.free != len(q.chains)-(size-len(free)) {
						t.Fatalf("a chain has taken more than one descriptor of a queue with indirect tables")
					}
				}
				q.Publish()
				for c, ok := side.Pop(); ok; c, ok = side.Pop() {
					held = append(held, c)
				}
				random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
				for len(held) > 0 && random.IntN(4) > 0 {
					c := held[len(held)-1]
					held = held[:len(held)-1]
					written := 0
					if len(c.Writable) > 0 {
						written = c.Write(bytes.Repeat([]byte{byte(step)}, 1+random.IntN(c.Room())))
					}
					for _, r := range c.Readable {
						if !bytes.Contains(r, []byte("|")) {
							t.Fatalf("the device reads %q", r)
						}
					}
					side.Push(c.ID, written)
				}
				side.Signal()
				for {
					u, ok, err := q.Take()
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					e := &entries[u.Token]
					if u.Written > 0 && e.data[e.readable][0] != byte(step) {
						t.Fatalf("chain %d: written at another time", u.Token)
					}
					free = append(free, u.Token)
					done++
				}
			}
		})
	}
}

// full returns a queue of 4 chains that the device has popped, with a segment of 16 bytes each, and the chains.
func full(t *testing.T, m *virtiotest.Device) (*Queue, []virtiotest.Chain) {
	t.Helper()
	q := queue(t, open(t, m), 8, 1)
	var held []virtiotest.Chain
	for i := range 4 {
		s, _ := memory(t, m, 16)
		if err := q.Add(i, nil, []Segment{s}); err != nil {
			t.Fatal(err)
		}
	}
	q.Publish()
	for c, ok := m.Queues[0].Pop(); ok; c, ok = m.Queues[0].Pop() {
		held = append(held, c)
	}
	return q, held
}

// TestDeviceThatLies: whatever the device puts into the used ring, the queue reports it and never uses it.
func TestDeviceThatLies(t *testing.T) {
	for name, c := range map[string]struct {
		lie  func(side *virtiotest.Queue, held []virtiotest.Chain)
		want error
		good int // chains that can be taken before
	}{
		"index ahead by one":      {func(side *virtiotest.Queue, _ []virtiotest.Chain) { side.SkipUsed(5) }, ErrUsedIndex, 0},
		"index far ahead":         {func(side *virtiotest.Queue, _ []virtiotest.Chain) { side.SkipUsed(0x8000) }, ErrUsedIndex, 0},
		"index goes back":         {func(side *virtiotest.Queue, _ []virtiotest.Chain) { side.SkipUsed(-1) }, ErrUsedIndex, 0},
		"id out of range":         {func(side *virtiotest.Queue, _ []virtiotest.Chain) { side.PushRaw(8, 0) }, ErrUsedID, 0},
		"id far out of range":     {func(side *virtiotest.Queue, _ []virtiotest.Chain) { side.PushRaw(0xFFFFFFFF, 0) }, ErrUsedID, 0},
		"id of a free descriptor": {func(side *virtiotest.Queue, _ []virtiotest.Chain) { side.PushRaw(7, 0) }, ErrUsedID, 0},
		"one byte too many":       {func(side *virtiotest.Queue, h []virtiotest.Chain) { side.Push(h[1].ID, 17) }, ErrUsedLength, 0},
		"4 GiB":                   {func(side *virtiotest.Queue, h []virtiotest.Chain) { side.Push(h[1].ID, -1) }, ErrUsedLength, 0},
		"the same chain twice": {func(side *virtiotest.Queue, h []virtiotest.Chain) {
			side.Push(h[2].ID, 16)
			side.Push(h[2].ID, 16)
		}, ErrUsedID, 1},
	} {
		for variant, features := range variants {
			m := virtiotest.New(1, features, nil, 8)
			q, held := full(t, m)
			c.lie(m.Queues[0], held)
			m.Queues[0].Signal()
			for i := range c.good {
				if _, ok, err := q.Take(); !ok || err != nil {
					t.Errorf("%s, %s: chain %d: %v, %v", name, variant, i, ok, err)
				}
			}
			_, ok, err := q.Take()
			var broken *QueueError
			if ok || !errors.Is(err, c.want) || !errors.As(err, &broken) {
				t.Errorf("%s, %s: %v, %v", name, variant, ok, err)
				continue
			}
			// It stays so.
			if _, ok, again := q.Take(); ok || again != err || q.Err() != err || q.Room(1) || q.Publish() || q.Pending() {
				t.Errorf("%s, %s: a broken queue goes on: %v", name, variant, again)
			}
			if again := q.Add(0, []Segment{{}}, nil); again != err {
				t.Errorf("%s, %s: a broken queue takes chains: %v", name, variant, again)
			}
		}
	}
}

// TestDeviceThatScribbles: the driver believes nothing that stands in memory which the device can write, not even what it has put there
// itself.
func TestDeviceThatScribbles(t *testing.T) {
	for name, features := range variants {
		const size, segments = 8, 3
		m := virtiotest.New(1, features, nil, size)
		q := queue(t, open(t, m), size, segments)
		side := m.Queues[0]
		var pieces [size][segments]Segment
		for i := range pieces {
			for j := range segments {
				pieces[i][j], _ = memory(t, m, 16*(j+1))
			}
		}
		for round := range 100 {
			var held []virtiotest.Chain
			added := 0
			for n := 1 + round%segments; added < size && q.Room(n); added++ {
				if err := q.Add(added, pieces[added][:1], pieces[added][1:n]); err != nil {
					t.Fatal(err)
				}
			}
			q.Publish()
			for c, ok := side.Pop(); ok; c, ok = side.Pop() {
				room := 0
				for _, s := range pieces[len(held)][1 : 1+round%segments] {
					room += int(s.Len)
				}
				if len(c.Readable) != 1 || len(c.Writable) != round%segments || c.Room() != room {
					t.Fatalf("%s, round %d: the device sees %d and %d segments, with room for %d bytes", name, round, len(c.Readable), len(c.Writable), c.Room())
				}
				held = append(held, c)
			}
			if len(held) != added {
				t.Fatalf("%s, round %d: the device sees %d chains of %d", name, round, len(held), added)
			}
			side.Scribble()
			for i := range held {
				c := held[len(held)-1-i]
				side.Push(c.ID, c.Room())
			}
			side.Signal()
			for i := range held {
				token := added - 1 - i
				u, ok, err := q.Take()
				if !ok || err != nil || u.Token != token || u.Written != held[token].Room() {
					t.Fatalf("%s, round %d: took %+v, %v, %v", name, round, u, ok, err)
				}
			}
			q.EnableInterrupts()
		}
	}
}

// TestChainUsedBeforeItIsPublished: the device can find a chain in the memory before it is told of it.
func TestChainUsedBeforeItIsPublished(t *testing.T) {
	m := virtiotest.New(1, 0, nil, 8)
	q, _ := full(t, m)
	s, _ := memory(t, m, 16)
	if err := q.Add(4, nil, []Segment{s}); err != nil {
		t.Fatal(err)
	}
	m.Queues[0].PushRaw(4, 0)
	m.Queues[0].Signal()
	if _, ok, err := q.Take(); ok || !errors.Is(err, ErrUsedID) {
		t.Errorf("%v, %v", ok, err)
	}
}

// TestNotifications: the device is notified if it waits, and not while it looks by itself.
func TestNotifications(t *testing.T) {
	for name, features := range variants {
		m := virtiotest.New(1, features, nil, 64)
		q := queue(t, open(t, m), 64, 1)
		side := m.Queues[0]
		s, _ := memory(t, m, 16)
		add := func() bool {
			t.Helper()
			if err := q.Add(0, []Segment{s}, nil); err != nil {
				t.Fatal(err)
			}
			return q.Publish()
		}
		if q.Publish() {
			t.Errorf("%s: notified of nothing", name)
		}
		if !add() {
			t.Errorf("%s: the device wasn't notified of the first chain", name)
		}
		for c, ok := side.Pop(); ok; c, ok = side.Pop() {
			side.Push(c.ID, 0)
		}
		side.Quiet = true
		side.Signal()
		if !add() && features&virtiotest.EventIdx != 0 {
			t.Errorf("%s: the device wasn't notified though it said from where on it waits", name)
		}
		for range 10 {
			if add() {
				t.Errorf("%s: a device that looks by itself was notified", name)
			}
		}
		side.Quiet = false
		for c, ok := side.Pop(); ok; c, ok = side.Pop() {
			side.Push(c.ID, 0)
		}
		side.Signal()
		if !add() {
			t.Errorf("%s: the device waits again and wasn't notified", name)
		}
	}
}

// TestDeviceFallsAsleepWhileTheDriverPublishes, and has not seen the new index: only what the driver loads behind its barrier
// tells it so.
func TestDeviceFallsAsleepWhileTheDriverPublishes(t *testing.T) {
	for name, features := range variants {
		m := virtiotest.New(1, features, nil, 8)
		q := queue(t, open(t, m), 8, 1)
		side := m.Queues[0]
		side.Quiet = true
		side.Signal()
		s, _ := memory(t, m, 16)
		publish := func() bool {
			t.Helper()
			if err := q.Add(0, []Segment{s}, nil); err != nil {
				t.Fatal(err)
			}
			return q.Publish()
		}
		publish()
		if _, ok := side.Pop(); !ok || publish() {
			t.Fatalf("%s: the device is not awake", name)
		}
		if _, ok := side.Pop(); !ok {
			t.Fatalf("%s: the second chain cannot be seen", name)
		}
		m.OnBarrier = func() {
			if n := side.Available(); n != 1 {
				t.Errorf("%s: %d chains can be seen behind the barrier, want 1", name, n)
			}
			side.Sleep()
		}
		if !publish() {
			t.Errorf("%s: the device sleeps and wasn't notified", name)
		}
	}
}

// TestChainUsedWhileInterruptsAreEnabled, for which no interrupt comes: the driver finds it behind its barrier.
func TestChainUsedWhileInterruptsAreEnabled(t *testing.T) {
	for name, features := range variants {
		m := virtiotest.New(1, features, nil, 8)
		q := queue(t, open(t, m), 8, 1)
		s, _ := memory(t, m, 16)
		if err := q.Add(0, []Segment{s}, nil); err != nil {
			t.Fatal(err)
		}
		q.Publish()
		c, ok := m.Queues[0].Pop()
		if !ok {
			t.Fatalf("%s: the device doesn't see the chain", name)
		}
		m.OnBarrier = func() {
			m.Queues[0].Push(c.ID, 0)
			m.Queues[0].Signal()
		}
		if !q.EnableInterrupts() {
			t.Errorf("%s: the chain isn't seen as pending", name)
		}
	}
}

// TestInterruptsOnlyWhenWanted also crosses the wrap-around of the indices.
func TestInterruptsOnlyWhenWanted(t *testing.T) {
	for name, features := range variants {
		m := virtiotest.New(1, features, nil, 8)
		d := open(t, m)
		q := queue(t, d, 8, 1)
		side := m.Queues[0]
		s, _ := memory(t, m, 16)
		m.Unmask()
		use := func() (interrupted bool) {
			t.Helper()
			before := m.Interrupts()
			if err := q.Add(0, []Segment{s}, nil); err != nil {
				t.Fatal(err)
			}
			q.Publish()
			c, ok := side.Pop()
			if !ok {
				t.Fatalf("%s: the device doesn't see the chain", name)
			}
			side.Push(c.ID, 0)
			side.Signal()
			interrupted = m.Interrupts() > before
			if interrupted {
				d.transport.Sources()[0].Acknowledge()
				m.Unmask()
			}
			return interrupted
		}
		take := func() {
			t.Helper()
			if _, ok, err := q.Take(); !ok || err != nil {
				t.Fatalf("%s: %v, %v", name, ok, err)
			}
		}
		for i := range 70_000 {
			if use() && i != 65535 {
				t.Fatalf("%s: chain %d has interrupted", name, i)
			}
			if !q.EnableInterrupts() {
				t.Fatalf("%s: chain %d isn't seen as pending", name, i)
			}
			take()
			if q.EnableInterrupts() {
				t.Fatalf("%s: something is pending behind chain %d", name, i)
			}
			if i%1000 == 0 {
				if !use() {
					t.Fatalf("%s: chain %d hasn't interrupted", name, i)
				}
				take()
			}
			q.DisableInterrupts()
		}
	}
}

func TestQueueSizes(t *testing.T) {
	for _, c := range []struct{ device, driver, want int }{
		{256, 64, 64}, {64, 256, 64}, {100, 256, 64}, {256, 100, 64}, {2, 2, 2}, {32768, 32768, 32768}, {65536, 65536, 32768}, {1, 8, 0}, {0, 8, 0},
	} {
		for _, features := range variants {
			m := virtiotest.New(1, features, nil, c.device)
			q, err := open(t, m).NewQueue(0, QueueConfig{Size: c.driver, Segments: 3})
			switch {
			case c.want == 0 && !errors.Is(err, ErrNoQueue), c.want != 0 && err != nil:
				t.Errorf("%+v: %v", c, err)
			case c.want != 0 && (q.Size() != c.want || q.Segments() != min(3, c.want)):
				t.Errorf("%+v: %d descriptors, %d segments", c, q.Size(), q.Segments())
			}
		}
	}
}

func TestQueueDoesNotAllocate(t *testing.T) {
	m := virtiotest.New(1, virtiotest.Indirect|virtiotest.EventIdx, nil, 8)
	q := queue(t, open(t, m), 8, 2)
	a, _ := memory(t, m, 16)
	b, _ := memory(t, m, 16)
	out := []Segment{a, b}
	if n := testing.AllocsPerRun(100, func() {
		if q.Add(0, out, nil) != nil {
			t.Fatal("full")
		}
		m.Queues[0].PushRaw(uint32(q.order[int(q.added-1)%8]), 0)
		q.Publish()
		m.Queues[0].Signal()
		if _, ok, err := q.Take(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a chain", n)
	}
}
