package peer

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Refuser has a TCP port at which it doesn't listen. A port that was merely free a moment ago may be somebody else's by now.
type Refuser struct {
	Port   int
	socket int
}

// NewRefuser takes a port of an address.
func NewRefuser(ip net.IP) (*Refuser, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: [16]byte(ip.To16())})
	if ip4 := ip.To4(); ip4 != nil {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte(ip4)}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	r := &Refuser{socket: fd}
	if err := unix.Bind(fd, address); err != nil {
		r.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	if address, err = unix.Getsockname(fd); err != nil {
		r.Close()
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		r.Port = a.Port
	case *unix.SockaddrInet6:
		r.Port = a.Port
	}
	return r, nil
}

// Close gives the port back.
func (r *Refuser) Close() error { return unix.Close(r.socket) }
