package net

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Ancillary data [cmsg(3)]: messages of length (8 bytes, with this header), level (4), type (4) and data, each padded to
// 8 bytes.
const cmsgHeader = 16

func cmsgAlign(n int) int { return (n + 7) &^ 7 }

// controlOptions are the pieces of information that a datagram socket wants with each datagram.
type controlOptions struct{ bits atomic.Uint32 }

const (
	controlPktInfo = 1 << iota
	controlTTL
	controlTOS
	controlOrigDst
	controlPktInfo6
	controlHopLimit
	controlTClass
)

// controlIPv4 is the bit of an option of IPPROTO_IP.
func controlIPv4(name int) uint32 {
	switch name {
	case unix.IP_PKTINFO:
		return controlPktInfo
	case unix.IP_RECVTTL:
		return controlTTL
	case unix.IP_RECVTOS:
		return controlTOS
	}
	return controlOrigDst
}

// controlIPv6 is the bit of an option of IPPROTO_IPV6.
func controlIPv6(name int) uint32 {
	switch name {
	case unix.IPV6_RECVPKTINFO:
		return controlPktInfo6
	case unix.IPV6_RECVHOPLIMIT:
		return controlHopLimit
	}
	return controlTClass
}

func (c *controlOptions) set(bit uint32, on bool) {
	if on {
		c.bits.Or(bit)
	} else {
		c.bits.And(^bit)
	}
}

func (c *controlOptions) has(bit uint32) bool { return c.bits.Load()&bit != 0 }

// appendControl appends to m what the socket wants to know about a datagram.
func (s *datagramSocket) appendControl(m *Message, d *received) {
	switch s.timestamp.Load() {
	case unix.SO_TIMESTAMP_OLD:
		m.put(unix.SOL_SOCKET, unix.SO_TIMESTAMP_OLD, appendTime(nil, d.timeNS/1e9, d.timeNS%1e9/1e3))
	case unix.SO_TIMESTAMPNS_OLD:
		m.put(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_OLD, appendTime(nil, d.timeNS/1e9, d.timeNS%1e9))
	}
	want := s.ctl.bits.Load()
	if want == 0 {
		return
	}
	if !d.ipv6 {
		s.appendControl4(m, d, want)
		if s.family != unix.AF_INET6 {
			return
		}
	}
	if want&controlPktInfo6 != 0 {
		a := s.recvAddress(d.to).As16()
		m.put(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, binary.NativeEndian.AppendUint32(a[:], d.index))
	}
	if want&controlHopLimit != 0 && d.ipv6 {
		m.put(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, binary.NativeEndian.AppendUint32(nil, uint32(d.ttl)))
	}
	if want&controlTClass != 0 && d.ipv6 {
		m.put(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, uint32(d.tos)))
	}
}

// appendControl4 appends what is asked for with options of IPPROTO_IP.
func (s *datagramSocket) appendControl4(m *Message, d *received, want uint32) {
	if want&controlPktInfo != 0 { // struct in_pktinfo: interface, local address, destination in the header
		a := d.to.As4()
		b := binary.NativeEndian.AppendUint32(nil, d.index)
		b = append(b, a[:]...)
		m.put(unix.IPPROTO_IP, unix.IP_PKTINFO, append(b, a[:]...))
	}
	if want&controlTTL != 0 {
		m.put(unix.IPPROTO_IP, unix.IP_TTL, binary.NativeEndian.AppendUint32(nil, uint32(d.ttl)))
	}
	if want&controlTOS != 0 {
		m.put(unix.IPPROTO_IP, unix.IP_TOS, []byte{d.tos})
	}
	if want&controlOrigDst != 0 {
		e := endpoint{addr: d.to, port: s.ep.local().port}
		m.put(unix.IPPROTO_IP, unix.IP_ORIGDSTADDR, appendSockaddr(nil, unix.AF_INET, e))
	}
}

// appendTime appends a struct timeval or timespec.
func appendTime(b []byte, sec, fraction int64) []byte {
	b = binary.NativeEndian.AppendUint64(b, uint64(sec))
	return binary.NativeEndian.AppendUint64(b, uint64(fraction))
}

// put appends a control message, or as much of it as there is room for [recvmsg(2): MSG_CTRUNC].
func (m *Message) put(level, kind int, data []byte) {
	room := cap(m.Control) - len(m.Control)
	if room < cmsgHeader {
		m.Flags |= unix.MSG_CTRUNC
		return
	}
	n := cmsgHeader + len(data)
	if n > room {
		m.Flags |= unix.MSG_CTRUNC
		n = room
	}
	m.Control = binary.NativeEndian.AppendUint64(m.Control, uint64(n))
	m.Control = binary.NativeEndian.AppendUint32(m.Control, uint32(level))
	m.Control = binary.NativeEndian.AppendUint32(m.Control, uint32(kind))
	m.Control = append(m.Control, data[:n-cmsgHeader]...)
	for len(m.Control)&7 != 0 && len(m.Control) < cap(m.Control) {
		m.Control = append(m.Control, 0)
	}
}

