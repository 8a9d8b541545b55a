package vsockhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"wick/vsock/hybrid"
)

// Target is a place on the host where connections go to or come from: a Unix-domain socket or a TCP port.
type Target struct {
	Path string         // of a Unix-domain socket; "" for TCP
	TCP  netip.AddrPort // with an address that is given in numbers
}

// String returns t as ParseTarget reads it.
func (t Target) String() string {
	if t.Path != "" {
		return t.Path
	}
	return "tcp:" + t.TCP.String()
}

// ParseTarget reads a path, absolute or with a slash or a dot in it, or tcp:ADDR:PORT.
func ParseTarget(s string) (Target, error) {
	if addr, ok := strings.CutPrefix(s, "tcp:"); ok {
		a, err := netip.ParseAddrPort(addr)
		if err != nil {
			return Target{}, fmt.Errorf("%q is not an address and a port, such as tcp:127.0.0.1:8080", s)
		}
		return Target{TCP: a}, nil
	}
	if s = strings.TrimPrefix(s, "unix:"); s == "" || !strings.ContainsAny(s, "/.") {
		return Target{}, fmt.Errorf("%q is neither a path, such as ./socket, nor tcp:ADDR:PORT", s)
	}
	if err := hybrid.CheckPath(s); err != nil {
		return Target{}, err
	}
	return Target{Path: s}, nil
}

// dialTime bounds the connection to a target. (Where a Unix-domain socket has room for it, it answers at once.)
const dialTime = 10 * time.Second

// dial connects to the target. It waits for room in the backlog, as blocking programs do, and no longer than ctx.
func (t Target) dial(ctx context.Context) (socket, error) {
	ctx, stop := context.WithTimeoutCause(ctx, dialTime, fmt.Errorf("no answer in %v", dialTime))
	defer stop()
	if t.Path != "" {
		c, err := hybrid.DialUnix(ctx, t.Path)
		if err != nil {
			return nil, err // not a socket that is nil
		}
		return c, nil
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", t.TCP.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// Map sends the guest's connections to a port of the host to a target.
type Map struct {
	Port   uint32
	Target Target
}

// ParseMap reads PORT=TARGET.
func ParseMap(s string) (m Map, err error) {
	port, target, found := strings.Cut(s, "=")
	if !found {
		return m, fmt.Errorf("%q: want PORT=PATH or PORT=tcp:ADDR:PORT", s)
	}
	if m.Port, err = ParsePort(port); err == nil {
		m.Target, err = ParseTarget(target)
	}
	if err == nil && m.Target.Path == "" && m.Target.TCP.Port() == 0 {
		err = errors.New("nobody can be reached at TCP port 0")
	}
	if err != nil {
		err = fmt.Errorf("%q: %w", s, err)
	}
	return m, err
}

// Publish leads connections to a place on the host to a port of the guest.
type Publish struct {
	Target Target // TCP port 0 picks a free one
	Port   uint32
}

// ParsePublish reads TARGET=PORT.
func ParsePublish(s string) (p Publish, err error) {
	cut := strings.LastIndexByte(s, '=')
	if cut < 0 {
		return p, fmt.Errorf("%q: want tcp:ADDR:PORT=PORT or PATH=PORT", s)
	}
	if p.Target, err = ParseTarget(s[:cut]); err == nil {
		p.Port, err = ParsePort(s[cut+1:])
	}
	if err != nil {
		err = fmt.Errorf("%q: %w", s, err)
	}
	return p, err
}

// String returns the line that tells the user about p.
func (p Publish) String() string {
	where := p.Target.String()
	if p.Target.Path != "" {
		where = filepath.Clean(p.Target.Path)
	}
	return fmt.Sprintf("%s -> guest vsock port %d", strings.TrimPrefix(where, "tcp:"), p.Port)
}
