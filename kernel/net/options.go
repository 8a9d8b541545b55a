package net

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// passedOptions are options that a program may set and read back, and that change nothing here.
type passedOptions struct {
	optMu sync.Mutex
	kept  []keptOption // guarded by optMu
}

type keptOption struct{ level, name, value int }

// keep stores a value.
func (p *passedOptions) keep(level, name, value int) error {
	p.optMu.Lock()
	defer p.optMu.Unlock()
	for i := range p.kept {
		if p.kept[i].level == level && p.kept[i].name == name {
			p.kept[i].value = value
			return nil
		}
	}
	p.kept = append(p.kept, keptOption{level, name, value})
	return nil
}

// recall returns a stored value, 0 if it was never set.
func (p *passedOptions) recall(level, name int) int {
	p.optMu.Lock()
	defer p.optMu.Unlock()
	for _, k := range p.kept {
		if k.level == level && k.name == name {
			return k.value
		}
	}
	return 0
}

// inherit stores what was set on a listener, for a connection of it that nobody else knows yet. These two are a socket's own.
func (p *passedOptions) inherit(listener *passedOptions) {
	listener.optMu.Lock()
	defer listener.optMu.Unlock()
	for _, k := range listener.kept {
		if k.level != unix.SOL_SOCKET || k.name != unix.SO_PRIORITY && k.name != unix.SO_INCOMING_CPU {
			p.kept = append(p.kept, k)
		}
	}
}

// intOption reads the value of an option that is an int.
func intOption(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, unix.EINVAL
	}
	return int(int32(binary.NativeEndian.Uint32(b))), nil
}

// onlyValue is an option that can have no other value than the one.
func onlyValue(b []byte, only int, refusal error) error {
	if i, err := intOption(b); err != nil || i == only {
		return err
	}
	return refusal
}

// byteOrInt reads the value of an option that may be an int or a char, as those of the IP level [ip(7)].
func byteOrInt(b []byte) (int, error) {
	switch {
	case len(b) >= 4:
		return intOption(b)
	case len(b) >= 1:
		return int(b[0]), nil
	}
	return 0, nil
}

// putInt stores the value of an option that is an int, as far as there is room.
func putInt(dst []byte, v int) (int, error) {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(int32(v)))
	return copy(dst, b[:]), nil
}

// putByteOrInt stores the value of an option of the IP level: a char, if there is room for no more.
func putByteOrInt(dst []byte, v int) (int, error) {
	if len(dst) > 0 && len(dst) < 4 && v >= 0 && v <= 255 {
		dst[0] = byte(v)
		return 1, nil
	}
	return putInt(dst, v)
}

// parseTimeval reads a struct timeval as a time-out: 0 is for ever.
func parseTimeval(b []byte) (time.Duration, error) {
	if len(b) < 16 {
		return 0, unix.EINVAL
	}
	sec, usec := int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:]))
	if usec < 0 || usec >= 1e6 {
		return 0, unix.EDOM
	}
	if sec < 0 {
		return 1, nil // the shortest
	}
	if sec > math.MaxInt64/int64(time.Second)-1 {
		return 0, nil
	}
	return time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond, nil
}

// putTimeval stores a time-out.
func putTimeval(dst []byte, d time.Duration) (int, error) {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], uint64(d/time.Second))
	binary.NativeEndian.PutUint64(b[8:], uint64(d%time.Second/time.Microsecond))
	return copy(dst, b[:]), nil
}

