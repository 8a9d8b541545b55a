package net

import (
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// tcpStream is a TCP endpoint of the engine.
type tcpStream struct {
	n  *netstack
	ep tcpip.Endpoint
	q  *waiter.Queue

	more atomic.Bool // the last write had MSG_MORE: data may be held back
	cork atomic.Bool // TCP_CORK

	ipv6        bool
	tos, tclass atomic.Uint32 // IP_TOS and IPV6_TCLASS, of which the engine knows that of the connection's network only
	sentTOS     atomic.Uint32 // what the engine knows

	buffers streamBuffers
}

// newStream implements engine.
func (n *netstack) newStream(ipv6 bool, q *waiter.Queue) stream {
	s := &tcpStream{n: n, q: q, ipv6: ipv6}
	ep, err := n.stack.NewEndpoint(tcp.ProtocolNumber, networkFamily(ipv6), s.q)
	if err != nil {
		panic("net: the engine has no TCP: " + err.String())
	}
	s.ep = ep
	n.streams.Add(1)
	if ipv6 {
		ep.SocketOptions().SetV6Only(false)
	}
	return s
}

func networkFamily(ipv6 bool) tcpip.NetworkProtocolNumber {
	if ipv6 {
		return header.IPv6ProtocolNumber
	}
	return header.IPv4ProtocolNumber
}

func (s *tcpStream) queue() *waiter.Queue { return s.q }

func (s *tcpStream) bind(e endpoint) error {
	return s.n.ports.choose(unix.EADDRINUSE, func() tcpip.Error { return s.ep.Bind(fullAddress(e)) })
}

func (s *tcpStream) connect(e endpoint) error {
	s.useTOS(e.addr)
	return s.n.ports.choose(unix.EADDRNOTAVAIL, func() tcpip.Error { return s.ep.Connect(fullAddress(e)) })
}

func (s *tcpStream) listen(backlog int) error {
	defer s.listenSmall()()
	return s.n.ports.choose(unix.EADDRINUSE, func() tcpip.Error { return s.ep.Listen(backlog) })
}

func (s *tcpStream) accept() (stream, endpoint, error) {
	var peer tcpip.FullAddress
	ep, q, err := s.ep.Accept(&peer)
	if err != nil {
		return nil, endpoint{}, errno(err)
	}
	s.n.streams.Add(1)
	t := &tcpStream{n: s.n, ep: ep, q: q, ipv6: s.ipv6}
	t.tos.Store(s.tos.Load())
	t.tclass.Store(s.tclass.Load())
	e := endpointOf(peer)
	t.useTOS(e.addr)
	t.begin()
	return t, e, nil
}

// useTOS has the engine send with the type of service, or traffic class, of the network that the peer is on.
func (s *tcpStream) useTOS(peer netip.Addr) {
	v := s.tos.Load()
	if s.ipv6 && !peer.Unmap().Is4() {
		v = s.tclass.Load()
	}
	if s.sentTOS.Swap(v) != v {
		s.ep.SetSockOptInt(tcpip.IPv4TOSOption, int(v)) // one value for both networks
	}
}

func (s *tcpStream) local() endpoint {
	a, err := s.ep.GetLocalAddress()
	if err != nil {
		return endpoint{}
	}
	return endpointOf(a)
}

func (s *tcpStream) source(peer endpoint) netip.Addr {
	to, network := peer.addr.Unmap(), networkFamily(!peer.addr.Unmap().Is4())
	switch {
	case !to.IsUnspecified():
	case to.Is4():
		to = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		to = netip.IPv6Loopback()
	}
	r, err := s.n.stack.FindRoute(tcpip.NICID(peer.scope), tcpip.Address{}, addressOf(to), network, false)
	if err != nil {
		return netip.Addr{}
	}
	defer r.Release()
	return netipOf(r.LocalAddress())
}

func (s *tcpStream) peer() (endpoint, error) {
	a, err := s.ep.GetRemoteAddress()
	if err != nil {
		return endpoint{}, errno(err)
	}
	return endpointOf(a), nil
}

func (s *tcpStream) read(dst io.Writer, peek bool) (int, error) {
	r, err := s.ep.Read(dst, tcpip.ReadOptions{Peek: peek})
	if err != nil {
		if _, ok := err.(*tcpip.ErrClosedForReceive); ok {
			return 0, nil
		}
		return 0, errno(err)
	}
	if !peek && r.Count > 0 {
		s.moderate(r.Count)
	}
	return r.Count, nil
}

func (s *tcpStream) readable() int {
	n, err := s.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	if err != nil {
		return 0
	}
	return n
}

// write hands bytes to the engine. MSG_MORE is a cork that the next write without it pulls [send(2)].
func (s *tcpStream) write(src source, more bool) (int, error) {
	if more && !s.more.Load() {
		s.more.Store(true)
		s.ep.SocketOptions().SetCorkOption(true)
	}
	s.boundSend()
	n, err := s.ep.Write(src, tcpip.WriteOptions{})
	if !more && s.more.Load() {
		s.more.Store(false)
		s.ep.SocketOptions().SetCorkOption(s.cork.Load())
	}
	return int(n), errno(err)
}

func (s *tcpStream) shutdown(read, write bool) error {
	var f tcpip.ShutdownFlags
	if read {
		f |= tcpip.ShutdownRead
	}
	if write {
		f |= tcpip.ShutdownWrite
	}
	return errno(s.ep.Shutdown(f))
}

func (s *tcpStream) ready() (in, out, ended bool) {
	r := s.ep.Readiness(waiter.EventIn | waiter.EventOut)
	return r&waiter.EventIn != 0, r&waiter.EventOut != 0, r&waiter.EventRdHUp != 0
}

func (s *tcpStream) state() streamState {
	switch tcp.EndpointState(s.ep.State()) {
	case tcp.StateListen:
		return streamListening
	case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		return streamConnecting
	case tcp.StateEstablished:
		return streamEstablished
	case tcp.StateFinWait1, tcp.StateFinWait2:
		return streamFinWait
	case tcp.StateCloseWait:
		return streamCloseWait
	case tcp.StateClosing, tcp.StateLastAck:
		return streamClosing
	case tcp.StateTimeWait, tcp.StateClose:
		return streamDone
	case tcp.StateError:
		return streamFailed
	}
	return streamInitial
}

// takeError takes the errors that the engine keeps in two places: what ended the connection, and a soft one.
func (s *tcpStream) takeError() error {
	err := s.ep.LastError()
	if err != nil {
		s.ep.LastError()
	}
	return errno(err)
}

func (s *tcpStream) congestion() string {
	var v tcpip.CongestionControlOption
	if err := s.ep.GetSockOpt(&v); err != nil {
		return ""
	}
	return string(v)
}

func (s *tcpStream) setCongestion(name string) error {
	v := tcpip.CongestionControlOption(name)
	return errno(s.ep.SetSockOpt(&v))
}

// linuxTCPState is TCP_ESTABLISHED and so on of Linux's tcp_states.h, by engine state.
func linuxTCPState(s tcp.EndpointState) uint8 {
	switch s {
	case tcp.StateEstablished:
		return 1
	case tcp.StateSynSent, tcp.StateConnecting:
		return 2
	case tcp.StateSynRecv:
		return 3
	case tcp.StateFinWait1:
		return 4
	case tcp.StateFinWait2:
		return 5
	case tcp.StateTimeWait:
		return 6
	case tcp.StateCloseWait:
		return 8
	case tcp.StateLastAck:
		return 9
	case tcp.StateListen:
		return 10
	case tcp.StateClosing:
		return 11
	}
	return 7 // TCP_CLOSE
}

func (s *tcpStream) info() streamInfo {
	var i tcpip.TCPInfoOption
	if err := s.ep.GetSockOpt(&i); err != nil {
		return streamInfo{state: 7}
	}
	out := streamInfo{
		state:         linuxTCPState(tcp.EndpointState(s.ep.State())),
		rtoUS:         uint32(i.RTO / time.Microsecond),
		rttUS:         uint32(i.RTT / time.Microsecond),
		rttVar:        uint32(i.RTTVar / time.Microsecond),
		sndCwnd:       i.SndCwnd,
		sndSsthresh:   i.SndSsthresh,
		rcvSpaceBytes: uint32(s.receiveBuffer()),
	}
	switch i.CcState {
	case tcpip.Disorder:
		out.congestionState = 1
	case tcpip.FastRecovery, tcpip.SACKRecovery:
		out.congestionState = 3
	case tcpip.RTORecovery:
		out.congestionState = 4
	}
	if v, err := s.ep.GetSockOptInt(tcpip.MaxSegOption); err == nil {
		out.sndMSS = uint32(v)
	}
	return out
}

func (s *tcpStream) close() {
	s.ep.Close()
	s.n.streams.Add(-1)
	s.n.limitTimeWait()
}

// streamInt tells by which number the engine knows an option that it takes as an integer in our units.
func streamInt(o option) (tcpip.SockOptInt, bool) {
	switch o {
	case optTTL:
		return tcpip.IPv4TTLOption, true
	case optHopLimit:
		return tcpip.IPv6HopLimitOption, true
	case optKeepCount:
		return tcpip.KeepaliveCountOption, true
	case optMaxSeg:
		return tcpip.MaxSegOption, true
	case optMTUDiscover:
		return tcpip.MTUDiscoverOption, true
	case optSynCount:
		return tcpip.TCPSynCountOption, true
	case optWindowClamp:
		return tcpip.TCPWindowClampOption, true
	}
	return 0, false
}

func (s *tcpStream) setOption(o option, v int) error {
	if so, ok := streamInt(o); ok {
		return errno(s.ep.SetSockOptInt(so, v))
	}
	d := time.Duration(v) * time.Millisecond
	ops := s.ep.SocketOptions()
	switch o {
	case optTOS, optTClass:
		const ecn = 3 // which is TCP's own [RFC 3168 5]
		if o == optTOS {
			s.tos.Store(uint32(v &^ ecn))
		} else {
			s.tclass.Store(uint32(v &^ ecn))
		}
		peer, _ := s.peer()
		s.useTOS(peer.addr)
	case optV6Only:
		ops.SetV6Only(v != 0)
	case optReuseAddr:
		ops.SetReuseAddress(v != 0)
	case optReusePort:
		ops.SetReusePort(v != 0)
	case optBroadcast:
		ops.SetBroadcast(v != 0)
	case optKeepAlive:
		ops.SetKeepAlive(v != 0)
	case optLingerMS:
		ops.SetLinger(tcpip.LingerOption{Enabled: v >= 0, Timeout: max(d, 0)})
	case optRcvBuf:
		s.buffers.receiveSet.Store(true)
		s.buffers.receive.Store(0)
		ops.SetReceiveBufferSize(int64(v), true)
	case optSndBuf:
		s.buffers.sendSet.Store(true)
		ops.SetSendBufferSize(int64(v), true)
	case optBindToDevice:
		return errno(ops.SetBindToDevice(int32(v)))
	case optNoDelay:
		ops.SetDelayOption(v == 0)
	case optCork:
		s.cork.Store(v != 0)
		ops.SetCorkOption(v != 0)
	case optQuickAck:
		ops.SetQuickAck(v != 0)
	case optMark:
		ops.SetMark(uint32(v))
	default:
		return s.setDuration(o, d)
	}
	return nil
}

// setDuration sets the options that are durations.
func (s *tcpStream) setDuration(o option, d time.Duration) error {
	switch o {
	case optKeepIdleMS:
		v := tcpip.KeepaliveIdleOption(d)
		return errno(s.ep.SetSockOpt(&v))
	case optKeepIntervalMS:
		v := tcpip.KeepaliveIntervalOption(d)
		return errno(s.ep.SetSockOpt(&v))
	case optUserTimeoutMS:
		v := tcpip.TCPUserTimeoutOption(d)
		return errno(s.ep.SetSockOpt(&v))
	case optDeferAcceptMS:
		v := tcpip.TCPDeferAcceptOption(d)
		return errno(s.ep.SetSockOpt(&v))
	case optLinger2MS:
		v := tcpip.TCPLingerTimeoutOption(d)
		return errno(s.ep.SetSockOpt(&v))
	}
	return unix.ENOPROTOOPT
}

func (s *tcpStream) option(o option) (int, error) {
	if so, ok := streamInt(o); ok {
		v, err := s.ep.GetSockOptInt(so)
		return v, errno(err)
	}
	ops := s.ep.SocketOptions()
	switch o {
	case optTOS:
		return int(s.tos.Load()), nil
	case optTClass:
		return int(s.tclass.Load()), nil
	case optV6Only:
		return boolOption(ops.GetV6Only()), nil
	case optReuseAddr:
		return boolOption(ops.GetReuseAddress()), nil
	case optReusePort:
		return boolOption(ops.GetReusePort()), nil
	case optBroadcast:
		return boolOption(ops.GetBroadcast()), nil
	case optKeepAlive:
		return boolOption(ops.GetKeepAlive()), nil
	case optLingerMS:
		l := ops.GetLinger()
		if !l.Enabled {
			return -1, nil
		}
		return milliseconds(l.Timeout), nil
	case optRcvBuf:
		return s.receiveBuffer(), nil
	case optRcvRoom:
		return int(ops.GetReceiveBufferSize()), nil
	case optSndBuf:
		return int(ops.GetSendBufferSize()), nil
	case optBindToDevice:
		return int(ops.GetBindToDevice()), nil
	case optNoDelay:
		return boolOption(!ops.GetDelayOption()), nil
	case optCork:
		return boolOption(s.cork.Load()), nil
	case optQuickAck:
		return boolOption(ops.GetQuickAck()), nil
	case optMark:
		return int(ops.GetMark()), nil
	}
	return s.duration(o)
}

// duration returns the options that are durations.
func (s *tcpStream) duration(o option) (int, error) {
	switch o {
	case optKeepIdleMS:
		var v tcpip.KeepaliveIdleOption
		err := s.ep.GetSockOpt(&v)
		return milliseconds(time.Duration(v)), errno(err)
	case optKeepIntervalMS:
		var v tcpip.KeepaliveIntervalOption
		err := s.ep.GetSockOpt(&v)
		return milliseconds(time.Duration(v)), errno(err)
	case optUserTimeoutMS:
		var v tcpip.TCPUserTimeoutOption
		err := s.ep.GetSockOpt(&v)
		return milliseconds(time.Duration(v)), errno(err)
	case optDeferAcceptMS:
		var v tcpip.TCPDeferAcceptOption
		err := s.ep.GetSockOpt(&v)
		return milliseconds(time.Duration(v)), errno(err)
	case optLinger2MS:
		var v tcpip.TCPLingerTimeoutOption
		err := s.ep.GetSockOpt(&v)
		return milliseconds(time.Duration(v)), errno(err)
	}
	return 0, unix.ENOPROTOOPT
}

var _ stream = (*tcpStream)(nil)