// eachControl calls visit with each control message of b. A broken one is EINVAL, as in Linux's CMSG_OK.
func eachControl(b []byte, visit func(level, kind int, data []byte) error) error {
	for len(b) >= cmsgHeader {
		n := binary.NativeEndian.Uint64(b)
		if n < cmsgHeader || n > uint64(len(b)) {
			return unix.EINVAL
		}
		level, kind := int(int32(binary.NativeEndian.Uint32(b[8:]))), int(int32(binary.NativeEndian.Uint32(b[12:])))
		if err := visit(level, kind, b[cmsgHeader:n]); err != nil {
			return err
		}
		b = b[min(cmsgAlign(int(n)), len(b)):]
	}
	return nil
}

// parseControl reads the ancillary data of a Send.
func (s *datagramSocket) parseControl(b []byte) (sendControl, error) {
	var c sendControl
	err := eachControl(b, func(level, kind int, data []byte) error {
		switch level {
		case unix.SOL_SOCKET:
			return nil
		case unix.IPPROTO_IP:
			return c.parse4(kind, data)
		case unix.IPPROTO_IPV6:
			if s.family == unix.AF_INET6 {
				return c.parse6(kind, data)
			}
		case unix.IPPROTO_UDP:
			if s.protocol == unix.IPPROTO_UDP {
				return c.parseUDP(kind, data)
			}
		}
		return nil // other levels are skipped
	})
	return c, err
}

// parse4 reads a message of IPPROTO_IP.
func (c *sendControl) parse4(kind int, data []byte) error {
	switch {
	case kind == unix.IP_PKTINFO && len(data) == 12:
		c.index = binary.NativeEndian.Uint32(data)
		c.local = netip.AddrFrom4([4]byte(data[4:]))
	case kind == unix.IP_TTL && len(data) == 4:
		v := binary.NativeEndian.Uint32(data)
		if v < 1 || v > maxTTL {
			return unix.EINVAL
		}
		c.hasTTL, c.ttl = true, uint8(v)
	case kind == unix.IP_TOS && (len(data) == 4 || len(data) == 1):
		c.hasTOS, c.tos = true, data[0]
	default:
		return unix.EINVAL
	}
	return nil
}

// parseUDP reads a message of IPPROTO_UDP.
func (c *sendControl) parseUDP(kind int, data []byte) error {
	if kind != unix.UDP_SEGMENT || len(data) != 2 {
		return unix.EINVAL
	}
	c.hasSegment, c.segment = true, binary.NativeEndian.Uint16(data)
	return nil
}

// parse6 reads a message of IPPROTO_IPV6.
func (c *sendControl) parse6(kind int, data []byte) error {
	switch {
	case kind == unix.IPV6_PKTINFO && len(data) >= 20:
		c.local = netip.AddrFrom16([16]byte(data))
		c.index = binary.NativeEndian.Uint32(data[16:])
	case kind == unix.IPV6_HOPLIMIT && len(data) == 4:
		v := int32(binary.NativeEndian.Uint32(data))
		if v < -1 || v > maxTTL {
			return unix.EINVAL
		}
		c.hasTTL, c.ttl = v >= 0, uint8(v)
	case kind == unix.IPV6_TCLASS && len(data) == 4:
		v := int32(binary.NativeEndian.Uint32(data))
		if v < -1 || v > 0xff {
			return unix.EINVAL
		}
		c.hasTOS, c.tos = v >= 0, uint8(v)
	default:
		return unix.EINVAL
	}
	return nil
}

// maxRights is SCM_MAX_FD: the most descriptors that one message carries.
const maxRights = 253

// Rights returns the descriptors that the ancillary data of a Send wants passed [unix(7): SCM_RIGHTS].
func Rights(control []byte) (fds []int, err error) {
	err = eachControl(control, func(level, kind int, data []byte) error {
		if level != unix.SOL_SOCKET || kind != unix.SCM_RIGHTS {
			return nil
		}
		for ; len(data) >= 4; data = data[4:] {
			fds = append(fds, int(int32(binary.NativeEndian.Uint32(data))))
		}
		if len(fds) > maxRights {
			return unix.EINVAL
		}
		return nil
	})
	return fds, err
}

// RightsRoom is the number of descriptors that the ancillary data of a Recv has room for.
func (m *Message) RightsRoom() int { return max(cap(m.Control)-len(m.Control)-cmsgHeader, 0) / 4 }

// PutRights tells of descriptors that have been received.
func (m *Message) PutRights(fds []int) {
	var data []byte
	for _, fd := range fds {
		data = binary.NativeEndian.AppendUint32(data, uint32(fd))
	}
	m.put(unix.SOL_SOCKET, unix.SCM_RIGHTS, data)
}
