package net

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// portID is the address of a netlink socket: given by bind, or chosen at the first send.
type portID struct {
	mu sync.Mutex
	id uint32 // guarded by mu; 0: none yet
}

// claim gives the socket an address, if it has none; want 0 lets the stack choose. false: it has
// another one already.
func (p *portID) claim(want uint32, next *atomic.Uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.id != 0:
		return want == 0 || want == p.id
	case want != 0:
		p.id = want
	default:
		p.id = next.Add(1)
	}
	return true
}

func (p *portID) get() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// A netlink message is length 4, type 2, flags 2, sequence 4, port 4, then what the type has, then attributes: length
// 2, type 2, value, each padded to 4 bytes [netlink(7)].
const (
	nlHeader  = 16
	rtaHeader = 4
	// nlDatagram bounds what goes into one datagram: Go's syscall.NetlinkRIB reads a page at a time.
	nlDatagram = 4096
)

func nlAlign(n int) int { return (n + 3) &^ 3 }

// reply builds the answer to one request.
type reply struct {
	s    *netlinkSocket
	seq  uint32
	port uint32
	buf  []byte // the datagram in work
	at   int    // where its last message begins
}

// begin starts a message.
func (r *reply) begin(kind uint16, flags uint16, fixed int) []byte {
	r.at = len(r.buf)
	r.buf = binary.NativeEndian.AppendUint32(r.buf, 0)
	r.buf = binary.NativeEndian.AppendUint16(r.buf, kind)
	r.buf = binary.NativeEndian.AppendUint16(r.buf, flags)
	r.buf = binary.NativeEndian.AppendUint32(r.buf, r.seq)
	r.buf = binary.NativeEndian.AppendUint32(r.buf, r.port)
	n := len(r.buf)
	r.buf = append(r.buf, make([]byte, fixed)...)
	return r.buf[n:]
}

// attr appends an attribute to the message.
func (r *reply) attr(kind uint16, v []byte) {
	r.buf = binary.NativeEndian.AppendUint16(r.buf, uint16(rtaHeader+len(v)))
	r.buf = binary.NativeEndian.AppendUint16(r.buf, kind)
	r.buf = append(r.buf, v...)
	for len(r.buf)&3 != 0 {
		r.buf = append(r.buf, 0)
	}
}

func (r *reply) attr32(kind uint16, v uint32) {
	r.attr(kind, binary.NativeEndian.AppendUint32(nil, v))
}

func (r *reply) attrAddr(kind uint16, a netip.Addr) { r.attr(kind, a.AsSlice()) }

// end finishes the message. One that doesn't fit any more begins the next datagram.
func (r *reply) end() {
	binary.NativeEndian.PutUint32(r.buf[r.at:], uint32(len(r.buf)-r.at))
	if len(r.buf) > nlDatagram && r.at > 0 {
		last := append([]byte(nil), r.buf[r.at:]...)
		r.buf = r.buf[:r.at]
		r.flush()
		r.buf = last
	}
}

// flush queues the datagram.
func (r *reply) flush() {
	if len(r.buf) > 0 {
		r.s.queue.deliver(received{payload: bytesPayload(r.buf)})
		r.buf = nil
	}
}

// handle answers the requests of one datagram.
func (s *netlinkSocket) handle(b []byte) {
	for len(b) >= nlHeader {
		n := int(binary.NativeEndian.Uint32(b))
		if n < nlHeader || n > len(b) {
			return
		}
		s.request(b[:n])
		b = b[min(nlAlign(n), len(b)):]
	}
}

// request answers one request.
func (s *netlinkSocket) request(q []byte) {
	kind, flags := binary.NativeEndian.Uint16(q[4:]), binary.NativeEndian.Uint16(q[6:])
	if flags&unix.NLM_F_REQUEST == 0 || kind < unix.NLMSG_MIN_TYPE {
		if flags&unix.NLM_F_ACK != 0 {
			s.acknowledge(q, 0)
		}
		return
	}
	r := &reply{s: s, seq: binary.NativeEndian.Uint32(q[8:]), port: s.port.get()}
	var err unix.Errno
	switch dump := flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP; {
	case dump:
		if err = s.dump(kind, q[nlHeader:], r); err == 0 {
			r.begin(unix.NLMSG_DONE, unix.NLM_F_MULTI, 4)
			r.end()
			r.flush()
			return // a dump's end is its acknowledgement
		}
	case kind == unix.RTM_GETLINK:
		err = s.getLink(q[nlHeader:], r)
	case kind&3 == rtmGet:
		err = unix.EOPNOTSUPP
	default:
		err = unix.EPERM
	}
	r.flush()
	if err != 0 || flags&unix.NLM_F_ACK != 0 {
		s.acknowledge(q, err)
	}
}

