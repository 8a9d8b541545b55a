package net

import (
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// inet is what stream and datagram sockets of AF_INET and AF_INET6 share.
type inet struct {
	base
	wait *waiter.Queue
}

// EventRegister implements waiter.Waitable. The engine reports the end of a stream as something to read: who waits
// for the hang-up only must hear of that too.
func (s *inet) EventRegister(e *waiter.Entry) error {
	s.wait.EventRegister(e)
	if m := e.Mask(); m&waiter.EventRdHUp != 0 {
		e.SetQueuedMask(s.wait, m|waiter.ReadableEvents)
	}
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *inet) EventUnregister(e *waiter.Entry) { s.wait.EventUnregister(e) }

// parse reads an address that the program gave, and that must be of the socket's family. IPv6 datagram
// sockets take IPv4 addresses too when sending (mixed).
func (s *inet) parse(b []byte, mixed bool) (endpoint, error) {
	family, err := sockaddrFamily(b)
	if err != nil {
		return endpoint{}, err
	}
	switch {
	case s.family == unix.AF_INET:
		if len(b) < sizeofSockaddrIn {
			return endpoint{}, unix.EINVAL
		}
		if family != unix.AF_INET {
			return endpoint{}, unix.EAFNOSUPPORT
		}
		return parseSockaddrIn(b)
	case family == unix.AF_INET && mixed:
		return parseSockaddrIn(b)
	case len(b) < minSockaddrIn6:
		return endpoint{}, unix.EINVAL
	case family != unix.AF_INET6:
		return endpoint{}, unix.EAFNOSUPPORT
	}
	return parseSockaddrIn6(b)
}

// parseBind reads the address of a bind(2).
func (s *inet) parseBind(b []byte) (endpoint, error) {
	family, err := sockaddrFamily(b)
	if err != nil {
		return endpoint{}, err
	}
	if s.family == unix.AF_INET && family == unix.AF_UNSPEC && len(b) >= sizeofSockaddrIn {
		// Compatibility with old programs: AF_UNSPEC with the any-address is AF_INET [ip(7)].
		if e, _ := parseSockaddrIn(b); e.addr.IsUnspecified() {
			return e, nil
		}
	}
	e, err := s.parse(b, false)
	if err == nil && e.addr.IsLinkLocalUnicast() && e.addr.Is6() && e.scope == 0 {
		return endpoint{}, unix.EINVAL
	}
	return e, err
}

// appendAddr appends e as the socket's family writes it.
func (s *inet) appendAddr(dst []byte, e endpoint) []byte { return appendSockaddr(dst, s.family, e) }

// recvAddress is the form in which a received IPv4 address is told on the socket.
func (s *inet) recvAddress(a netip.Addr) netip.Addr {
	if s.family == unix.AF_INET6 && a.Is4() {
		return netip.AddrFrom16(a.As16())
	}
	return a
}

// copied is the answer for a copy to program memory: what was stored counts, unless it is nothing.
func copied(n int, err error) (int64, error) {
	if n == 0 && err != nil {
		return 0, unix.EFAULT
	}
	return int64(n), nil
}

var _ vfs.File = (*streamSocket)(nil)
