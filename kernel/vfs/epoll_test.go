package vfs

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// watched is an open eventfd with the epoll that watches it.
type watched struct {
	t     *testing.T
	epoll *Epoll
	event *EventFD
	file  *OpenFile
}

func newWatched(t *testing.T, events uint32) *watched {
	w := &watched{t: t, epoll: newEpoll(new(memory)), event: NewEventFD(0, false)}
	w.file = NewOpenFile(w.event, unix.O_RDWR)
	if err := w.epoll.Add(w.file, 7, EpollEvent{Events: events, Data: 42}); err != nil {
		t.Fatal(err)
	}
	return w
}

// signal adds 1 to the eventfd.
func (w *watched) signal() {
	b := Bytes([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	if _, err := w.event.Write(&b, 0); err != nil {
		w.t.Fatal(err)
	}
}

// take reads the eventfd.
func (w *watched) take() {
	b := Bytes(make([]byte, 8))
	if _, err := w.event.Read(&b, 0); err != nil {
		w.t.Fatal(err)
	}
}

// expect checks what Collect reports: want 0 is nothing.
func (w *watched) expect(want uint32) {
	w.t.Helper()
	var ev [4]EpollEvent
	n, err := w.epoll.Collect(ev[:])
	switch {
	case want == 0 && (n != 0 || err != unix.EAGAIN):
		w.t.Errorf("Collect = %d, %v (%#x); want nothing", n, err, ev[0].Events)
	case want != 0 && (n != 1 || err != nil || ev[0] != EpollEvent{want, 42}):
		w.t.Errorf("Collect = %d, %v (%#x); want %#x", n, err, ev[0].Events, want)
	}
}

func TestEpollLevel(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN)
	w.expect(0)
	w.signal()
	w.expect(unix.EPOLLIN)
	w.expect(unix.EPOLLIN)
	w.take()
	w.expect(0)
	w.signal()
	w.expect(unix.EPOLLIN)
}

func TestEpollEdge(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN|unix.EPOLLET)
	w.expect(0)
	w.signal()
	w.signal()
	w.expect(unix.EPOLLIN) // both edges at once
	w.expect(0)
	w.signal() // another edge, though it was ready all the time
	w.expect(unix.EPOLLIN)
	w.expect(0)
	w.signal()
	w.take() // gone before anyone looked
	w.expect(0)
}

func TestEpollEdgeReportsAllEvents(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
	w.expect(unix.EPOLLOUT)
	w.expect(0)
	w.signal()
	w.expect(unix.EPOLLIN | unix.EPOLLOUT)
	w.expect(0)
}

func TestEpollOneShot(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN|unix.EPOLLONESHOT)
	w.signal()
	w.expect(unix.EPOLLIN)
	w.signal()
	w.expect(0)
	arm := func(events uint32) {
		if err := w.epoll.Modify(w.file, 7, EpollEvent{Events: events, Data: 42}); err != nil {
			t.Fatal(err)
		}
	}
	arm(unix.EPOLLIN | unix.EPOLLONESHOT)
	w.expect(unix.EPOLLIN) // armed anew while ready
	w.expect(0)
	w.take()
	arm(unix.EPOLLIN | unix.EPOLLONESHOT | unix.EPOLLET)
	w.expect(0)
	w.signal()
	w.expect(unix.EPOLLIN)
	w.expect(0)
}

func TestEpollModify(t *testing.T) {
	w := newWatched(t, unix.EPOLLOUT)
	w.expect(unix.EPOLLOUT)
	if err := w.epoll.Modify(w.file, 7, EpollEvent{Events: unix.EPOLLIN, Data: 42}); err != nil {
		t.Fatal(err)
	}
	w.expect(0)
	w.signal()
	w.expect(unix.EPOLLIN)
	if err := w.epoll.Modify(w.file, 7, EpollEvent{Data: 42}); err != nil {
		t.Fatal(err)
	}
	w.expect(0)
}

func TestEpollHangUpUnasked(t *testing.T) {
	r, wr := newPipe(new(memory))
	w := &watched{t: t, epoll: newEpoll(new(memory)), file: NewOpenFile(r, unix.O_RDONLY)}
	if err := w.epoll.Add(w.file, 3, EpollEvent{Data: 42}); err != nil {
		t.Fatal(err)
	}
	w.expect(0)
	b := Bytes("x")
	wr.Write(&b, 0)
	w.expect(0)
	wr.Close()
	w.expect(unix.EPOLLHUP)
	w.expect(unix.EPOLLHUP)
}

