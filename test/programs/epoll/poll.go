package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// pollNow polls without waiting and renders what came, POLLNVAL as "nval".
func pollNow(t *check.T, fds ...unix.PollFd) string {
	n, err := t.Poll(fds, 0)
	t.Must(err)
	var words []string
	for _, p := range fds {
		if p.Revents == unix.POLLNVAL {
			words = append(words, fmt.Sprintf("%d:nval", p.Fd))
		} else if p.Revents != 0 {
			words = append(words, eventString(int(p.Fd), uint32(p.Revents)))
		}
	}
	check.Equal(t, "poll's count", n, len(words))
	return strings.Join(words, " ")
}

func poll(t *check.T) {
	r, w := pipe(t)
	interest := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}, {Fd: int32(w), Events: unix.POLLOUT}, {Fd: -1, Events: unix.POLLIN}}
	check.Equal(t, "an empty pipe", pollNow(t, interest...), out(w))
	write(t, w, "x")
	check.Equal(t, "after a write", pollNow(t, interest...), in(r)+" "+out(w))
	check.Equal(t, "a closed descriptor", pollNow(t, unix.PollFd{Fd: 999, Events: unix.POLLIN}), "999:nval")
	unix.Close(w)
	check.Equal(t, "hang-up", pollNow(t, interest[0]), fmt.Sprintf("%d:in|hup", r))

	f, err := unix.Open("/proc/self/exe", unix.O_RDONLY, 0)
	t.Must(err)
	defer unix.Close(f)
	check.Equal(t, "a file is always ready", pollNow(t, unix.PollFd{Fd: int32(f), Events: unix.POLLIN | unix.POLLOUT}), inOut(f))

	r, w = pipe(t)
	start := time.Now()
	n, err := pollEINTR([]unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}, 20)
	t.Must(err)
	if took := time.Since(start); n != 0 || took < 20*time.Millisecond {
		t.Errorf("poll for 20 ms gave %d after %v", n, took)
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		unix.Write(w, []byte("x"))
	}()
	n, err = pollEINTR([]unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}, -1)
	t.Must(err)
	check.Equal(t, "poll without time-out", n, 1)
}

// pollEINTR polls again when a signal of the runtime's came.
func pollEINTR(fds []unix.PollFd, ms int) (int, error) {
	for {
		if n, err := unix.Poll(fds, ms); err != unix.EINTR {
			return n, err
		}
	}
}

func selectCall(t *check.T) {
	r, w := pipe(t)
	sets := func() (rd, wr *unix.FdSet) {
		rd, wr = new(unix.FdSet), new(unix.FdSet)
		rd.Set(r)
		wr.Set(w)
		return rd, wr
	}
	rd, wr := sets()
	n, err := unix.Select(max(r, w)+1, rd, wr, nil, &unix.Timeval{})
	t.Must(err)
	if n != 1 || rd.IsSet(r) || !wr.IsSet(w) {
		t.Errorf("an empty pipe: %d, readable %v, writable %v", n, rd.IsSet(r), wr.IsSet(w))
	}
	write(t, w, "x")
	rd, wr = sets()
	n, err = unix.Select(max(r, w)+1, rd, wr, nil, nil)
	t.Must(err)
	if n != 2 || !rd.IsSet(r) || !wr.IsSet(w) {
		t.Errorf("after a write: %d, readable %v, writable %v", n, rd.IsSet(r), wr.IsSet(w))
	}
	closed, err := unix.Dup(r)
	t.Must(err)
	t.Must(unix.Close(closed))
	bad := new(unix.FdSet)
	bad.Set(closed)
	_, err = unix.Select(closed+1, bad, nil, nil, &unix.Timeval{})
	t.WantErr("a closed descriptor", err, unix.EBADF)
	rd, _ = sets()
	rd.Set(closed)
	n, err = unix.Select(r+1, rd, nil, nil, &unix.Timeval{})
	t.Must(err)
	if n != 1 || !rd.IsSet(r) || rd.IsSet(closed) {
		t.Errorf("with one beyond nfds: %d, readable %v and, beyond nfds, %v", n, rd.IsSet(r), rd.IsSet(closed))
	}

	start := time.Now()
	n, err = unix.Pselect(0, nil, nil, nil, &unix.Timespec{Nsec: 15e6}, nil)
	if err != unix.EINTR {
		t.Must(err)
		if took := time.Since(start); n != 0 || took < 15*time.Millisecond {
			t.Errorf("a sleep of 15 ms gave %d after %v", n, took)
		}
	}
	_, err = unix.Select(0, nil, nil, nil, &unix.Timeval{Sec: -1})
	t.WantErr("a negative time-out", err, unix.EINVAL)
}
