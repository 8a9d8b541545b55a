package linux

import (
	"math"
	"time"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/vfs"
)

// struct msghdr: name 8, its length 4, padding 4, iovec 8, their number 8, control 8, its length 8, flags 4,
// padding 4. struct mmsghdr has a length of 4 and padding of 4 after it [bits/socket.h].
const (
	msgName, msgNameLen, msgIov, msgIovLen = 0, 8, 16, 24
	msgControl, msgControlLen, msgFlags    = 32, 40, 48
	sizeofMsghdr, mmsgLen, sizeofMmsghdr   = 56, 56, 64
	maxIovecs                              = 1024 // UIO_MAXIOV
	maxControl                             = 20480
	maxMessages                            = 1024 // of sendmmsg and recvmmsg
)

// msghdr is a struct msghdr of the program.
type msghdr struct {
	va                uint64 // where it is
	name              uint64
	nameLen           uint32
	control, ctrlRoom uint64
}

// readMsghdr reads the header at va and prepares the thread's buffer over its data. Errors: unix.EFAULT; unix.EINVAL;
// unix.EMSGSIZE for too many pieces; unix.ENOBUFS for too much ancillary data.
func (c *Call) readMsghdr(va uint64) (msghdr, *mm.Buffer, error) {
	var b [sizeofMsghdr]byte
	if err := c.Space.CopyIn(b[:], va); err != nil {
		return msghdr{}, nil, err
	}
	h := msghdr{va: va, name: le.Uint64(b[msgName:]), nameLen: le.Uint32(b[msgNameLen:]),
		control: le.Uint64(b[msgControl:]), ctrlRoom: le.Uint64(b[msgControlLen:])}
	switch {
	case int32(h.nameLen) < 0:
		return h, nil, unix.EINVAL
	case le.Uint64(b[msgIovLen:]) > maxIovecs:
		return h, nil, unix.EMSGSIZE
	case h.ctrlRoom > math.MaxInt32:
		return h, nil, unix.ENOBUFS
	}
	if h.name == 0 {
		h.nameLen = 0
	}
	if h.control == 0 {
		h.ctrlRoom = 0
	}
	data, err := c.vector(le.Uint64(b[msgIov:]), le.Uint64(b[msgIovLen:]))
	return h, data, err
}

// sendmsg is sendmsg(2): fd, header, flags.
func (c *Call) sendmsg() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return c.sendOne(o, s, c.Args[1], int(int32(c.Args[2])))
}

// sendOne sends the message whose header is at va.
func (c *Call) sendOne(o *vfs.OpenFile, s net.Socket, va uint64, flags int) (uint64, error) {
	h, b, err := c.readMsghdr(va)
	if err != nil {
		return 0, err
	}
	m := &c.sock.message
	*m = net.Message{Sender: c.sender()}
	if h.nameLen > 0 {
		if m.Addr, err = c.sockaddr(h.name, uint64(min(h.nameLen, net.MaxSockaddr))); err != nil {
			return 0, err
		}
	}
	if h.ctrlRoom > 0 {
		if h.ctrlRoom > maxControl {
			return 0, unix.ENOBUFS
		}
		m.Control = c.controlBuffer(int(h.ctrlRoom))
		if err := c.Space.CopyIn(m.Control, h.control); err != nil {
			return 0, err
		}
		if err := c.takeRights(s, m); err != nil {
			return 0, err
		}
	}
	n, err := c.send(o, s, b, flags)
	releaseAll(m)
	return n, err
}

// sender is who the process is for the receivers of its messages.
func (c *Call) sender() net.Ucred {
	who := c.who()
	return net.Ucred{PID: c.PID, UID: who.UID, GID: who.GID}
}

// takeRights takes references to the files whose descriptors the message wants passed [unix(7): SCM_RIGHTS].
func (c *Call) takeRights(s net.Socket, m *net.Message) error {
	if family, _, _ := s.Kind(); family != unix.AF_UNIX {
		return nil
	}
	fds, err := net.Rights(m.Control)
	if err != nil {
		return err
	}
	for _, fd := range fds {
		o, err := c.FDs.Get(fd)
		if err != nil {
			releaseAll(m)
			return err
		}
		m.Files = append(m.Files, o)
	}
	return nil
}

