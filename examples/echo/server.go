package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// graceTime is how long open connections may go on once the server is told to end.
const graceTime = 2 * time.Second

// server is the three services with their sockets.
type server struct {
	udp *net.UDPConn
	tcp *net.TCPListener
	web net.Listener

	mu     sync.Mutex
	conns  map[*net.TCPConn]struct{} // open echo connections; guarded by mu
	ending bool                      // no more connections are taken; guarded by mu
	wg     sync.WaitGroup            // one per echo connection
}

// listen opens the sockets. With port 0 for the echo, UDP and TCP may get different ports.
func listen(echoPort, webPort int) (*server, error) {
	s := &server{conns: make(map[*net.TCPConn]struct{})}
	var err error
	if s.udp, err = net.ListenUDP("udp", &net.UDPAddr{Port: echoPort}); err != nil {
		return nil, err
	}
	if s.tcp, err = net.ListenTCP("tcp", &net.TCPAddr{Port: echoPort}); err != nil {
		s.udp.Close()
		return nil, err
	}
	if s.web, err = net.Listen("tcp", fmt.Sprintf(":%d", webPort)); err != nil {
		s.udp.Close()
		s.tcp.Close()
		return nil, err
	}
	return s, nil
}

func (s *server) udpPort() int { return s.udp.LocalAddr().(*net.UDPAddr).Port }
func (s *server) tcpPort() int { return s.tcp.Addr().(*net.TCPAddr).Port }
func (s *server) webPort() int { return s.web.Addr().(*net.TCPAddr).Port }

// serve runs the services until ctx is done, then ends them in order; or until one of them fails.
func (s *server) serve(ctx context.Context) error {
	web := &http.Server{Handler: newPage(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 3)
	go func() { failed <- s.echoUDP() }()
	go func() { failed <- s.acceptTCP() }()
	go func() { failed <- web.Serve(s.web) }()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}

	grace, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	s.udp.Close()
	s.tcp.Close()
	if web.Shutdown(grace) != nil {
		web.Close()
	}
	s.endConns(grace)
	return err
}

// echoUDP sends each datagram back to where it came from. It returns nil when the socket was closed.
func (s *server) echoUDP() error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		// One peer that can't be reached is no reason to stop serving the others.
		if _, err := s.udp.WriteToUDPAddrPort(buf[:n], from); err != nil && !errors.Is(err, net.ErrClosed) {
			log.Printf("echo: UDP to %v: %v", from, err)
		}
	}
}

// acceptTCP gives each connection a goroutine. It returns nil when the listener was closed.
func (s *server) acceptTCP() error {
	for {
		conn, err := s.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Too many open files, or a connection that died in the queue: both pass.
			log.Printf("echo: accept: %v", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if !s.admit(conn) {
			conn.Close()
			return nil
		}
		go s.echoTCP(conn)
	}
}

// echoTCP sends everything back until the peer has sent its last byte.
func (s *server) echoTCP(conn *net.TCPConn) {
	defer s.dismiss(conn)
	if _, err := io.Copy(conn, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		log.Printf("echo: TCP with %v: %v", conn.RemoteAddr(), err)
	}
}

// admit takes note of a connection; false means that the server is ending.
func (s *server) admit(conn *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return false
	}
	s.conns[conn] = struct{}{}
	s.wg.Add(1)
	return true
}

// dismiss closes a connection and forgets it.
func (s *server) dismiss(conn *net.TCPConn) {
	conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	s.wg.Done()
}

// endConns waits for the echo connections to end, and closes those that haven't when ctx is done.
func (s *server) endConns(ctx context.Context) {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	<-ended
}
