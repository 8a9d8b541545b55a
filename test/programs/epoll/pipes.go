package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func level(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(r, unix.EPOLLIN)
	ep.add(w, unix.EPOLLOUT)
	ep.want("an empty pipe", out(w))
	write(t, w, "abc")
	for range 3 { // as long as something is there
		ep.want("after a write", in(r), out(w))
	}
	read(t, r, 2)
	ep.want("with a byte left", in(r), out(w))
	read(t, r, 2)
	ep.want("after reading all", out(w))
	write(t, w, "x")
	ep.del(r)
	ep.want("after removal", out(w))
	ep.add(r, unix.EPOLLIN)
	ep.want("a ready file that is added", in(r), out(w))
}

func edge(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(r, unix.EPOLLIN|unix.EPOLLET)
	ep.want("an empty pipe")
	write(t, w, "a")
	ep.want("after a write", in(r))
	ep.want("the second time")
	write(t, w, "b") // each arrival is an edge, though the pipe wasn't empty [epoll(7)]
	ep.want("after another write", in(r))
	ep.want("the second time")
	read(t, r, 1)
	ep.want("after reading half")
	read(t, r, 1)
	write(t, w, "c")
	write(t, w, "d")
	ep.want("two writes are one event", in(r))
	ep.want("the second time")

	late := newWatch(t)
	late.add(r, unix.EPOLLIN|unix.EPOLLET)
	late.want("a ready file that is added", in(r))
	late.want("the second time")
	late.mod(r, unix.EPOLLIN|unix.EPOLLET)
	late.want("changing it arms it again", in(r))
	late.want("the second time")
}

func edgeWritable(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(w, unix.EPOLLOUT|unix.EPOLLET)
	ep.want("an empty pipe", out(w))
	ep.want("the second time")
	full := make([]byte, 4096)
	for {
		if _, err := unix.Write(w, full); err == unix.EAGAIN {
			break
		}
	}
	ep.want("a full pipe")
	for {
		if _, err := unix.Read(r, full); err == unix.EAGAIN {
			break
		}
	}
	ep.want("an emptied pipe", out(w))
	ep.want("the second time")
}

func oneShot(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(r, unix.EPOLLIN|unix.EPOLLONESHOT)
	write(t, w, "a")
	ep.want("after a write", in(r))
	ep.want("the second time")
	write(t, w, "b")
	ep.want("after another write")
	ep.mod(r, unix.EPOLLIN|unix.EPOLLONESHOT)
	ep.want("armed again", in(r))
	ep.want("the second time")
	unix.Close(w)
	ep.want("hang-up while disarmed")
}

func modify(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	write(t, w, "a")
	ep.add(r, 0)
	ep.want("no interest")
	ep.mod(r, unix.EPOLLIN)
	ep.want("interest", in(r))
	ep.mod(r, unix.EPOLLPRI)
	ep.want("another interest")
	ep.mod(r, unix.EPOLLIN|unix.EPOLLOUT)
	ep.want("the reading end isn't writable", in(r))
}

func hangUp(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(r, 0) // EPOLLHUP and EPOLLERR come always
	ep.want("open")
	unix.Close(w)
	ep.want("the writer is gone", fmt.Sprintf("%d:hup", r))

	r, w = pipe(t)
	ep = newWatch(t)
	ep.add(w, unix.EPOLLOUT)
	unix.Close(r)
	ep.want("the reader is gone", fmt.Sprintf("%d:out|err", w))

	r, w = pipe(t)
	ep = newWatch(t)
	ep.add(r, unix.EPOLLIN)
	write(t, w, "last")
	unix.Close(w)
	ep.want("data and hang-up", fmt.Sprintf("%d:in|hup", r))
	read(t, r, 10)
	ep.want("hang-up", fmt.Sprintf("%d:hup", r))
}

