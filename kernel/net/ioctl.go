package net

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"wick/kernel/vfs"
)

// sizeofIfreq is the size of struct ifreq: 16 bytes of name, then a union [netdevice(7)].
const sizeofIfreq = 40

// Ioctl requests that golang.org/x/sys/unix doesn't name [asm-generic/ioctls.h, linux/sockios.h].
const (
	fionread = 0x541b // FIONREAD, SIOCINQ
	siocoutq = 0x5411 // SIOCOUTQ, TIOCOUTQ
)

// Ioctl implements vfs.Ioctler.
func (s *streamSocket) Ioctl(mem vfs.Memory, cmd, arg uint64) (uint64, error) {
	switch cmd {
	case fionread:
		if s.stream().state() == streamListening {
			return 0, unix.EINVAL
		}
		return 0, putWord(mem, arg, s.stream().readable())
	case siocoutq:
		if s.stream().state() == streamListening {
			return 0, unix.EINVAL
		}
		return 0, unix.ENOTTY // DEVIATION: the engine doesn't tell how much is unsent
	}
	return s.ioctl(mem, cmd, arg)
}

// Ioctl implements vfs.Ioctler.
func (s *datagramSocket) Ioctl(mem vfs.Memory, cmd, arg uint64) (uint64, error) {
	switch cmd {
	case fionread:
		return 0, putWord(mem, arg, s.queue.next())
	case siocoutq:
		return 0, putWord(mem, arg, 0) // what is sent is gone
	}
	return s.ioctl(mem, cmd, arg)
}

// putWord stores an int.
func putWord(mem vfs.Memory, va uint64, v int) error {
	return mem.CopyOut(va, binary.NativeEndian.AppendUint32(nil, uint32(v)))
}

// ioctl answers netdevice(7).
func (b *base) ioctl(mem vfs.Memory, cmd, arg uint64) (uint64, error) {
	switch cmd {
	case unix.SIOCGIFCONF:
		return 0, b.stack.ifconf(mem, arg)
	case unix.SIOCGIFNAME, unix.SIOCGIFINDEX, unix.SIOCGIFFLAGS, unix.SIOCGIFADDR, unix.SIOCGIFDSTADDR, unix.SIOCGIFBRDADDR,
		unix.SIOCGIFNETMASK, unix.SIOCGIFMTU, unix.SIOCGIFHWADDR, unix.SIOCGIFMETRIC, unix.SIOCGIFTXQLEN, unix.SIOCGIFMAP:
		return 0, b.stack.ifreq(mem, cmd, arg)
	case unix.SIOCSIFADDR, unix.SIOCSIFFLAGS, unix.SIOCSIFMTU, unix.SIOCSIFNETMASK, unix.SIOCSIFHWADDR, unix.SIOCADDRT, unix.SIOCDELRT:
		return 0, unix.EPERM // the configuration is the host's
	}
	return 0, unix.ENOTTY
}

// ifreq answers a request about one interface.
func (s *Stack) ifreq(mem vfs.Memory, cmd, arg uint64) error {
	var r [sizeofIfreq]byte
	if err := mem.CopyIn(r[:], arg); err != nil {
		return err
	}
	value := r[unix.IFNAMSIZ:]
	var link *linkInfo
	name := unix.ByteSliceToString(r[:unix.IFNAMSIZ])
	for _, l := range s.linkInfos() {
		if cmd == unix.SIOCGIFNAME && l.index == binary.NativeEndian.Uint32(value) || cmd != unix.SIOCGIFNAME && l.name == name {
			link = &l
			break
		}
	}
	if link == nil {
		return unix.ENODEV
	}
	if cmd == unix.SIOCGIFNAME {
		clear(r[:unix.IFNAMSIZ])
		copy(r[:unix.IFNAMSIZ-1], link.name)
		return mem.CopyOut(arg, r[:])
	}
	clear(value)
	if err := link.answer(cmd, value); err != nil {
		return err
	}
	return mem.CopyOut(arg, r[:])
}

// answer puts what cmd asks for into the union of a struct ifreq.
func (l *linkInfo) answer(cmd uint64, value []byte) error {
	switch cmd {
	case unix.SIOCGIFINDEX:
		binary.NativeEndian.PutUint32(value, l.index)
	case unix.SIOCGIFFLAGS:
		binary.NativeEndian.PutUint16(value, uint16(l.flags))
	case unix.SIOCGIFMTU:
		binary.NativeEndian.PutUint32(value, uint32(l.mtu))
	case unix.SIOCGIFTXQLEN:
		binary.NativeEndian.PutUint32(value, txQueueLength)
	case unix.SIOCGIFHWADDR:
		binary.NativeEndian.PutUint16(value, l.kind)
		copy(value[2:], l.mac[:])
	case unix.SIOCGIFADDR, unix.SIOCGIFDSTADDR, unix.SIOCGIFBRDADDR, unix.SIOCGIFNETMASK:
		p, ok := l.ipv4()
		if !ok {
			return unix.EADDRNOTAVAIL
		}
		a := p.Addr()
		switch cmd {
		case unix.SIOCGIFBRDADDR:
			a = broadcastOf(p)
		case unix.SIOCGIFNETMASK:
			a = maskOf(p)
		}
		appendSockaddr(value[:0], unix.AF_INET, endpoint{addr: a})
	}
	return nil
}

// txQueueLength is what SIOCGIFTXQLEN and IFLA_TXQLEN tell: Linux's default.
const txQueueLength = 1000

// ipv4 returns the interface's first IPv4 address.
func (l *linkInfo) ipv4() (netip.Prefix, bool) {
	for _, p := range l.addrs {
		if p.Addr().Is4() {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// maskOf is the netmask of an IPv4 prefix.
func maskOf(p netip.Prefix) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], ^uint32(0)<<(32-p.Bits()))
	return netip.AddrFrom4(b)
}

// broadcastOf is the broadcast address of an IPv4 prefix.
func broadcastOf(p netip.Prefix) netip.Addr {
	b, m := p.Addr().As4(), maskOf(p).As4()
	for i := range b {
		b[i] |= ^m[i]
	}
	return netip.AddrFrom4(b)
}

// ifconf is SIOCGIFCONF: a struct ifconf with the room in bytes and the place for an array of
// struct ifreq, one for each IPv4 address.
func (s *Stack) ifconf(mem vfs.Memory, arg uint64) error {
	var c [16]byte
	if err := mem.CopyIn(c[:], arg); err != nil {
		return err
	}
	room, at := int(int32(binary.NativeEndian.Uint32(c[:]))), binary.NativeEndian.Uint64(c[8:])
	var out []byte
	for _, l := range s.linkInfos() {
		for _, p := range l.addrs {
			if !p.Addr().Is4() {
				continue
			}
			var r [sizeofIfreq]byte
			copy(r[:unix.IFNAMSIZ-1], l.name)
			appendSockaddr(r[:unix.IFNAMSIZ], unix.AF_INET, endpoint{addr: p.Addr()})
			out = append(out, r[:]...)
		}
	}
	if at != 0 { // no array: only the size is wanted
		if room < 0 {
			return unix.EINVAL
		}
		out = out[:min(len(out), room/sizeofIfreq*sizeofIfreq)]
		if err := mem.CopyOut(at, out); err != nil {
			return err
		}
	}
	binary.NativeEndian.PutUint32(c[:], uint32(len(out)))
	return mem.CopyOut(arg, c[:])
}