// setCommon sets the options of the socket level that all families have. ok is false if name is none of them.
func (b *base) setCommon(name int, v []byte) (ok bool, err error) {
	if len(v) < 4 && name != unix.SO_BINDTODEVICE {
		return true, unix.EINVAL
	}
	switch name {
	case unix.SO_RCVTIMEO_OLD, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO_OLD, unix.SO_SNDTIMEO_NEW:
		d, err := parseTimeval(v)
		if err != nil {
			return true, err
		}
		if name == unix.SO_RCVTIMEO_OLD || name == unix.SO_RCVTIMEO_NEW {
			b.rcvTimeoutNS.Store(int64(d))
		} else {
			b.sndTimeoutNS.Store(int64(d))
		}
		return true, nil
	case unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PROTOCOL, unix.SO_ERROR, unix.SO_ACCEPTCONN:
		return true, unix.ENOPROTOOPT // these can only be read
	case unix.SO_RCVLOWAT:
		i, err := intOption(v)
		if err != nil {
			return true, err
		}
		b.rcvLowat.Store(int32(lowat(i)))
		return true, nil
	case unix.SO_DEBUG, unix.SO_DONTROUTE, unix.SO_OOBINLINE, unix.SO_NO_CHECK:
		i, err := intOption(v)
		if err != nil {
			return true, err
		}
		return true, b.keep(unix.SOL_SOCKET, name, boolOption(i != 0))
	case unix.SO_ZEROCOPY: // DEVIATION: there is no sending without a copy, which programs would wait to be told the end of
		return true, onlyValue(v, 0, unix.EOPNOTSUPP)
	case unix.SO_PEEK_OFF: // DEVIATION: MSG_PEEK always looks at the beginning
		return true, onlyValue(v, -1, unix.EOPNOTSUPP)
	case unix.SO_INCOMING_CPU:
		i, err := intOption(v)
		if err != nil {
			return true, err
		}
		return true, b.keep(unix.SOL_SOCKET, name, i+1) // -1 is the default
	case unix.SO_PRIORITY, unix.SO_PASSSEC, unix.SO_BUSY_POLL, unix.SO_RXQ_OVFL, unix.SO_MARK,
		unix.SO_PREFER_BUSY_POLL, unix.SO_TXREHASH, unix.SO_SELECT_ERR_QUEUE:
		i, err := intOption(v)
		if err != nil {
			return true, err
		}
		return true, b.keep(unix.SOL_SOCKET, name, i)
	}
	return false, nil
}

// lowat is what a value of SO_RCVLOWAT means, in bytes [sock_set_rcvlowat].
func lowat(i int) int {
	if i < 0 {
		return math.MaxInt32
	}
	return max(i, 1)
}

// common reads the options of the socket level that all families have.
func (b *base) common(name int, dst []byte) (n int, ok bool, err error) {
	switch name {
	case unix.SO_TYPE:
		n, err = putInt(dst, b.typ)
	case unix.SO_DOMAIN:
		n, err = putInt(dst, b.family)
	case unix.SO_PROTOCOL:
		n, err = putInt(dst, b.protocol)
	case unix.SO_RCVTIMEO_OLD, unix.SO_RCVTIMEO_NEW:
		n, err = putTimeval(dst, b.RecvTimeout())
	case unix.SO_SNDTIMEO_OLD, unix.SO_SNDTIMEO_NEW:
		n, err = putTimeval(dst, b.SendTimeout())
	case unix.SO_RCVLOWAT:
		n, err = putInt(dst, int(max(b.rcvLowat.Load(), 1)))
	case unix.SO_SNDLOWAT:
		n, err = putInt(dst, 1)
	case unix.SO_PEEK_OFF:
		n, err = putInt(dst, -1)
	case unix.SO_INCOMING_CPU:
		n, err = putInt(dst, b.recall(unix.SOL_SOCKET, name)-1)
	case unix.SO_DEBUG, unix.SO_DONTROUTE, unix.SO_PRIORITY, unix.SO_OOBINLINE, unix.SO_NO_CHECK,
		unix.SO_PASSSEC, unix.SO_BUSY_POLL, unix.SO_ZEROCOPY, unix.SO_RXQ_OVFL, unix.SO_MARK,
		unix.SO_PREFER_BUSY_POLL, unix.SO_TXREHASH, unix.SO_SELECT_ERR_QUEUE:
		n, err = putInt(dst, b.recall(unix.SOL_SOCKET, name))
	default:
		return 0, false, nil
	}
	return n, true, err
}

// bufferSize is what a request for a buffer of n bytes means: the double, for the bookkeeping, within bounds [socket(7)].
func bufferSize(n, most, least int, force bool) int {
	if !force {
		n = int(min(uint32(n), uint32(most))) // a negative number is a big one
	}
	return max(min(max(n, 0), math.MaxInt32/2)*2, least)
}
