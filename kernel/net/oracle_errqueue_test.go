package net

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// RecvError notes a message of the error queue.
func (r *trace) RecvError(fd, room, control int) {
	x, err := r.recvmsg(fd, room, control, unix.MSG_ERRQUEUE)
	r.log("recvmsg of an error = %d %q from %s flags %#x %s", x.n, x.data, r.addr(x.from), x.flags, errName(err))
	if len(x.control) < cmsgHeader {
		return
	}
	const extended = 16 // struct sock_extended_err
	c, data := x.control[:cmsgHeader], x.control[cmsgHeader:]
	r.log("  length %d level %d type %d", c[0], binary.NativeEndian.Uint32(c[8:]), binary.NativeEndian.Uint32(c[12:]))
	if len(data) >= extended+16 {
		offender := data[extended:min(int(c[0])-cmsgHeader, len(data))]
		r.log("  %v offender %s", data[:extended], r.addr(offender))
	}
}

func TestErrorQueueOracle(t *testing.T) {
	for _, c := range []struct {
		name                          string
		family, errorLevel, errorName int
		to                            func(port int) []byte
	}{
		{"IPv4", unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVERR, func(p int) []byte { return sa4("127.0.0.1", p) }},
		{"IPv6", unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, func(p int) []byte { return sa6("::1", p) }},
		{"IPv4 on IPv6", unix.AF_INET6, unix.IPPROTO_IP, unix.IP_RECVERR, func(p int) []byte { return sa6("::ffff:127.0.0.1", p) }},
	} {
		nobody := func(r *trace) []byte {
			b := r.Socket(c.family, unix.SOCK_DGRAM, 0)
			r.Bind(b, c.to(0))
			sa := r.Name(b)
			r.Close(b)
			return sa
		}
		compare(t, c.name+" unconnected", func(r *trace) {
			to := nobody(r)
			a := r.Socket(c.family, unix.SOCK_DGRAM, 0)
			r.Send(a, "nobody is told", to, 0)
			r.RecvError(a, 100, 200)
			r.SetInt(a, c.errorLevel, c.errorName, 1)
			r.GetInt(a, c.errorLevel, c.errorName)
			r.Send(a, "hello", to, 0)
			r.Await(a, unix.POLLERR)
			r.Poll(a, pollAll)
			r.RecvError(a, 100, 200)
			r.Poll(a, pollAll)
			r.Recv(a, 100, unix.MSG_DONTWAIT)
			r.GetInt(a, unix.SOL_SOCKET, unix.SO_ERROR)
			r.RecvError(a, 100, 200)
		})
		compare(t, c.name+" connected", func(r *trace) {
			to := nobody(r)
			a := r.Socket(c.family, unix.SOCK_DGRAM, 0)
			r.SetInt(a, c.errorLevel, c.errorName, 1)
			r.Connect(a, to)
			r.Send(a, "first", nil, 0)
			r.Await(a, unix.POLLERR)
			r.GetInt(a, unix.SOL_SOCKET, unix.SO_ERROR)
			r.Poll(a, pollAll) // what is queued is told of, also after the error was
			r.Recv(a, 100, unix.MSG_DONTWAIT)
			r.Send(a, "second", nil, 0)
			r.await("the second error", func() bool { return r.errorPending(a) })
			r.RecvError(a, 3, 20)
			r.Poll(a, pollAll)
			r.Recv(a, 100, unix.MSG_DONTWAIT) // the next one's is pending
			r.RecvError(a, 100, 0)
			r.Poll(a, pollAll)
			r.Send(a, "third", nil, 0)
			r.Await(a, unix.POLLERR)
			r.SetInt(a, c.errorLevel, c.errorName, 0)
			r.RecvError(a, 100, 200)
			r.Recv(a, 100, unix.MSG_DONTWAIT)
			r.Poll(a, pollAll)
		})
		compare(t, c.name+" POLLPRI", func(r *trace) {
			a := r.Socket(c.family, unix.SOCK_DGRAM, 0)
			r.SetInt(a, c.errorLevel, c.errorName, 1)
			r.SetInt(a, unix.SOL_SOCKET, unix.SO_SELECT_ERR_QUEUE, 1)
			r.Send(a, "x", nobody(r), 0)
			r.Await(a, unix.POLLERR)
			r.Poll(a, pollAll)
		})
	}
}

// errorPending tells whether there is an error, and takes it.
func (r *trace) errorPending(fd int) bool {
	b, err := r.getopt(fd, unix.SOL_SOCKET, unix.SO_ERROR, 4)
	return err != nil || binary.NativeEndian.Uint32(b) != 0
}
