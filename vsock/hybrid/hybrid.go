// Package hybrid connects programs of the host with those in a virtual machine through the Unix-domain sockets that wick run
// --vsock, wick vsock serve, Firecracker and Cloud Hypervisor have for a machine's vsock device ("hybrid vsock"):
//
//	Dial    to PATH, says CONNECT and the guest's port, and hears OK and the port of its own end
//	Listen  at PATH_PORT, where the guest's connections to PORT of the host arrive
//
// In the guest, programs have ordinary AF_VSOCK sockets.
package hybrid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Addr is the address of one end of a connection.
type Addr struct {
	Path string // of the machine's socket
	Port uint32 // 0 if it isn't known
}

// Network returns "vsock". With String it makes Addr a net.Addr.
func (a Addr) Network() string { return "vsock" }

// String returns a as in "/run/vm.sock:1024".
func (a Addr) String() string { return a.Path + ":" + strconv.FormatUint(uint64(a.Port), 10) }

// RefusedError says that the machine's device has not made a connection.
type RefusedError struct {
	Addr   Addr
	Reason string // as the other end says; "" if it doesn't, as Firecracker
}

func (e *RefusedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("vsock %v: connection refused", e.Addr)
	}
	return fmt.Sprintf("vsock %v: connection refused: %s", e.Addr, e.Reason)
}

// ErrProtocol is wrapped in what Dial returns if an answer is neither yes nor no.
var ErrProtocol = errors.New("not the socket of a vsock device")

// Conn is a connection with a program in the guest. It implements net.Conn. CloseWrite ends one direction: the other end
// reads what was written, then the end of the file, and may still write.
type Conn struct {
	*net.UnixConn
	local, remote Addr
}

// LocalAddr returns the address of the host's end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the guest's end. The port of a guest that has connected isn't known.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Dial connects to a port of the guest whose vsock device has its socket at path. It waits as long as the device does for the
// guest to answer. Errors are *RefusedError, those that wrap ErrProtocol, and those of package net.
func Dial(path string, port uint32) (*Conn, error) {
	return DialContext(context.Background(), path, port)
}

// DialContext is Dial, which ends with the context's error when that is over.
func DialContext(ctx context.Context, path string, port uint32) (*Conn, error) {
	u, err := DialUnix(ctx, path)
	if err != nil {
		return nil, err
	}
	c := &Conn{UnixConn: u, local: Addr{Path: path}, remote: Addr{path, port}}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err = c.connect()
	if !stop() { // the deadline has been, or is being, set
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// connect asks for the guest's port.
func (c *Conn) connect() error {
	if _, err := fmt.Fprintf(c, "CONNECT %d\n", c.remote.Port); err != nil {
		return err
	}
	line, err := c.readLine()
	if errors.Is(err, io.EOF) {
		return &RefusedError{Addr: c.remote}
	}
	if err != nil {
		return err
	}
	word, rest, _ := strings.Cut(line, " ")
	if word == "ERR" {
		return &RefusedError{c.remote, rest}
	}
	port, err := strconv.ParseUint(rest, 10, 32)
	if word != "OK" || err != nil {
		return fmt.Errorf("%w: %s answers %q", ErrProtocol, c.remote.Path, line)
	}
	c.local.Port = uint32(port)
	return nil
}

// maxLine is the longest answer, in bytes. A reason may be long, OK isn't.
const maxLine = 1024

// readLine reads up to a newline, and nothing behind it: that is the guest's.
func (c *Conn) readLine() (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < maxLine; {
		if _, err := c.Read(b); err != nil {
			if len(line) > 0 && errors.Is(err, io.EOF) {
				return "", fmt.Errorf("%w: %s ends after %q", ErrProtocol, c.remote.Path, line)
			}
			return "", err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
	return "", fmt.Errorf("%w: %s answers %q and more", ErrProtocol, c.remote.Path, line[:40])
}

// Listener takes the guest's connections to a port of the host. It implements net.Listener.
type Listener struct {
	unix *UnixListener
	addr Addr
}

// Listen listens for the connections of the guest whose vsock device has its socket at path, to a port of the host. Close
// removes the socket. One that nobody listens at any more, as a killed program leaves it, gives way.
func Listen(path string, port uint32) (*Listener, error) {
	if err := CheckPath(path); err != nil {
		return nil, err
	}
	l, err := ListenUnix(path + "_" + strconv.FormatUint(uint64(port), 10))
	if err != nil {
		return nil, err
	}
	return &Listener{l, Addr{path, port}}, nil
}

// Accept waits for the next connection, which is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.unix.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return &Conn{UnixConn: c, local: l.addr, remote: Addr{Path: l.addr.Path}}, nil
}

// Close ends Accept and removes the socket.
func (l *Listener) Close() error { return l.unix.Close() }

// Addr returns the address.
func (l *Listener) Addr() net.Addr { return l.addr }

// SetDeadline bounds Accept.
func (l *Listener) SetDeadline(t time.Time) error { return l.unix.SetDeadline(t) }