// rtmGet is what the two low bits of the type of a question are [linux/rtnetlink.h].
const rtmGet = 2

// acknowledge queues an NLMSG_ERROR: the errno, 0 for success, and the header of the request, or all of
// it if it has failed.
func (s *netlinkSocket) acknowledge(q []byte, err unix.Errno) {
	r := &reply{s: s, seq: binary.NativeEndian.Uint32(q[8:]), port: s.port.get()}
	fixed := r.begin(unix.NLMSG_ERROR, 0, 4)
	binary.NativeEndian.PutUint32(fixed, uint32(-int32(err)))
	if err == 0 {
		q = q[:nlHeader]
	}
	r.buf = append(r.buf, q...)
	for len(r.buf)&3 != 0 {
		r.buf = append(r.buf, 0)
	}
	r.end()
	r.flush()
}

// dump answers a request for a table.
func (s *netlinkSocket) dump(kind uint16, q []byte, r *reply) unix.Errno {
	var family byte
	if len(q) > 0 {
		family = q[0]
	}
	switch kind {
	case unix.RTM_GETLINK:
		for _, l := range s.stack.linkInfos() {
			s.putLink(r, &l, unix.NLM_F_MULTI)
		}
	case unix.RTM_GETADDR:
		for _, l := range s.stack.linkInfos() {
			for _, p := range l.addrs {
				if family == unix.AF_UNSPEC || family == addrFamily(p.Addr()) {
					putAddress(r, &l, p)
				}
			}
		}
	case unix.RTM_GETROUTE:
		for _, t := range s.stack.engine.routes() {
			if t.index != loopbackIndex && (family == unix.AF_UNSPEC || family == addrFamily(t.dst.Addr())) {
				s.putRoute(r, t)
			}
		}
	case unix.RTM_GETNEIGH, unix.RTM_GETRULE, unix.RTM_GETQDISC, unix.RTM_GETNEIGHTBL, unix.RTM_GETADDRLABEL:
		// empty tables
	default:
		return unix.EOPNOTSUPP
	}
	return 0
}

// getLink answers a request for one interface, by index or name.
func (s *netlinkSocket) getLink(q []byte, r *reply) unix.Errno {
	if len(q) < unix.SizeofIfInfomsg {
		return unix.EINVAL
	}
	index := binary.NativeEndian.Uint32(q[4:])
	name := ""
	for a := q[unix.SizeofIfInfomsg:]; len(a) >= rtaHeader; {
		n := int(binary.NativeEndian.Uint16(a))
		if n < rtaHeader || n > len(a) {
			break
		}
		if binary.NativeEndian.Uint16(a[2:]) == unix.IFLA_IFNAME {
			name = unix.ByteSliceToString(a[rtaHeader:n])
		}
		a = a[min(nlAlign(n), len(a)):]
	}
	if index == 0 && name == "" {
		return unix.EINVAL
	}
	for _, l := range s.stack.linkInfos() {
		if index != 0 && l.index == index || index == 0 && l.name == name {
			s.putLink(r, &l, 0)
			return 0
		}
	}
	return unix.ENODEV
}

