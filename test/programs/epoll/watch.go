package main

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// watch is an epoll instance that goes with a case.
type watch struct {
	t  *check.T
	fd int
}

func newWatch(t *check.T) watch {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	t.Must(err)
	t.Cleanup(func() { unix.Close(fd) })
	return watch{t, fd}
}

func (w watch) ctl(op, fd int, events uint32) {
	w.t.Must(unix.EpollCtl(w.fd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(fd) * 3}))
}

func (w watch) add(fd int, events uint32) { w.ctl(unix.EPOLL_CTL_ADD, fd, events) }
func (w watch) mod(fd int, events uint32) { w.ctl(unix.EPOLL_CTL_MOD, fd, events) }
func (w watch) del(fd int)                { w.t.Must(unix.EpollCtl(w.fd, unix.EPOLL_CTL_DEL, fd, nil)) }

// wait returns up to max events, after at most ms milliseconds; a signal of the runtime's doesn't count.
func (w watch) wait(max, ms int) []unix.EpollEvent {
	events := make([]unix.EpollEvent, max)
	for {
		n, err := unix.EpollWait(w.fd, events, ms)
		if err == unix.EINTR {
			continue
		}
		w.t.Must(err)
		for _, e := range events[:n] {
			if e.Pad != e.Fd*3 {
				w.t.Errorf("the 64 bits of data came back as %d, %d", e.Fd, e.Pad)
			}
		}
		return events[:n]
	}
}

// want checks which events there are now, without waiting, in the form "3:in 4:in|hup".
func (w watch) want(when string, want ...string) {
	got := render(w.wait(10, 0))
	if wanted := strings.Join(want, " "); got != wanted {
		w.t.Errorf("%s: got events [%s], want [%s]", when, got, wanted)
	}
}

// await waits for one event and checks it.
func (w watch) await(when, want string) {
	if got := render(w.wait(1, -1)); got != want {
		w.t.Errorf("%s: got events [%s], want [%s]", when, got, want)
	}
}

// settle waits until level-triggered events are as wanted: of what happens to a connection, one part may be seen
// before the other.
func (w watch) settle(when, want string) {
	got := ""
	for deadline := time.Now().Add(10 * time.Second); got != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Errorf("%s: got events [%s], want [%s]", when, got, want)
			return
		}
		got = render(w.wait(1, -1))
	}
}

// gather waits until the events of an edge-triggered file, taken together, are as wanted. What is reported of one
// change may come in two events.
func (w watch) gather(when string, fd int, want string) {
	got := uint32(0)
	for eventString(fd, got) != want {
		events := w.wait(1, 10000)
		if len(events) == 0 || int(events[0].Fd) != fd {
			w.t.Errorf("%s: got events [%s], want [%s], then [%s]", when, eventString(fd, got), want, render(events))
			return
		}
		got |= events[0].Events
	}
}

var eventNames = []struct {
	bit  uint32
	name string
}{
	{unix.EPOLLIN, "in"}, {unix.EPOLLOUT, "out"}, {unix.EPOLLRDHUP, "rdhup"}, {unix.EPOLLERR, "err"}, {unix.EPOLLHUP, "hup"},
	{unix.EPOLLPRI, "pri"},
}

func eventString(fd int, events uint32) string {
	var names []string
	for _, e := range eventNames {
		if events&e.bit != 0 {
			names = append(names, e.name)
		}
	}
	return fmt.Sprintf("%d:%s", fd, strings.Join(names, "|"))
}

func render(events []unix.EpollEvent) string {
	sort.Slice(events, func(i, j int) bool { return events[i].Fd < events[j].Fd })
	var words []string
	for _, e := range events {
		words = append(words, eventString(int(e.Fd), e.Events))
	}
	return strings.Join(words, " ")
}

// in, and so on, are the expected events of one descriptor.
func in(fd int) string    { return fmt.Sprintf("%d:in", fd) }
func out(fd int) string   { return fmt.Sprintf("%d:out", fd) }
func inOut(fd int) string { return fmt.Sprintf("%d:in|out", fd) }

// pipe returns a non-blocking pipe that goes with the case.
func pipe(t *check.T) (r, w int) {
	var fds [2]int
	t.Must(unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func write(t *check.T, fd int, s string) {
	n, err := unix.Write(fd, []byte(s))
	t.Must(err)
	check.Equal(t, "bytes written", n, len(s))
}

func read(t *check.T, fd, n int) string {
	buf := make([]byte, n)
	n, err := unix.Read(fd, buf)
	t.Must(err)
	return string(buf[:n])
}
