package net

import (
	"encoding/binary"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// putErrno stores an error as SO_ERROR tells it.
func putErrno(dst []byte, err error) (int, error) {
	if e, ok := err.(unix.Errno); ok {
		return putInt(dst, int(e))
	}
	return putInt(dst, 0)
}

// parseLinger reads a struct linger; -1 is off.
func parseLinger(v []byte) (milliseconds int, err error) {
	if len(v) < 8 {
		return 0, unix.EINVAL
	}
	if binary.NativeEndian.Uint32(v) == 0 {
		return -1, nil
	}
	return int(min(int64(binary.NativeEndian.Uint32(v[4:])), math.MaxInt32/1000) * 1000), nil
}

// putLingerMS stores a struct linger.
func putLingerMS(dst []byte, ms int) (int, error) {
	var b [8]byte
	if ms >= 0 {
		binary.NativeEndian.PutUint32(b[:], 1)
		binary.NativeEndian.PutUint32(b[4:], uint32(ms/1000))
	}
	return copy(dst, b[:]), nil
}

// keepLinger is SO_LINGER for sockets that never linger.
func (b *base) keepLinger(v []byte) error {
	ms, err := parseLinger(v)
	if err != nil {
		return err
	}
	return b.keep(unix.SOL_SOCKET, unix.SO_LINGER, ms+1)
}

func (b *base) putLinger(dst []byte) (int, error) {
	return putLingerMS(dst, b.recall(unix.SOL_SOCKET, unix.SO_LINGER)-1)
}

// setRecorded sets an option of the endpoint, and of the one that may follow it.
func (s *streamSocket) setRecorded(o option, v int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stream().setOption(o, v); err != nil {
		return err
	}
	for i := range s.set {
		if s.set[i].o == o {
			s.set[i].v = v
			return nil
		}
	}
	s.set = append(s.set, recordedOption{o, v})
	return nil
}

// recordCongestion is TCP_CONGESTION.
func (s *streamSocket) recordCongestion(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.stream().setCongestion(name)
	if err == nil {
		s.congestion = name
	}
	return err
}

// recorder is a stream socket as an optioner.
type recorder streamSocket

func (r *recorder) setOption(o option, v int) error { return (*streamSocket)(r).setRecorded(o, v) }
func (r *recorder) option(o option) (int, error)    { return (*streamSocket)(r).stream().option(o) }
func (r *recorder) local() endpoint                 { return (*streamSocket)(r).stream().local() }
func (r *recorder) peer() (endpoint, error)         { return (*streamSocket)(r).stream().peer() }

// setIPv4 sets an option of IPPROTO_IP. Those about datagrams mean nothing to a connection, but can be set, as on Linux.
func (s *streamSocket) setIPv4(name int, v []byte) error {
	switch name {
	case unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_RECVORIGDSTADDR:
		i, err := byteOrInt(v)
		if err != nil {
			return err
		}
		return s.keep(unix.IPPROTO_IP, name, boolOption(i != 0))
	case unix.IP_MULTICAST_TTL:
		return unix.EINVAL
	case unix.IP_MULTICAST_LOOP:
		i, err := byteOrInt(v)
		if err != nil || len(v) == 0 {
			return unix.EINVAL
		}
		return s.keep(unix.IPPROTO_IP, name, boolOption(i == 0))
	}
	return s.setIP((*recorder)(s), name, v)
}

// getIPv4 reads an option of IPPROTO_IP.
func (s *streamSocket) getIPv4(name int, dst []byte) (int, error) {
	switch name {
	case unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_RECVORIGDSTADDR:
		return putByteOrInt(dst, s.recall(unix.IPPROTO_IP, name))
	case unix.IP_MULTICAST_TTL:
		return putByteOrInt(dst, 1)
	case unix.IP_MULTICAST_LOOP:
		return putByteOrInt(dst, 1-s.recall(unix.IPPROTO_IP, name))
	}
	return s.ip((*recorder)(s), name, dst)
}

// setIPv6Stream sets an option of IPPROTO_IPV6.
func (s *streamSocket) setIPv6Stream(name int, v []byte) error {
	if s.family == unix.AF_INET6 {
		i, err := intOption(v)
		switch name {
		case unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS:
			if err != nil {
				return err
			}
			return s.keep(unix.IPPROTO_IPV6, name, boolOption(i != 0))
		case unix.IPV6_MULTICAST_LOOP:
			if err != nil || i != 0 && i != 1 {
				return unix.EINVAL
			}
			return s.keep(unix.IPPROTO_IPV6, name, 1-i)
		case unix.IPV6_MULTICAST_HOPS:
			return unix.ENOPROTOOPT
		}
	}
	return s.setIPv6((*recorder)(s), name, v)
}

// getIPv6Stream reads an option of IPPROTO_IPV6.
func (s *streamSocket) getIPv6Stream(name int, dst []byte) (int, error) {
	if s.family == unix.AF_INET6 {
		switch name {
		case unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS:
			return putInt(dst, s.recall(unix.IPPROTO_IPV6, name))
		case unix.IPV6_MULTICAST_HOPS:
			return putInt(dst, 1)
		case unix.IPV6_MULTICAST_LOOP:
			return putInt(dst, 1-s.recall(unix.IPPROTO_IPV6, name))
		}
	}
	return s.ipv6((*recorder)(s), name, dst)
}

// SetOption implements Socket.
func (s *streamSocket) SetOption(level, name int, v []byte) error {
	ep := (*recorder)(s)
	switch level {
	case unix.SOL_SOCKET:
		switch name {
		case unix.SO_LINGER:
			ms, err := parseLinger(v)
			if err != nil {
				return err
			}
			return s.setRecorded(optLingerMS, ms)
		case unix.SO_RCVLOWAT:
			i, err := intOption(v)
			if err != nil {
				return err
			}
			return s.setRecvLowat(lowat(i))
		case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
			return s.setBuffer(name, v)
		case unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
			i, err := intOption(v)
			if err != nil {
				return err
			}
			return s.keep(level, name, boolOption(i != 0))
		}
		return s.setSocketLevel(ep, name, v)
	case unix.IPPROTO_IP:
		return s.setIPv4(name, v)
	case unix.IPPROTO_IPV6:
		return s.setIPv6Stream(name, v)
	case unix.IPPROTO_TCP:
		return s.setTCP(name, v)
	}
	return unix.ENOPROTOOPT
}

// setBuffer sets a buffer's size, for good: it isn't tuned any more.
//
// DEVIATION: SO_SNDBUFFORCE and SO_RCVBUFFORCE obey the same bounds, because the engine takes in one go what it has room for.
func (s *streamSocket) setBuffer(name int, v []byte) error {
	i, err := intOption(v)
	if err != nil {
		return err
	}
	if name == unix.SO_RCVBUF || name == unix.SO_RCVBUFFORCE {
		return s.setRecorded(optRcvBuf, bufferSize(i, s.stack.options.MaxBuffer, minRecvBuffer, false))
	}
	return s.setRecorded(optSndBuf, bufferSize(i, s.stack.options.MaxBuffer, minSendBuffer, false))
}

// Linux's bounds of the TCP options [include/net/tcp.h].
const (
	maxKeepIdle     = 32767 // MAX_TCP_KEEPIDLE, seconds
	maxKeepInterval = 32767
	maxKeepCount    = 127
	maxSynCount     = 127
	maxMSS          = 32767 // MAX_TCP_WINDOW
	minMSS          = 88    // TCP_MIN_MSS
	congestionName  = 16    // TCP_CA_NAME_MAX
)

// seconds checks a number of seconds.
func secondsOption(i, most int) (milliseconds int, err error) {
	if i < 1 || i > most {
		return 0, unix.EINVAL
	}
	return i * int(time.Second/time.Millisecond), nil
}

func (s *streamSocket) setTCP(name int, v []byte) error {
	if name == unix.TCP_CONGESTION {
		if len(v) == 0 {
			return unix.EINVAL
		}
		return s.recordCongestion(unix.ByteSliceToString(v[:min(len(v), congestionName-1)]))
	}
	i, err := intOption(v)
	if err != nil {
		return err
	}
	switch name {
	case unix.TCP_NODELAY:
		return s.setRecorded(optNoDelay, boolOption(i != 0))
	case unix.TCP_CORK:
		return s.setRecorded(optCork, boolOption(i != 0))
	case unix.TCP_QUICKACK:
		return s.setRecorded(optQuickAck, boolOption(i != 0))
	case unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL:
		ms, err := secondsOption(i, maxKeepIdle)
		if err != nil {
			return err
		}
		if name == unix.TCP_KEEPIDLE {
			return s.setRecorded(optKeepIdleMS, ms)
		}
		return s.setRecorded(optKeepIntervalMS, ms)
	case unix.TCP_KEEPCNT:
		if i < 1 || i > maxKeepCount {
			return unix.EINVAL
		}
		return s.setRecorded(optKeepCount, i)
	case unix.TCP_SYNCNT:
		if i < 1 || i > maxSynCount {
			return unix.EINVAL
		}
		return s.setRecorded(optSynCount, i)
	case unix.TCP_MAXSEG:
		if i != 0 && (i < minMSS || i > maxMSS) {
			return unix.EINVAL
		}
		if i == 0 {
			return nil
		}
		return s.setRecorded(optMaxSeg, i)
	case unix.TCP_USER_TIMEOUT:
		if i < 0 {
			return unix.EINVAL
		}
		return s.setRecorded(optUserTimeoutMS, i)
	case unix.TCP_DEFER_ACCEPT:
		return s.setRecorded(optDeferAcceptMS, min(max(i, 0), 3600)*1000)
	case unix.TCP_LINGER2:
		if i < 0 {
			return s.setRecorded(optLinger2MS, -1)
		}
		return s.setRecorded(optLinger2MS, min(i, 120)*1000)
	case unix.TCP_WINDOW_CLAMP:
		return s.setRecorded(optWindowClamp, max(i, 0))
	case unix.TCP_FASTOPEN, unix.TCP_FASTOPEN_CONNECT, unix.TCP_NOTSENT_LOWAT, unix.TCP_THIN_LINEAR_TIMEOUTS,
		unix.TCP_THIN_DUPACK, unix.TCP_TX_DELAY, unix.TCP_INQ:
		// DEVIATION: accepted without effect. Data never goes with the SYN, which is what a
		// server without the cookie sees on Linux too.
		return s.keep(unix.IPPROTO_TCP, name, i)
	}
	return unix.ENOPROTOOPT
}

// Option implements Socket.
func (s *streamSocket) Option(level, name int, dst []byte) (int, error) {
	switch level {
	case unix.SOL_SOCKET:
		return s.getSocket(name, dst)
	case unix.IPPROTO_IP:
		return s.getIPv4(name, dst)
	case unix.IPPROTO_IPV6:
		return s.getIPv6Stream(name, dst)
	case unix.IPPROTO_TCP:
		return s.getTCP(name, dst)
	}
	return 0, s.unknownLevel()
}

func (s *streamSocket) getSocket(name int, dst []byte) (int, error) {
	ep := (*recorder)(s)
	o := optRcvBuf
	switch name {
	case unix.SO_ERROR:
		return putErrno(dst, s.takeError())
	case unix.SO_ACCEPTCONN:
		return putInt(dst, boolOption(s.stream().state() == streamListening))
	case unix.SO_LINGER:
		v, err := ep.option(optLingerMS)
		if err != nil {
			return 0, err
		}
		return putLingerMS(dst, v)
	case unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		return putInt(dst, s.recall(unix.SOL_SOCKET, name))
	case unix.SO_SNDBUF:
		o = optSndBuf
	case unix.SO_RCVBUF:
	default:
		return s.socketLevel(ep, name, dst)
	}
	v, err := ep.option(o)
	if err != nil {
		return 0, err
	}
	return putInt(dst, v)
}

func (s *streamSocket) getTCP(name int, dst []byte) (int, error) {
	ep := s.stream()
	var o option
	scale := 1 // milliseconds per unit of the option
	switch name {
	case unix.TCP_INFO:
		return putTCPInfo(dst, ep.info()), nil
	case unix.TCP_CONGESTION:
		var b [congestionName]byte
		copy(b[:], ep.congestion())
		return copy(dst, b[:]), nil
	case unix.TCP_NODELAY:
		o = optNoDelay
	case unix.TCP_CORK:
		o = optCork
	case unix.TCP_QUICKACK:
		o = optQuickAck
	case unix.TCP_KEEPIDLE:
		o, scale = optKeepIdleMS, 1000
	case unix.TCP_KEEPINTVL:
		o, scale = optKeepIntervalMS, 1000
	case unix.TCP_KEEPCNT:
		o = optKeepCount
	case unix.TCP_SYNCNT:
		o = optSynCount
	case unix.TCP_MAXSEG:
		o = optMaxSeg
	case unix.TCP_USER_TIMEOUT:
		o = optUserTimeoutMS
	case unix.TCP_DEFER_ACCEPT:
		o, scale = optDeferAcceptMS, 1000
	case unix.TCP_LINGER2:
		o, scale = optLinger2MS, 1000
	case unix.TCP_WINDOW_CLAMP:
		o = optWindowClamp
	case unix.TCP_FASTOPEN, unix.TCP_FASTOPEN_CONNECT, unix.TCP_NOTSENT_LOWAT, unix.TCP_THIN_LINEAR_TIMEOUTS,
		unix.TCP_THIN_DUPACK, unix.TCP_TX_DELAY, unix.TCP_INQ:
		return putInt(dst, s.recall(unix.IPPROTO_TCP, name))
	default:
		return 0, unix.ENOPROTOOPT
	}
	v, err := ep.option(o)
	if err != nil {
		return 0, err
	}
	return putInt(dst, v/scale)
}

// putTCPInfo stores a struct tcp_info [include/uapi/linux/tcp.h], as far as there is room; what
// the engine doesn't know is 0.
func putTCPInfo(dst []byte, i streamInfo) int {
	const (
		sizeofTCPInfo                            = 104 // up to tcpi_total_retrans
		offRTO, offSndMSS, offRcvMSS             = 8, 16, 20
		offRTT, offRTTVar, offSsthresh, offCwnd  = 68, 72, 76, 80
		offAdvMSS, offRcvSpace, timestampsOption = 84, 96, 1
	)
	var b [sizeofTCPInfo]byte
	b[0], b[1] = i.state, i.congestionState
	b[5] = timestampsOption | 2 | 4 // tcpi_options: timestamps, SACK, window scaling
	put := func(off int, v uint32) { binary.NativeEndian.PutUint32(b[off:], v) }
	put(offRTO, i.rtoUS)
	put(offSndMSS, i.sndMSS)
	put(offRcvMSS, i.sndMSS)
	put(offRTT, i.rttUS)
	put(offRTTVar, i.rttVar)
	put(offSsthresh, i.sndSsthresh)
	put(offCwnd, i.sndCwnd)
	put(offAdvMSS, i.sndMSS)
	put(offRcvSpace, i.rcvSpaceBytes)
	return copy(dst, b[:])
}