func TestEpollErrors(t *testing.T) {
	e := newEpoll(new(memory))
	f := NewOpenFile(NewEventFD(0, false), unix.O_RDWR)
	check := func(what string, got, want error) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	in := EpollEvent{Events: unix.EPOLLIN}
	check("Modify of what isn't there", e.Modify(f, 1, in), unix.ENOENT)
	check("Remove of what isn't there", e.Remove(f, 1), unix.ENOENT)
	check("Add", e.Add(f, 1, in), nil)
	check("Add again", e.Add(f, 1, in), unix.EEXIST)
	check("Add as another number", e.Add(f, 2, in), nil)
	check("Remove", e.Remove(f, 1), nil)
	check("Remove again", e.Remove(f, 1), unix.ENOENT)
	check("Add of a regular file", e.Add(NewOpenFile(&counted{}, 0), 3, in), unix.EPERM)
	check("Add of itself", e.Add(NewOpenFile(e, 0), 3, in), unix.EINVAL)
	ex := EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE}
	check("Modify to exclusive", e.Modify(f, 2, ex), unix.EINVAL)
	check("Add exclusive", e.Add(f, 4, ex), nil)
	check("Modify of exclusive", e.Modify(f, 4, in), unix.EINVAL)
	ex.Events |= unix.EPOLLONESHOT
	check("Add exclusive one-shot", e.Add(f, 5, ex), unix.EINVAL)
}

func TestEpollNested(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN)
	outer := &watched{t: t, epoll: newEpoll(new(memory)), file: NewOpenFile(w.epoll, 0)}
	if err := outer.epoll.Add(outer.file, 3, EpollEvent{Events: unix.EPOLLIN, Data: 42}); err != nil {
		t.Fatal(err)
	}
	outer.expect(0)
	w.signal()
	outer.expect(unix.EPOLLIN)
	outer.expect(unix.EPOLLIN)
	w.expect(unix.EPOLLIN) // looking from outside took nothing away
	w.take()
	outer.expect(0)
	w.expect(0)
}

func TestEpollNestedEdge(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN)
	outer := &watched{t: t, epoll: newEpoll(new(memory)), file: NewOpenFile(w.epoll, 0)}
	outer.epoll.Add(outer.file, 3, EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Data: 42})
	w.signal()
	outer.expect(unix.EPOLLIN)
	outer.expect(0)
	w.signal()
	outer.expect(unix.EPOLLIN)
}

// TestEpollPathsAreBounded: epolls that all watch all below them can't be so many that a change is told without end.
func TestEpollPathsAreBounded(t *testing.T) {
	const width = 16
	var below []*OpenFile
	bottom := newWatched(t, unix.EPOLLIN)
	refused := 0
	for level := range maxEpollDepth {
		var here []*OpenFile
		for range width {
			e := newEpoll(new(memory))
			here = append(here, NewOpenFile(e, 0))
			if level == 0 {
				e.Add(bottom.file, 0, EpollEvent{Events: unix.EPOLLIN})
			}
			for fd, o := range below {
				switch err := e.Add(o, fd, EpollEvent{Events: unix.EPOLLIN}); err {
				case nil:
				case unix.EINVAL:
					refused++
				default:
					t.Fatal(err)
				}
			}
		}
		below = here
	}
	if refused == 0 {
		t.Error("none was refused")
	}
	bottom.signal()
	bottom.expect(unix.EPOLLIN)
}

func TestEpollLoops(t *testing.T) {
	in := EpollEvent{Events: unix.EPOLLIN}
	var e [7]*Epoll
	var o [7]*OpenFile
	for i := range e {
		e[i] = newEpoll(new(memory))
		o[i] = NewOpenFile(e[i], 0)
	}
	add := func(outer, inner int, want error) {
		t.Helper()
		if err := e[outer].Add(o[inner], inner, in); err != want {
			t.Errorf("%d watches %d: %v, want %v", outer, inner, err, want)
		}
	}
	add(0, 1, nil)
	add(1, 0, unix.ELOOP)
	add(1, 2, nil)
	add(2, 0, unix.ELOOP)
	add(2, 3, nil)
	add(3, 4, nil) // five levels
	add(4, 5, unix.ELOOP)
	add(6, 0, unix.ELOOP)
	// Without the link in the middle both halves may grow again.
	if err := e[1].Remove(o[2], 2); err != nil {
		t.Fatal(err)
	}
	add(4, 5, nil)
	add(2, 0, nil)
	o[2].Release() // closes it: it watches nobody and nobody watches it
	add(6, 0, nil)
}

