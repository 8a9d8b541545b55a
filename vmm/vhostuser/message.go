package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A message is a header of three words, then its payload, all in the host's byte order:
//
//	+---------+-------+------+---------
//	| request | flags | size | payload
//	+---------+-------+------+---------
const messageHeader = 12

// Flags of messages.
const (
	flagVersion   = 1 // in the lowest two bits
	flagReply     = 1 << 2
	flagNeedReply = 1 << 3
)

const (
	maxPayload = 512 // bytes; a memory table of 8 regions has 264
	maxFDs     = 8   // of a message: VHOST_MEMORY_BASELINE_NREGIONS
)

// message is one request of the front-end.
type message struct {
	request, flags uint32
	payload        []byte
	files          []*os.File
}

// closeFiles closes those that nobody has taken.
func (m *message) closeFiles() {
	for _, f := range m.files {
		if f != nil {
			f.Close()
		}
	}
}

// takeFile returns the only descriptor of a message, which is the caller's from then on.
func (m *message) takeFile() (*os.File, error) {
	if len(m.files) != 1 {
		return nil, fmt.Errorf("%w: request %d with %d descriptors, want 1", ErrProtocol, m.request, len(m.files))
	}
	f := m.files[0]
	m.files = nil
	return f, nil
}

// u64 returns the payload of messages that have one number.
func (m *message) u64() (uint64, error) {
	if len(m.payload) < 8 {
		return 0, m.short(8)
	}
	return binary.NativeEndian.Uint64(m.payload), nil
}

// state returns the payload of messages about a ring: its number and a value.
func (m *message) state() (index, value uint32, err error) {
	if len(m.payload) < 8 {
		return 0, 0, m.short(8)
	}
	return binary.NativeEndian.Uint32(m.payload), binary.NativeEndian.Uint32(m.payload[4:]), nil
}

func (m *message) short(want int) error {
	return fmt.Errorf("%w: request %d with %d bytes, want %d", ErrProtocol, m.request, len(m.payload), want)
}

// receive reads the next message. io.EOF means that the front-end has gone.
func receive(conn *net.UnixConn) (*message, error) {
	var header [messageHeader]byte
	oob := make([]byte, unix.CmsgSpace(maxFDs*4))
	n, oobn, flags, _, err := conn.ReadMsgUnix(header[:], oob)
	m := new(message)
	if oobn > 0 {
		var parsing error
		if m.files, parsing = parseFiles(oob[:oobn]); err == nil {
			err = parsing
		}
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = fmt.Errorf("%w: descriptors of a message were lost: it has more than %d, or this process can have no more", ErrProtocol, maxFDs)
	}
	if err == nil {
		_, err = io.ReadFull(conn, header[n:])
	}
	if err == nil {
		m.request = binary.NativeEndian.Uint32(header[:])
		m.flags = binary.NativeEndian.Uint32(header[4:])
		size := binary.NativeEndian.Uint32(header[8:])
		if version := m.flags & 3; version != flagVersion || size > maxPayload {
			err = fmt.Errorf("%w: request %d of version %d with %d bytes", ErrProtocol, m.request, version, size)
		} else {
			m.payload = make([]byte, size)
			_, err = io.ReadFull(conn, m.payload)
		}
	}
	if err != nil {
		m.closeFiles()
		return nil, err
	}
	return m, nil
}

// Hello waits for the first message of a front-end, and leaves it to be read by Serve. An error says that nothing came in time, or
// something else.
func Hello(conn *net.UnixConn, limit time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(limit))
	defer conn.SetReadDeadline(time.Time{})
	b := make([]byte, messageHeader)
	var n int
	broken := raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	switch {
	case errors.Is(broken, os.ErrDeadlineExceeded):
		return fmt.Errorf("it has said nothing in %v", limit)
	case broken != nil:
		return broken
	case err != nil:
		return err
	case n == 0:
		return errors.New("it has ended without a word")
	case n < messageHeader || binary.NativeEndian.Uint32(b[4:])&3 != flagVersion || binary.NativeEndian.Uint32(b[8:]) > maxPayload:
		return fmt.Errorf("it does not speak vhost-user: %q", b[:n])
	}
	return nil
}

// parseFiles returns the descriptors of a control message.
func parseFiles(oob []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // something else than descriptors
		}
		for _, fd := range fds {
			// Eventfds are waited for by the runtime's poller. (Of memory files it makes no difference.)
			unix.SetNonblock(fd, true)
			files = append(files, os.NewFile(uintptr(fd), "vhost-user"))
		}
	}
	return files, nil
}

// reply answers a request.
func reply(conn *net.UnixConn, request uint32, payload []byte) error {
	b := binary.NativeEndian.AppendUint32(nil, request)
	b = binary.NativeEndian.AppendUint32(b, flagVersion|flagReply)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(payload)))
	_, err := conn.Write(append(b, payload...))
	return err
}

func replyU64(conn *net.UnixConn, request uint32, v uint64) error {
	return reply(conn, request, binary.NativeEndian.AppendUint64(nil, v))
}
