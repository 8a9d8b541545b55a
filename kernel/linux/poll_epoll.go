package linux

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/vfs"
)

// epollCreate is epoll_create(2), whose size must be positive and means nothing.
func (c *Call) epollCreate() (uint64, error) {
	if int32(c.Args[0]) <= 0 {
		return 0, unix.EINVAL
	}
	return c.newEpoll(0)
}

func (c *Call) epollCreate1() (uint64, error) {
	flags := uint32(c.Args[0])
	if flags&^unix.EPOLL_CLOEXEC != 0 {
		return 0, unix.EINVAL
	}
	return c.newEpoll(flags)
}

func (c *Call) newEpoll(flags uint32) (uint64, error) {
	fd, err := c.FDs.Open(c.Paths.FS().NewEpoll(), unix.O_RDWR|flags)
	return uint64(fd), err
}

// sizeofEpollEvent is the size of struct epoll_event in bytes, which is packed on x86-64: events (32 bits),
// data (64).
const sizeofEpollEvent = 12

const (
	epollBatch      = 256  // events that are stored in the program's memory in one go
	keptEpollEvents = 4096 // events that a thread keeps room for, once it has asked for so many
)

// epollCtl is epoll_ctl(2): epfd, op, fd, event.
func (c *Call) epollCtl() (uint64, error) {
	op, fd := int32(c.Args[1]), int(int32(c.Args[2]))
	var ev vfs.EpollEvent
	if op != unix.EPOLL_CTL_DEL {
		var b [sizeofEpollEvent]byte
		if err := c.Space.CopyIn(b[:], c.Args[3]); err != nil {
			return 0, err
		}
		ev = vfs.EpollEvent{Events: le.Uint32(b[0:]), Data: le.Uint64(b[4:])}
	}
	eo, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer eo.Release()
	o, err := c.file(c.Args[2])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	if !vfs.Pollable(o.File()) {
		return 0, unix.EPERM
	}
	e, ok := eo.File().(*vfs.Epoll)
	if !ok || eo == o {
		return 0, unix.EINVAL
	}
	switch op {
	case unix.EPOLL_CTL_ADD:
		err = e.Add(o, fd, ev)
	case unix.EPOLL_CTL_MOD:
		err = e.Modify(o, fd, ev)
	case unix.EPOLL_CTL_DEL:
		err = e.Remove(o, fd)
	default:
		err = unix.EINVAL
	}
	return 0, err
}

func (c *Call) epollWait() (uint64, error) {
	deadline, now := c.timeoutMS(int32(c.Args[3]))
	return c.waitEpoll(deadline, now)
}

// epollPwait is epoll_pwait(2): epfd, events, maxevents, timeout, sigmask, sigsetsize.
func (c *Call) epollPwait() (uint64, error) {
	if err := c.callMask(c.Args[4], c.Args[5]); err != nil {
		return 0, err
	}
	return c.epollWait()
}

// epollPwait2 is epoll_pwait with a struct timespec for a timeout.
func (c *Call) epollPwait2() (uint64, error) {
	deadline, now, err := c.timeoutSpec(c.Args[3])
	if err != nil {
		return 0, err
	}
	if err := c.callMask(c.Args[4], c.Args[5]); err != nil {
		return 0, err
	}
	return c.waitEpoll(deadline, now)
}

// waitEpoll waits for events and stores them: all there are, up to maxevents, because programs take fewer to mean that
// there are no more. It allocates nothing, as long as no thread needs room for more events than before, or for very many.
func (c *Call) waitEpoll(deadline time.Time, now bool) (uint64, error) {
	most := int32(c.Args[2])
	if most <= 0 || most > (1<<31-1)/sizeofEpollEvent {
		return 0, unix.EINVAL
	}
	eo, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer eo.Release()
	e, ok := eo.File().(*vfs.Epoll)
	if !ok {
		return 0, unix.EINVAL
	}
	events, err := c.collectEvents(e, int(most))
	if err == unix.EAGAIN && !now {
		err = vfs.Wait(c.Thread, e, waiter.EventIn, deadline, func() (err error) {
			events, err = c.collectEvents(e, int(most))
			return err
		})
	}
	switch err {
	case nil:
		return c.storeEvents(events)
	case unix.EAGAIN, unix.ETIMEDOUT:
		return 0, nil
	}
	return 0, err
}

// collectEvents collects up to most events in the thread's room for them, which need not be larger than the interest list.
func (c *Call) collectEvents(e *vfs.Epoll, most int) ([]vfs.EpollEvent, error) {
	room := max(min(most, e.Watched()), 1)
	events := c.io.events
	if cap(events) < room {
		events = make([]vfs.EpollEvent, room)
		if room <= keptEpollEvents {
			c.io.events = events
		}
	}
	events = events[:room]
	n, err := e.Collect(events)
	return events[:n], err
}

// storeEvents stores events where the second argument says, and returns how many.
func (c *Call) storeEvents(events []vfs.EpollEvent) (uint64, error) {
	stored := 0
	for batch := range slices.Chunk(events, epollBatch) {
		b := c.io.scratchBytes(len(batch) * sizeofEpollEvent)
		for i, ev := range batch {
			le.PutUint32(b[i*sizeofEpollEvent:], ev.Events)
			le.PutUint64(b[i*sizeofEpollEvent+4:], ev.Data)
		}
		if err := c.Space.CopyOut(c.Args[1]+uint64(stored*sizeofEpollEvent), b); err != nil {
			return 0, err
		}
		stored += len(batch)
	}
	return uint64(stored), nil
}