func TestEpollCloseRemoves(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN)
	w.signal()
	w.file.Retain()
	w.file.Release()
	w.expect(unix.EPOLLIN) // one reference is left
	w.file.Release()
	w.expect(0)
	if len(w.epoll.items) != 0 {
		t.Error("the item is still there")
	}
	if !w.event.queue.IsEmpty() {
		t.Error("the entry is still in the file's queue")
	}
}

func TestEpollCloseUnregisters(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN)
	w.epoll.Close()
	if !w.event.queue.IsEmpty() || w.file.watches != nil {
		t.Error("the file is still watched")
	}
}

// TestEpollFairness has more ready files than room for events: all must come in turn.
func TestEpollFairness(t *testing.T) {
	e := newEpoll(new(memory))
	const files = 10
	for i := range files {
		o := NewOpenFile(NewEventFD(1, false), unix.O_RDWR)
		e.Add(o, i, EpollEvent{Events: unix.EPOLLIN, Data: uint64(i)})
	}
	seen := make([]int, files)
	for range files {
		var ev [3]EpollEvent
		n, err := e.Collect(ev[:])
		if n != 3 || err != nil {
			t.Fatalf("Collect = %d, %v", n, err)
		}
		for _, v := range ev {
			seen[v.Data]++
		}
	}
	for i, n := range seen {
		if n != 3 {
			t.Errorf("file %d reported %d times, want 3", i, n)
		}
	}
}

// TestEpollEdgesAreNotLost has many writers signal many edge-triggered files while several threads wait: each
// signal must be followed by a report. A reader drains the file that was reported, as Go's
// netpoller makes its goroutines do.
func TestEpollEdgesAreNotLost(t *testing.T) {
	const (
		files   = 8
		signals = 3000
		waiters = 3
	)
	e := newEpoll(new(memory))
	var events [files]*EventFD
	for i := range events {
		events[i] = NewEventFD(0, false)
		flags := uint32(unix.EPOLLIN | unix.EPOLLET)
		if i%2 == 1 {
			flags |= unix.EPOLLOUT // always ready: more events to confuse
		}
		if err := e.Add(NewOpenFile(events[i], unix.O_RDWR), i, EpollEvent{Events: flags, Data: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var received [files]atomic.Int64
	var total atomic.Int64
	stop := NewEventFD(0, false) // level-triggered: stays ready for all
	e.Add(NewOpenFile(stop, unix.O_RDWR), files, EpollEvent{Events: unix.EPOLLIN, Data: files})
	add := func(e *EventFD) {
		b := Bytes([]byte{1, 0, 0, 0, 0, 0, 0, 0})
		if _, err := e.Write(&b, 0); err != nil {
			t.Error(err)
		}
	}
	drain := func(i uint64) {
		for {
			buf := make([]byte, 8)
			b := Bytes(buf)
			if _, err := events[i].Read(&b, 0); err != nil {
				return
			}
			n := int64(buf[0]) | int64(buf[1])<<8 | int64(buf[2])<<16
			received[i].Add(n)
			if total.Add(n) == files*signals {
				add(stop)
			}
		}
	}
	var wg sync.WaitGroup
	for range waiters {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				var ev [2]EpollEvent
				n := 0
				err := Wait(newSleeper(), e, waiter.EventIn, noDeadline, func() (err error) {
					n, err = e.Collect(ev[:])
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				for _, v := range ev[:n] {
					if v.Data == files {
						return
					}
					drain(v.Data)
				}
			}
		}()
	}
	for i := range events {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range signals {
				add(events[i])
			}
		}()
	}
	wg.Wait()
	for i := range received {
		if n := received[i].Load(); n != signals {
			t.Errorf("file %d: %d of %d signals", i, n, signals)
		}
	}
}

// TestEpollOneShotOnce has several threads wait for one one-shot file: only one may have it at a time.
func TestEpollOneShotOnce(t *testing.T) {
	const rounds = 3000
	w := newWatched(t, unix.EPOLLIN|unix.EPOLLONESHOT)
	var holders, done atomic.Int32
	var wg sync.WaitGroup
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				var ev [4]EpollEvent
				n := 0
				err := Wait(newSleeper(), w.epoll, waiter.EventIn, noDeadline, func() (err error) {
					n, err = w.epoll.Collect(ev[:])
					return err
				})
				if err != nil || n != 1 {
					t.Errorf("Collect: %d, %v", n, err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two threads have the file")
				}
				finished := done.Add(1) >= rounds
				holders.Add(-1)
				w.epoll.Modify(w.file, 7, EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Data: 42})
				if finished {
					return // the file stays ready, so the others come here, too
				}
			}
		}()
	}
	w.signal()
	wg.Wait()
}

