package net

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// cmsg makes a control message.
func cmsg(level, kind int, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(cmsgHeader+len(data)))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = append(b, data...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// RecvControl notes the ancillary data of a message.
func (r *trace) RecvControl(fd, room int) {
	x, err := r.recvmsg(fd, 100, room, unix.MSG_DONTWAIT)
	r.log("recvmsg with room for %d = %q flags %#x %s, %d bytes", room, x.data, x.flags, errName(err), len(x.control))
	for c := x.control; len(c) >= cmsgHeader; {
		n := int(binary.NativeEndian.Uint64(c))
		level, kind := binary.NativeEndian.Uint32(c[8:]), binary.NativeEndian.Uint32(c[12:])
		data := c[cmsgHeader:min(n, len(c))]
		if level == unix.SOL_SOCKET {
			data = data[:0] // times differ
		}
		r.log("  cmsg %d/%d length %d: %v", level, kind, n, data)
		c = c[min(cmsgAlign(n), len(c)):]
	}
}

// SendControl sends a message with ancillary data, and tells whether it went.
func (r *trace) SendControl(fd int, to, control []byte) bool {
	n, err := r.sendmsg(fd, []byte("x"), to, control, 0)
	r.log("sendmsg with %v = %d %s", control, n, errName(err))
	return err == nil
}

func TestControlOracle(t *testing.T) {
	compare(t, "IPv4", func(r *trace) {
		a, asa := r.boundUDP()
		b := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Bind(b, sa4("0.0.0.0", 0))
		bsa := r.Name(b)
		bsa = sa4("127.0.0.1", portOf(bsa))
		for _, o := range []int{unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS} {
			r.SetInt(b, unix.IPPROTO_IP, o, 1)
		}
		r.SetInt(b, unix.SOL_SOCKET, unix.SO_TIMESTAMP, 1)
		r.SetInt(a, unix.IPPROTO_IP, unix.IP_TOS, 0x10)
		r.SetInt(a, unix.IPPROTO_IP, unix.IP_TTL, 33)
		for _, room := range []int{0, 8, 16, 24, 32, 40, 60, 64, 200} {
			r.Send(a, "x", bsa, 0)
			r.Await(b, unix.POLLIN)
			r.RecvControl(b, room)
		}
		r.SetInt(b, unix.SOL_SOCKET, unix.SO_TIMESTAMP, 0)
		r.SetInt(b, unix.IPPROTO_IP, unix.IP_PKTINFO, 0)
		for _, c := range [][]byte{
			cmsg(unix.IPPROTO_IP, unix.IP_TTL, 7, 0, 0, 0),
			cmsg(unix.IPPROTO_IP, unix.IP_TTL, 0, 0, 0, 0),
			cmsg(unix.IPPROTO_IP, unix.IP_TTL, 0, 1, 0, 0),
			cmsg(unix.IPPROTO_IP, unix.IP_TTL, 7),
			cmsg(unix.IPPROTO_IP, unix.IP_TOS, 0x20, 0, 0, 0),
			cmsg(unix.IPPROTO_IP, unix.IP_TOS, 0x20),
			cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0),
			cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, 0, 0, 0, 0, 127, 0, 0, 5, 0, 0, 0, 0),
			cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, 0, 0, 0),
			cmsg(unix.IPPROTO_IP, 99, 1, 0, 0, 0),
			cmsg(unix.IPPROTO_TCP, 1, 1, 0, 0, 0),
			{1, 2, 3},
			append([]byte{5}, make([]byte, 15)...),
			append([]byte{200}, make([]byte, 15)...),
		} {
			if r.SendControl(a, bsa, c) {
				r.Await(b, unix.POLLIN)
				r.RecvControl(b, 200)
			}
		}
		_ = asa
	})
	compare(t, "IPv6", func(r *trace) {
		a := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		b := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		r.Bind(b, sa6("::", 0))
		port := portOf(r.Name(b))
		for _, o := range []int{unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS} {
			r.SetInt(b, unix.IPPROTO_IPV6, o, 1)
			r.GetInt(b, unix.IPPROTO_IPV6, o)
		}
		r.Send(a, "x", sa6("::1", port), 0)
		r.Await(b, unix.POLLIN)
		r.RecvControl(b, 200)
		r.SendControl(a, sa6("::1", port), cmsg(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, 9, 0, 0, 0))
		r.Await(b, unix.POLLIN)
		r.RecvControl(b, 200)
		r.SendControl(a, sa6("::1", port), cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0x28, 0, 0, 0))
		r.Await(b, unix.POLLIN)
		r.RecvControl(b, 200)
		r.SendControl(a, sa6("::1", port), cmsg(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, 0, 1, 0, 0))
		r.SendControl(a, sa6("::1", port), cmsg(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, 9))
		c := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Send(c, "x", sa4("127.0.0.1", port), 0)
		r.Await(b, unix.POLLIN)
		r.RecvControl(b, 200)
	})
}
