package vsockhost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The protocol of the Unix-domain socket is Firecracker's [docs/vsock.md there]:
//
//	client                        wick
//	CONNECT 52\n               ->      to port 52 of the guest
//	                           <- OK 1073741824\n, the port of the host's end
//	data                      <->
//
// A client that can't be helped gets ERR, a reason and a newline instead of OK, then the end. (Firecracker only ends the
// connection.)

// maxConnect is the longest line that a client may send, in bytes, its newline included.
const maxConnect = 32

// connectTime is how long a client may take to send it. People type it, too.
const connectTime = time.Minute

// readConnect reads the line of a client, in as many pieces as it comes, and returns the port and what came behind it.
func readConnect(c interface {
	io.Reader
	SetReadDeadline(time.Time) error
}) (port uint32, rest []byte, err error) {
	c.SetReadDeadline(time.Now().Add(connectTime))
	defer c.SetReadDeadline(time.Time{})
	line := make([]byte, 0, maxConnect)
	for {
		n, err := c.Read(line[len(line):cap(line)])
		line = line[:len(line)+n]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			port, err := parseConnect(string(line[:end]))
			return port, line[end+1:], err
		}
		switch {
		case len(line) == cap(line):
			return 0, nil, fmt.Errorf("no newline in the first %d bytes: %q", maxConnect, line)
		case errors.Is(err, io.EOF):
			return 0, nil, fmt.Errorf("the client ended after %q", line)
		case err != nil:
			return 0, nil, err
		}
	}
}

// parseConnect reads the port of "CONNECT 52", in capitals or not.
func parseConnect(line string) (uint32, error) {
	words := strings.Fields(line)
	if len(words) != 2 || !strings.EqualFold(words[0], "CONNECT") {
		return 0, fmt.Errorf("%q is not CONNECT and a port", line)
	}
	return ParsePort(words[1])
}

// ParsePort reads a vsock port.
func ParsePort(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not a vsock port (0 to 4294967294)", s)
	}
	return uint32(n), nil
}
