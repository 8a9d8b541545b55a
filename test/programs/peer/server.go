package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// TCP is a server of TCP connections.
type TCP struct {
	listener net.Listener
	conns    sync.WaitGroup
	quit     chan struct{}
	quitOnce sync.Once

	mu   sync.Mutex
	errs []error     // what went wrong with connections; guarded by mu
	free []io.Closer // guarded by mu
}

// ListenTCP starts a server at an address such as "127.0.0.1:0".
func ListenTCP(address string) (*TCP, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &TCP{listener: l, quit: make(chan struct{})}
	go s.accept()
	return s, nil
}

// Port is the port that it listens on.
func (s *TCP) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Quit is closed when a client has asked the server to end.
func (s *TCP) Quit() <-chan struct{} { return s.quit }

// Close stops listening, waits for the connections to end, and returns what went wrong with them.
func (s *TCP) Close() error {
	s.listener.Close()
	s.conns.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.free {
		f.Close()
	}
	return errors.Join(s.errs...)
}

func (s *TCP) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.note(err)
			}
			return
		}
		s.conns.Go(func() {
			defer conn.Close()
			if err := s.serve(conn.(*net.TCPConn)); err != nil {
				s.note(fmt.Errorf("connection from %v: %w", conn.RemoteAddr(), err))
			}
		})
	}
}

func (s *TCP) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

// serve does the commands of one connection.
func (s *TCP) serve(conn *net.TCPConn) error {
	r := bufio.NewReaderSize(conn, chunkSize)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.command(conn, r, strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
	}
}

func (s *TCP) command(conn *net.TCPConn, r *bufio.Reader, line string) error {
	var n int64
	var seed uint64
	switch word, args, _ := strings.Cut(line, " "); word {
	case "send":
		if _, err := fmt.Sscan(args, &n, &seed); err != nil {
			return err
		}
		if err := Send(conn, n, seed); err != nil {
			return err
		}
		return conn.CloseWrite()
	case "take":
		if _, err := fmt.Sscan(args, &n, &seed); err != nil {
			return err
		}
		if err := Take(r, n, seed); err != nil {
			fmt.Fprintln(conn, err)
			return err
		}
		_, err := fmt.Fprintln(conn, "ok", n)
		return err
	case "echo":
		if _, err := io.Copy(conn, r); err != nil {
			return err
		}
		return conn.CloseWrite()
	case "free":
		f, err := NewRefuser(conn.LocalAddr().(*net.TCPAddr).IP)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.free = append(s.free, f)
		s.mu.Unlock()
		_, err = fmt.Fprintln(conn, f.Port)
		return err
	case "quit":
		_, err := fmt.Fprintln(conn, "ok")
		s.quitOnce.Do(func() { close(s.quit) })
		return err
	}
	return errors.New("unknown command")
}