// TestEpollAddAndRemove changes the interest list while files signal, closes files that are watched, and epolls
// that watch.
func TestEpollAddAndRemove(t *testing.T) {
	stop := make(chan struct{})
	var background, wg sync.WaitGroup
	e, outer := newEpoll(new(memory)), newEpoll(new(memory))
	eo := NewOpenFile(e, 0)
	if err := outer.Add(eo, 1, EpollEvent{Events: unix.EPOLLIN}); err != nil {
		t.Fatal(err)
	}
	var current [4]atomic.Pointer[EventFD]
	for i := range current {
		current[i].Store(NewEventFD(0, false))
	}
	background.Add(2)
	go func() {
		defer background.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				b := Bytes([]byte{1, 0, 0, 0, 0, 0, 0, 0})
				current[i%len(current)].Load().Write(&b, 0)
			}
		}
	}()
	go func() {
		defer background.Done()
		for {
			select {
			case <-stop:
				return
			default:
				var ev [8]EpollEvent
				e.Collect(ev[:])
				outer.Collect(ev[:])
			}
		}
	}()
	for i := range current {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 1500 {
				event := NewEventFD(uint64(n%2), false)
				o := NewOpenFile(event, unix.O_RDWR)
				current[i].Store(event)
				flags := uint32(unix.EPOLLIN)
				if n%3 == 0 {
					flags |= unix.EPOLLET
				}
				if err := e.Add(o, i, EpollEvent{Events: flags}); err != nil {
					t.Error(err)
				}
				if n%2 == 0 {
					e.Modify(o, i, EpollEvent{Events: unix.EPOLLOUT})
				}
				if n%5 == 0 {
					if err := e.Remove(o, i); err != nil {
						t.Error(err)
					}
				}
				if n%7 == 0 {
					other := newEpoll(new(memory))
					other.Add(o, 1, EpollEvent{Events: unix.EPOLLIN})
					go other.Close()
				}
				o.Release()
			}
		}()
	}
	wg.Wait()
	close(stop)
	background.Wait()
	if len(e.items) != 0 {
		t.Errorf("%d items are left", len(e.items))
	}
	eo.Release()
	if len(outer.items) != 0 {
		t.Error("the closed epoll is still watched")
	}
}

func TestEpollCollectDoesNotAllocate(t *testing.T) {
	w := newWatched(t, unix.EPOLLIN|unix.EPOLLET)
	sleeper, events := newSleeper(), make([]EpollEvent, 16)
	b := [8]byte{1}
	if n := testing.AllocsPerRun(100, func() {
		src := Bytes(b[:])
		w.event.Write(&src, 0)
		n := 0
		err := Wait(sleeper, w.epoll, waiter.EventIn, noDeadline, func() (err error) {
			n, err = w.epoll.Collect(events)
			return err
		})
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}); n > 1 { // src escapes
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEpollCollect(b *testing.B) {
	e := newEpoll(new(memory))
	for i := range 1000 {
		e.Add(NewOpenFile(NewEventFD(0, false), unix.O_RDWR), i, EpollEvent{Events: unix.EPOLLIN})
	}
	e.Add(NewOpenFile(NewEventFD(1, false), unix.O_RDWR), 1000, EpollEvent{Events: unix.EPOLLIN})
	events := make([]EpollEvent, 16)
	b.ReportAllocs()
	for b.Loop() {
		e.Collect(events)
	}
}
