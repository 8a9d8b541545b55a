package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"wick/vmm/vhostuser"
	"wick/vmm/vsockhost"
	"wick/vsock/hybrid"
)

func newVsockServe() *cobra.Command {
	var guests []string
	o := serveOptions{hello: helloTime, print: func(cid uint32, line string) { complain(fmt.Errorf("vsock %d: %s", cid, line)) }}
	cmd := &cobra.Command{
		Use:   "serve --guest GUEST…",
		Short: "Be the vsock device of machines that others start",
		Long: `Serve has the vsock devices of QEMUs that wick has not started. Each --guest is a machine, as in
cid=CID,socket=SOCKET,path=PATH: QEMU connects to SOCKET by vhost-user, has the address CID, and its ports are reached at PATH,
as with wick run --vsock. When a QEMU has ended, another may connect. Besides,

  map=PORT=TARGET    leads the machine's connections to a port of the host elsewhere, as --vsock-map of wick run
  group=NAME         has machines of one group reach each other, by their CIDs; all else but the host is refused

A client of PATH waits for a QEMU that isn't there yet as for a program that does not listen yet (--wait, else 5s), then it
gets ERR and the reason. A client of SOCKET that does not begin as QEMU does within 10s has to go; a second QEMU waits for
the end of the first. Machines don't depend on each other. Serve ends on SIGINT or SIGTERM.`,
		Example: `  wick vsock serve --guest cid=3,socket=/tmp/q3,path=/tmp/v3 --guest cid=4,socket=/tmp/q4,path=/tmp/v4
  qemu-system-x86_64 … -object memory-backend-memfd,id=m,size=256M,share=on -M q35,memory-backend=m -m 256M \
      -chardev socket,id=c,path=/tmp/q3 -device vhost-user-vsock-pci,chardev=c`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := parseGuests(guests)
			if err != nil {
				return err
			}
			if o.wait < 0 {
				return fmt.Errorf("--wait: %v is negative", o.wait)
			}
			if err := checkConns(o.conns); err != nil {
				return fmt.Errorf("--conns: %w", err)
			}
			ctx, stop := untilSignal()
			defer stop()
			return serveGuests(ctx, all, o)
		},
	}
	cmd.Flags().StringArrayVar(&guests, "guest", nil, "a machine: `GUEST`, cid=CID,socket=SOCKET,path=PATH and more, see above (repeatable)")
	cmd.Flags().DurationVar(&o.wait, "wait", 0, "how long connections wait for a machine, or a program in it, that is not there yet, such as 10s: `TIME`")
	cmd.Flags().IntVar(&o.conns, "conns", vsockhost.DefaultConns, "how many connections each machine may have at a time: `N`")
	return cmd
}

const (
	// helloTime is how long a client may take to say the first word of vhost-user, and then to take the device.
	helloTime = 10 * time.Second
	// patience is how long a QEMU waits for another one until that is said: one that has just ended needs a moment.
	patience = time.Second
	// maxHellos bounds the clients of one machine's socket that are not served: those that have said nothing, and those that wait.
	maxHellos = 64
	// Pauses after which a socket that had no descriptor left for a client is tried again, each twice as long as the one before.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// serveOptions are those of all machines.
type serveOptions struct {
	wait  time.Duration
	conns int
	hello time.Duration // helloTime
	print func(cid uint32, line string)
}

// service is the device of one machine.
type service struct {
	servedGuest
	serveOptions
	host     *vsockhost.Host
	listener *hybrid.UnixListener
	say      func(format string, args ...any)
}

// services are those of all machines, by CID.
type services map[uint32]*service

// peer returns the machine with a CID, or why another one does not reach it.
func (all services) peer(from, cid uint32) (*vsockhost.Host, error) {
	s := all[cid]
	switch {
	case s == nil:
		return nil, fmt.Errorf("no machine here has the CID %d", cid)
	case from == cid:
		return nil, errors.New("that is the guest itself")
	case s.group == "" || s.group != all[from].group:
		return nil, fmt.Errorf("not allowed: machine %d is in no group with machine %d", cid, from)
	}
	return s.host, nil
}

// serveGuests serves machines until ctx is over. An error says that one can't be served, then none is.
func serveGuests(ctx context.Context, guests []servedGuest, o serveOptions) error {
	all := make(services)
	defer func() {
		for _, s := range all {
			s.close()
		}
	}()
	for _, g := range guests {
		all[g.cid] = &service{servedGuest: g, serveOptions: o, say: vsockhost.Limited(func(line string) { o.print(g.cid, line) })}
	}
	for _, g := range guests {
		if err := all[g.cid].open(all); err != nil {
			return fmt.Errorf("--guest cid=%d: %w", g.cid, err)
		}
	}
	var work sync.WaitGroup
	for _, s := range all {
		work.Go(func() { s.serve(ctx) })
	}
	work.Wait()
	return nil
}

// open opens the sockets of a machine.
func (s *service) open(all services) (err error) {
	s.host, err = vsockhost.New(vsockhost.Config{
		CID: s.cid, Path: s.path, Maps: s.maps, Wait: s.wait, MaxConns: s.conns, HandshakeTime: s.hello,
		Peer: func(cid uint32) (*vsockhost.Host, error) { return all.peer(s.cid, cid) },
		Log:  func(line string) { s.say("%s", line) },
	})
	if err != nil {
		return err
	}
	s.listener, err = hybrid.ListenUnix(s.socket)
	return err
}

func (s *service) close() {
	if s.listener != nil {
		s.listener.Close()
	}
	if s.host != nil {
		s.host.Close()
	}
}

// serve serves one QEMU after the other, until ctx is over.
func (s *service) serve(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		s.close()
		close(closed)
	})
	defer func() { <-closed }()
	ready := make(chan *net.UnixConn)
	work.Go(func() { s.accept(ctx, ready) })
	for {
		s.say("waiting for QEMU at %s", s.socket)
		select {
		case c := <-ready:
			s.say("QEMU is there; ports are reached at %s", s.path)
			if err := s.host.Serve(c); err != nil {
				s.say("%v", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// accept takes clients of the socket, and passes those on that begin as QEMU does, whatever others do meanwhile.
func (s *service) accept(ctx context.Context, ready chan<- *net.UnixConn) {
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, maxHellos)
	for pause := firstPause; ; {
		slots <- struct{}{}
		c, err := s.listener.AcceptUnix()
		if err == nil {
			pause = firstPause
			work.Go(func() {
				defer func() { <-slots }()
				s.greet(ctx, c, ready)
			})
			continue
		}
		<-slots
		if ctx.Err() != nil {
			return
		}
		s.say("%v; trying again", err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		case <-ctx.Done():
			return
		}
	}
}

// greet waits for the first word of a client, then until it can be served.
func (s *service) greet(ctx context.Context, c *net.UnixConn, ready chan<- *net.UnixConn) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	if err := vhostuser.Hello(c, s.hello); err != nil {
		if ctx.Err() == nil {
			s.say("a client of %s is no QEMU: %v", s.socket, err)
		}
		stop()
		c.Close()
		return
	}
	stop()
	select {
	case ready <- c:
		return
	case <-time.After(patience):
		s.say("another QEMU waits at %s for the end of the first", s.socket)
	case <-ctx.Done():
	}
	select {
	case ready <- c:
	case <-ctx.Done():
		c.Close()
	}
}
