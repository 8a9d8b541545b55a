package peer

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
)

// Datagrams that the UDP server does something with; all others come back as they are.
//
//	stranger TEXT   a datagram "stranger" from another socket, then TEXT from the server's own
//	burst N SIZE    N datagrams of SIZE bytes, the first 8 of which are the number, from 0
//	from            the address that the datagram came from
const (
	strangerCommand = "stranger "
	burstCommand    = "burst "
	fromCommand     = "from"
)

// UDP is a server of datagrams.
type UDP struct {
	conn, other *net.UDPConn
	done        sync.WaitGroup
}

// ListenUDP starts a server at an address such as "127.0.0.1:0".
func ListenUDP(address string) (*UDP, error) {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	s := new(UDP)
	if s.conn, err = net.ListenUDP("udp", addr); err != nil {
		return nil, err
	}
	if s.other, err = net.ListenUDP("udp", &net.UDPAddr{IP: addr.IP}); err != nil {
		s.conn.Close()
		return nil, err
	}
	s.done.Go(s.serve)
	return s, nil
}

// Port is the port that it listens on.
func (s *UDP) Port() int { return s.conn.LocalAddr().(*net.UDPAddr).Port }

// Close ends the server.
func (s *UDP) Close() error {
	err := errors.Join(s.conn.Close(), s.other.Close())
	s.done.Wait()
	return err
}

func (s *UDP) serve() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.conn.ReadFromUDP(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		s.answer(buf[:n], from)
	}
}

// answer answers one datagram. A datagram that can't be sent is lost, as datagrams may be.
func (s *UDP) answer(msg []byte, from *net.UDPAddr) {
	text := string(msg)
	switch {
	case strings.HasPrefix(text, strangerCommand):
		s.other.WriteToUDP([]byte("stranger"), from)
		s.conn.WriteToUDP([]byte(text[len(strangerCommand):]), from)
	case strings.HasPrefix(text, burstCommand):
		var count, size int
		if _, err := fmt.Sscan(text[len(burstCommand):], &count, &size); err != nil || size < 8 || size > 60000 {
			return
		}
		for i := range count {
			s.conn.WriteToUDP(fmt.Appendf(nil, "%08d%s", i, strings.Repeat("x", size-8)), from)
		}
	case text == fromCommand:
		s.conn.WriteToUDP([]byte(from.String()), from)
	default:
		s.conn.WriteToUDP(msg, from)
	}
}
