package hybrid

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// maxPath is the longest path that the address of a Unix-domain socket has room for, in bytes [unix(7)].
const maxPath = 107

// CheckPath tells whether a path is too long for a socket, of which the system says only that it is an invalid argument.
func CheckPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("%s is longer than the %d bytes that the path of a socket may have", path, maxPath)
	}
	return nil
}

// ListenUnix listens at the path of a Unix-domain socket. A socket that nobody listens at, as a killed program leaves it, gives way;
// one that is in use is not disturbed.
func ListenUnix(path string) (*net.UnixListener, error) {
	if err := CheckPath(path); err != nil {
		return nil, err
	}
	addr := &net.UnixAddr{Name: path, Net: "unix"}
	l, err := net.ListenUnix("unix", addr)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is there and is no socket", path)
	}
	if !abandoned(path) {
		return nil, fmt.Errorf("%s is in use: somebody listens there", path)
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return net.ListenUnix("unix", addr)
}

// abandoned tells whether there is a socket that nobody has open. A datagram socket can't be connected to one for streams, whose
// owner learns nothing of the attempt: the error is EPROTOTYPE then, and not ECONNREFUSED [unix(7)].
func abandoned(path string) bool {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
