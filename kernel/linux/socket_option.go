package linux

import (
	"golang.org/x/sys/unix"
)

// maxSockopt bounds the values of socket options, in bytes; the longest that is known is struct tcp_info.
const maxSockopt = 512

// setsockopt is setsockopt(2): fd, level, name, value, its length.
func (c *Call) setsockopt() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	n := int32(c.Args[4])
	if n < 0 {
		return 0, unix.EINVAL
	}
	b := c.io.scratchBytes(maxSockopt)[:min(n, maxSockopt)]
	if err := c.Space.CopyIn(b, c.Args[3]); err != nil {
		return 0, err
	}
	return 0, s.SetOption(int(int32(c.Args[1])), int(int32(c.Args[2])), b)
}

// getsockopt is getsockopt(2): fd, level, name, value, address of its length.
func (c *Call) getsockopt() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	room, err := c.Space.Uint32(c.Args[4])
	if err != nil {
		return 0, err
	}
	if int32(room) < 0 {
		return 0, unix.EINVAL
	}
	b := c.io.scratchBytes(maxSockopt)[:min(room, maxSockopt)]
	n, err := s.Option(int(int32(c.Args[1])), int(int32(c.Args[2])), b)
	if err != nil {
		return 0, err
	}
	if err := c.Space.CopyOut(c.Args[3], b[:n]); err != nil {
		return 0, err
	}
	return 0, c.Space.PutUint32(c.Args[4], uint32(n))
}