func addrFamily(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// putLink appends an RTM_NEWLINK: struct ifinfomsg is family 1, padding 1, type 2, index 4, flags 4, change 4.
func (s *netlinkSocket) putLink(r *reply, l *linkInfo, flags uint16) {
	const operUnknown, operDown, operUp = 0, 2, 6 // [RFC 2863]
	m := r.begin(unix.RTM_NEWLINK, flags, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(m[2:], l.kind)
	binary.NativeEndian.PutUint32(m[4:], l.index)
	binary.NativeEndian.PutUint32(m[8:], l.flags)
	r.attr(unix.IFLA_IFNAME, append([]byte(l.name), 0))
	r.attr32(unix.IFLA_TXQLEN, txQueueLength)
	oper := byte(operDown)
	switch {
	case l.flags&unix.IFF_LOOPBACK != 0:
		oper = operUnknown
	case l.flags&unix.IFF_LOWER_UP != 0:
		oper = operUp
	}
	r.attr(unix.IFLA_OPERSTATE, []byte{oper})
	r.attr(unix.IFLA_LINKMODE, []byte{0})
	r.attr32(unix.IFLA_MTU, uint32(l.mtu))
	r.attr(unix.IFLA_CARRIER, []byte{byte(boolOption(l.flags&unix.IFF_LOWER_UP != 0))})
	r.attr(unix.IFLA_ADDRESS, l.mac[:])
	brd := [6]byte{}
	if l.flags&unix.IFF_BROADCAST != 0 {
		brd = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	r.attr(unix.IFLA_BROADCAST, brd[:])
	r.attr(unix.IFLA_STATS64, s.stats64(l.index))
	r.end()
}

// stats64 is a struct rtnl_link_stats64 of 25 counters, the first eight of which are packets, bytes, errors, and
// drops, received and sent.
func (s *netlinkSocket) stats64(index uint32) []byte {
	st := s.stack.engine.linkStats(index)
	var b [25 * 8]byte
	for i, v := range []uint64{st.rxPackets, st.txPackets, st.rxBytes, st.txBytes, 0, 0, st.rxDropped, st.txDropped} {
		binary.NativeEndian.PutUint64(b[8*i:], v)
	}
	return b[:]
}

// putAddress appends an RTM_NEWADDR: struct ifaddrmsg is family 1, prefix length 1, flags 1, scope 1, index 4.
func putAddress(r *reply, l *linkInfo, p netip.Prefix) {
	m := r.begin(unix.RTM_NEWADDR, unix.NLM_F_MULTI, unix.SizeofIfAddrmsg)
	m[0], m[1], m[2] = addrFamily(p.Addr()), byte(p.Bits()), unix.IFA_F_PERMANENT
	switch {
	case p.Addr().IsLoopback():
		m[3] = unix.RT_SCOPE_HOST
	case p.Addr().IsLinkLocalUnicast():
		m[3] = unix.RT_SCOPE_LINK
	}
	binary.NativeEndian.PutUint32(m[4:], l.index)
	r.attrAddr(unix.IFA_ADDRESS, p.Addr())
	if p.Addr().Is4() {
		r.attrAddr(unix.IFA_LOCAL, p.Addr())
		if l.flags&unix.IFF_BROADCAST != 0 && p.Bits() < 31 {
			r.attrAddr(unix.IFA_BROADCAST, broadcastOf(p))
		}
		r.attr(unix.IFA_LABEL, append([]byte(l.name), 0))
	}
	r.attr32(unix.IFA_FLAGS, unix.IFA_F_PERMANENT)
	const forever = 0xffffffff // preferred, valid; created, updated
	ci := binary.NativeEndian.AppendUint32(nil, forever)
	ci = binary.NativeEndian.AppendUint32(ci, forever)
	r.attr(unix.IFA_CACHEINFO, append(ci, make([]byte, 8)...))
	r.end()
}

// putRoute appends an RTM_NEWROUTE: struct rtmsg is family 1, destination and source length 1 each, TOS 1, table 1,
// protocol 1, scope 1, type 1, flags 4.
func (s *netlinkSocket) putRoute(r *reply, t route) {
	m := r.begin(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, unix.SizeofRtMsg)
	m[0], m[1], m[4], m[5], m[7] = addrFamily(t.dst.Addr()), byte(t.dst.Bits()), unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RTN_UNICAST
	if !t.gateway.IsValid() {
		m[5] = unix.RTPROT_KERNEL
		if t.dst.Addr().Is4() {
			m[6] = unix.RT_SCOPE_LINK
		}
	}
	r.attr32(unix.RTA_TABLE, unix.RT_TABLE_MAIN)
	if t.dst.Bits() > 0 {
		r.attrAddr(unix.RTA_DST, t.dst.Addr())
	}
	if t.gateway.IsValid() {
		r.attrAddr(unix.RTA_GATEWAY, t.gateway)
	}
	r.attr32(unix.RTA_OIF, t.index)
	r.end()
}