func eventfd(t *check.T) {
	ep := newWatch(t)
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	t.Must(err)
	defer unix.Close(fd)
	ep.add(fd, unix.EPOLLIN|unix.EPOLLET)
	for range 5 { // Go's netpoller depends on this: a write is an edge though nobody has read
		write(t, fd, "\x01\x00\x00\x00\x00\x00\x00\x00")
		ep.want("after a write", in(fd))
		ep.want("the second time")
	}
	ep.mod(fd, unix.EPOLLIN|unix.EPOLLOUT)
	ep.want("5", inOut(fd))
	check.Equal(t, "counter", read(t, fd, 8), "\x05\x00\x00\x00\x00\x00\x00\x00")
	ep.want("0", out(fd))
	write(t, fd, "\xfe\xff\xff\xff\xff\xff\xff\xff")
	ep.want("full", in(fd))
}

func closeRemoves(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(r, unix.EPOLLIN)
	write(t, w, "a")
	unix.Close(r)
	ep.want("after close")
	t.WantErr("removal", unix.EpollCtl(ep.fd, unix.EPOLL_CTL_DEL, r, nil), unix.EBADF)
	again, w := pipe(t) // most likely the same number
	ep.want("a new file with the number")
	ep.add(again, unix.EPOLLIN)
	write(t, w, "b")
	ep.want("added", in(again))
}

// duplicateStays: only the last close of an open file removes it [epoll(7), Q6].
func duplicateStays(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	twin, err := unix.Dup(r)
	t.Must(err)
	ep.add(r, unix.EPOLLIN)
	ep.add(twin, unix.EPOLLIN)
	write(t, w, "a")
	ep.want("both", in(r), in(twin))
	unix.Close(r)
	ep.want("the closed one is still there by its twin", in(r), in(twin))
	unix.Close(twin)
	ep.want("all closed")
}

// fair: with more ready files than asked for, each gets its turn.
func fair(t *check.T) {
	const files = 50
	ep := newWatch(t)
	for range files {
		r, w := pipe(t)
		write(t, w, "x")
		ep.add(r, unix.EPOLLIN)
	}
	seen := make(map[int32]int)
	for range files {
		for _, e := range ep.wait(7, 0) {
			seen[e.Fd]++
		}
	}
	check.Equal(t, "files seen", len(seen), files)
	for fd, n := range seen {
		if n < 6 || n > 8 { // 7 each, if round robin
			t.Errorf("descriptor %d was seen %d times of 350", fd, n)
		}
	}
}

// allReady: fewer events than were asked for would mean that there are no more.
func allReady(t *check.T) {
	const files = 600
	ep := newWatch(t)
	r, w := pipe(t)
	write(t, w, "x")
	for range files {
		fd, err := unix.FcntlInt(uintptr(r), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("dup: %v", err)
		}
		defer unix.Close(fd)
		ep.add(fd, unix.EPOLLIN|unix.EPOLLET)
	}
	check.Equal(t, "events", len(ep.wait(files+1, 0)), files)
	check.Equal(t, "events after all were collected", len(ep.wait(files+1, 0)), 0)
}

func waitWhileChanging(t *check.T) {
	ep := newWatch(t)
	for range 20 {
		r, w := pipe(t)
		got := make(chan string)
		go func() { got <- render(ep.wait(1, -1)) }()
		time.Sleep(time.Millisecond) // most likely it waits by then; both must work
		write(t, w, "x")
		ep.add(r, unix.EPOLLIN)
		check.Equal(t, "a ready file added", <-got, in(r))
		ep.mod(r, 0)
		go func() { got <- render(ep.wait(1, -1)) }()
		time.Sleep(time.Millisecond)
		ep.mod(r, unix.EPOLLIN)
		check.Equal(t, "a ready file changed", <-got, in(r))
		ep.del(r)
	}
}