// releaseAll gives up the files of a message.
func releaseAll(m *net.Message) {
	for _, o := range m.Files {
		o.Release()
	}
	m.Files = nil
}

// installRights opens the files that came with a message, as far as there is room for their descriptors.
func (c *Call) installRights(m *net.Message, cloexec bool) {
	if len(m.Files) == 0 {
		return
	}
	var fds []int
	room := m.RightsRoom()
	for len(m.Files) > 0 && len(fds) < room {
		o := m.Files[0]
		m.Files = m.Files[1:]
		fd, err := c.FDs.Install(o, 0, cloexec)
		if err != nil {
			m.Flags |= unix.MSG_CTRUNC
			break
		}
		fds = append(fds, fd)
	}
	if len(fds) > 0 {
		m.PutRights(fds)
	}
	if len(m.Files) > 0 {
		m.Flags |= unix.MSG_CTRUNC
	}
	releaseAll(m)
}

// controlBuffer returns the thread's buffer for n bytes of ancillary data.
func (c *Call) controlBuffer(n int) []byte {
	if cap(c.sock.control) < n {
		c.sock.control = make([]byte, n)
	}
	return c.sock.control[:n:n]
}

// recvmsg is recvmsg(2): fd, header, flags.
func (c *Call) recvmsg() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return c.recvOne(o, s, c.Args[1], int(int32(c.Args[2])))
}

// recvOne receives a message into what the header at va says, and stores what it is told in the header.
func (c *Call) recvOne(o *vfs.OpenFile, s net.Socket, va uint64, flags int) (uint64, error) {
	h, b, err := c.readMsghdr(va)
	if err != nil {
		return 0, err
	}
	m := &c.sock.message
	*m = net.Message{WantAddr: h.name != 0, Addr: c.sock.addr[:0], Control: c.controlBuffer(int(min(h.ctrlRoom, maxControl)))[:0]}
	n, err := c.recv(o, s, b, flags&^unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	c.installRights(m, flags&unix.MSG_CMSG_CLOEXEC != 0)
	if h.name != 0 {
		if err := c.Space.CopyOut(h.name, m.Addr[:min(int(h.nameLen), len(m.Addr))]); err != nil {
			return 0, err
		}
		if err := c.Space.PutUint32(va+msgNameLen, uint32(len(m.Addr))); err != nil {
			return 0, err
		}
	}
	if err := c.Space.CopyOut(h.control, m.Control); err != nil {
		return 0, err
	}
	if err := c.Space.PutUint64(va+msgControlLen, uint64(len(m.Control))); err != nil {
		return 0, err
	}
	return n, c.Space.PutUint32(va+msgFlags, uint32(m.Flags|flags&unix.MSG_CMSG_CLOEXEC))
}

// sendmmsg is sendmmsg(2): fd, array of headers, their number, flags. It tells how many messages were sent, or, if
// none was, why.
func (c *Call) sendmmsg() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	n := uint64(min(uint32(c.Args[2]), maxMessages))
	for i := range n {
		va := c.Args[1] + i*sizeofMmsghdr
		sent, err := c.sendOne(o, s, va, int(int32(c.Args[3])))
		if err == nil {
			err = c.Space.PutUint32(va+mmsgLen, uint32(sent))
		}
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, err
		}
	}
	return n, nil
}

// recvmmsg is recvmmsg(2): fd, array of headers, their number, flags, timeout. As on Linux, the timeout is only looked
// at after each message.
func (c *Call) recvmmsg() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	flags := int(int32(c.Args[3]))
	var deadline time.Time
	if c.Args[4] != 0 {
		limit, err := c.timespec(c.Args[4])
		if err != nil {
			return 0, err
		}
		deadline = c.after(limit)
	}
	n := uint64(min(uint32(c.Args[2]), maxMessages))
	for i := range n {
		va := c.Args[1] + i*sizeofMmsghdr
		got, err := c.recvOne(o, s, va, flags&^unix.MSG_WAITFORONE)
		if err == nil {
			err = c.Space.PutUint32(va+mmsgLen, uint32(got))
		}
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, err
		}
		if flags&unix.MSG_WAITFORONE != 0 {
			flags |= unix.MSG_DONTWAIT
		}
		if !deadline.IsZero() && !time.Now().Before(deadline) {
			return i + 1, nil
		}
	}
	return n, nil
}
