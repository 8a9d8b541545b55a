package net

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnixEndsOracle(t *testing.T) {
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET} {
		compare(t, "connection that nobody has accepted when the listener ends "+itoa(typ), func(r *trace) {
			l := r.Socket(unix.AF_UNIX, typ, 0)
			r.Bind(l, unixName(t, itoa(typ)))
			r.Listen(l, 1)
			c := r.Socket(unix.AF_UNIX, typ, 0)
			r.Connect(c, unixName(t, itoa(typ)))
			r.Close(l)
			r.Poll(c, pollAll)
			r.Recv(c, 10, unix.MSG_DONTWAIT)
			r.Recv(c, 10, unix.MSG_DONTWAIT)
			r.Poll(c, pollAll)
			r.Send(c, "x", nil, unix.MSG_NOSIGNAL)
		})
	}
	compare(t, "packets before a reset", func(r *trace) {
		a, b := r.Pair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
		r.Send(a, "unread", nil, 0)
		r.Send(b, "hello", nil, 0)
		r.Close(b)
		for range 3 {
			r.Poll(a, pollAll)
			r.Recv(a, 10, unix.MSG_DONTWAIT)
		}
	})
	compare(t, "datagrams to a peer that has been closed", func(r *trace) {
		a, b := r.Pair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		r.Close(b)
		r.Peer(a)
		r.Send(a, "x", nil, 0)
		r.Send(a, "x", nil, 0)
		r.Peer(a)
		r.Poll(a, pollAll)
	})
}

func TestUnixMessagesOracle(t *testing.T) {
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		compare(t, "read of nothing "+itoa(typ), func(r *trace) {
			a, b := r.Pair(unix.AF_UNIX, typ, 0)
			r.nonblock(b)
			r.Read(b, 0)
			r.Send(a, "hello", nil, 0)
			r.Read(b, 0)
			r.Read(b, 10)
		})
	}
	for _, typ := range []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		compare(t, "as long as SO_SNDBUF permits "+itoa(typ), func(r *trace) {
			a, _ := r.Pair(unix.AF_UNIX, typ, 0)
			const standard = defaultDatagramBuffer - unixSendReserve
			r.Send(a, string(make([]byte, standard+1)), nil, unix.MSG_DONTWAIT)
			r.Send(a, string(make([]byte, standard)), nil, unix.MSG_DONTWAIT)
			for _, size := range []int{10_000, 200_000} {
				a, b := r.Pair(unix.AF_UNIX, typ, 0)
				r.SetInt(a, unix.SOL_SOCKET, unix.SO_SNDBUF, size)
				r.GetInt(a, unix.SOL_SOCKET, unix.SO_SNDBUF)
				r.Send(a, string(make([]byte, 2*size-unixSendReserve+1)), nil, unix.MSG_DONTWAIT)
				r.Send(a, string(make([]byte, 2*size-unixSendReserve)), nil, unix.MSG_DONTWAIT)
				r.Poll(a, pollOut)
				r.Recv(b, 1, unix.MSG_TRUNC)
				r.Poll(a, pollOut)
			}
		})
	}
	compare(t, "credentials of a wrong length", func(r *trace) {
		a, _ := r.Pair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		_, err := r.sendmsg(a, []byte("x"), nil, cmsg(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, 1, 2, 3, 4), 0)
		r.log("sendmsg = %s", errName(err))
	})
}