// oneEventOneWaiter: an edge wakes one of several waiting threads.
func oneEventOneWaiter(t *check.T) {
	const waiters, rounds = 4, 200
	ep := newWatch(t)
	r, w := pipe(t)
	stop, stopper := pipe(t)
	ep.add(r, unix.EPOLLIN|unix.EPOLLET)
	events := make(chan int32, waiters*rounds)
	ended := make(chan struct{})
	for range waiters {
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				e := ep.wait(1, -1)
				if e[0].Fd == int32(stop) {
					return
				}
				events <- e[0].Fd
			}
		}()
	}
	for range rounds {
		write(t, w, "x")
		<-events
	}
	ep.add(stop, unix.EPOLLIN)
	write(t, stopper, "x")
	for range waiters {
		<-ended
	}
	check.Equal(t, "events too many", len(events), 0)
}

func nested(t *check.T) {
	outer, inner := newWatch(t), newWatch(t)
	r, w := pipe(t)
	inner.add(r, unix.EPOLLIN)
	outer.add(inner.fd, unix.EPOLLIN)
	outer.want("nothing")
	write(t, w, "x")
	outer.want("the inner one is ready", in(inner.fd))
	inner.want("the pipe is ready", in(r))
	read(t, r, 1)
	outer.want("nothing")
	t.WantErr("a circle", unix.EpollCtl(inner.fd, unix.EPOLL_CTL_ADD, outer.fd, &unix.EpollEvent{Events: unix.EPOLLIN}), unix.ELOOP)
}

// nestedPaths has layers of watches of which each watches all below it: before the ways from the pipe to the top are so many that a
// write takes for ever, they are refused.
func nestedPaths(t *check.T) {
	const layers, width = 4, 16
	r, w := pipe(t)
	below, refused := []int{r}, 0
	for range layers {
		var here []int
		for range width {
			ep := newWatch(t)
			for _, fd := range below {
				err := unix.EpollCtl(ep.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
				if err == unix.EINVAL {
					refused++
				} else {
					t.Must(err)
				}
			}
			here = append(here, ep.fd)
		}
		below = here
	}
	if refused == 0 {
		t.Errorf("none of the watches was refused")
	}
	write(t, w, "x")
}

func timeouts(t *check.T) {
	ep := newWatch(t)
	r, w := pipe(t)
	ep.add(r, unix.EPOLLIN)
	for _, ms := range []int{0, 1, 25} {
		start := time.Now()
		check.Equal(t, "events", len(ep.wait(1, ms)), 0)
		if took := time.Since(start); took < time.Duration(ms)*time.Millisecond {
			t.Errorf("a time-out of %d ms took %v", ms, took)
		}
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		unix.Write(w, []byte("x"))
	}()
	check.Equal(t, "events", render(ep.wait(1, 100000)), in(r))
}

func errnos(t *check.T) {
	ep := newWatch(t)
	r, _ := pipe(t)
	event := &unix.EpollEvent{Events: unix.EPOLLIN}
	t.WantErr("remove what isn't there", unix.EpollCtl(ep.fd, unix.EPOLL_CTL_DEL, r, nil), unix.ENOENT)
	t.WantErr("change what isn't there", unix.EpollCtl(ep.fd, unix.EPOLL_CTL_MOD, r, event), unix.ENOENT)
	ep.add(r, unix.EPOLLIN)
	t.WantErr("add twice", unix.EpollCtl(ep.fd, unix.EPOLL_CTL_ADD, r, event), unix.EEXIST)
	t.WantErr("a closed descriptor", unix.EpollCtl(ep.fd, unix.EPOLL_CTL_ADD, 999, event), unix.EBADF)
	t.WantErr("a closed epoll", unix.EpollCtl(999, unix.EPOLL_CTL_ADD, r, event), unix.EBADF)
	t.WantErr("an unknown operation", unix.EpollCtl(ep.fd, 9, r, event), unix.EINVAL)
	_, err := unix.EpollWait(ep.fd, nil, 0)
	t.WantErr("no room for events", err, unix.EINVAL)
	_, err = unix.EpollWait(r, make([]unix.EpollEvent, 1), 0)
	t.WantErr("epoll_wait on a pipe", err, unix.EINVAL)
}
