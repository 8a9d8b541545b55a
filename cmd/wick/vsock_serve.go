package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"wick/vmm/vsockhost"
	"wick/vsock"
	"wick/vsock/hybrid"
)

func newVsockServe() *cobra.Command {
	var guests []string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "serve --guest GUEST…",
		Short: "Be the vsock device of machines that others start",
		Long: `Serve has the vsock devices of QEMUs that wick has not started. Each --guest is a machine, as in
cid=CID,socket=SOCKET,path=PATH: QEMU connects to SOCKET by vhost-user, has the address CID, and its ports are reached at PATH,
as with wick run --vsock. When a QEMU has ended, another may connect. Besides,

  map=PORT=TARGET    leads the machine's connections to a port of the host elsewhere, as --vsock-map of wick run
  group=NAME         has machines of one group reach each other, by their CIDs; all else but the host is refused

Serve ends on SIGINT or SIGTERM.`,
		Example: `  wick vsock serve --guest cid=3,socket=/tmp/q3,path=/tmp/v3 --guest cid=4,socket=/tmp/q4,path=/tmp/v4
  qemu-system-x86_64 … -object memory-backend-memfd,id=m,size=256M,share=on -M q35,memory-backend=m -m 256M \
      -chardev socket,id=c,path=/tmp/q3 -device vhost-user-vsock-pci,chardev=c`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := parseGuests(guests)
			if err != nil {
				return err
			}
			ctx, stop := untilSignal()
			defer stop()
			return serveGuests(ctx, all, wait)
		},
	}
	cmd.Flags().StringArrayVar(&guests, "guest", nil, "a machine: `GUEST`, cid=CID,socket=SOCKET,path=PATH and more, see above (repeatable)")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long connections wait for a program that does not listen yet, such as 10s: `TIME`")
	return cmd
}

// servedGuest is a machine that somebody else starts.
type servedGuest struct {
	cid    uint32
	socket string // where its QEMU connects
	path   string // where we are connected to
	maps   []vsockhost.Map
	group  string // "" for none
}

// servedGuests are those whose QEMUs are there.
type servedGuests struct {
	mu    sync.Mutex
	hosts map[uint32]*vsockhost.Host // guarded by mu; by CID
	group map[uint32]string          // of all, by CID
}

// set notes that a machine is there, or, with nil, not any more.
func (s *servedGuests) set(cid uint32, h *vsockhost.Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[cid] = h
}

// peer returns the machine with a CID if another one may reach it.
func (s *servedGuests) peer(from, cid uint32) *vsockhost.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from == cid || s.group[from] == "" || s.group[from] != s.group[cid] {
		return nil
	}
	return s.hosts[cid]
}

// parseGuests reads all --guest.
func parseGuests(list []string) (all []servedGuest, err error) {
	if len(list) == 0 {
		return nil, errors.New("which machines? wick vsock serve --guest cid=CID,socket=SOCKET,path=PATH")
	}
	seen := make(map[string]bool)
	for _, s := range list {
		g, err := parseGuest(s)
		if err != nil {
			return nil, fmt.Errorf("--guest %s: %w", s, err)
		}
		for _, unique := range []string{fmt.Sprint("CID ", g.cid), "socket " + g.socket, "socket " + g.path} {
			if seen[unique] {
				return nil, fmt.Errorf("--guest %s: %s is there twice", s, unique)
			}
			seen[unique] = true
		}
		all = append(all, g)
	}
	return all, nil
}

func parseGuest(s string) (g servedGuest, err error) {
	for _, field := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "cid":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil || uint32(n) < vsock.MinGuest || uint32(n) > vsock.MaxGuest {
				return g, fmt.Errorf("cid %q is not between %d and %d", value, vsock.MinGuest, vsock.MaxGuest)
			}
			g.cid = uint32(n)
		case "socket":
			g.socket = value
		case "path":
			g.path = value
		case "map":
			m, err := vsockhost.ParseMap(value)
			if err != nil {
				return g, err
			}
			g.maps = append(g.maps, m)
		case "group":
			g.group = value
		default:
			return g, fmt.Errorf("%q is none of cid, socket, path, map, group", name)
		}
	}
	if g.cid == 0 || g.socket == "" || g.path == "" {
		return g, errors.New("want cid, socket and path")
	}
	return g, nil
}

// serveGuests serves machines until ctx is over.
func serveGuests(ctx context.Context, all []servedGuest, wait time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	there := &servedGuests{hosts: make(map[uint32]*vsockhost.Host), group: make(map[uint32]string)}
	for _, g := range all {
		there.group[g.cid] = g.group
	}
	ended := make(chan error)
	for _, g := range all {
		go func() {
			err := g.serve(ctx, there, wait)
			if err != nil {
				cancel(err) // one that can't be served is to be seen, not to be missed
			}
			ended <- err
		}()
	}
	var first error
	for range all {
		if err := <-ended; first == nil {
			first = err
		}
	}
	return first
}

// serve serves one QEMU after the other.
func (g *servedGuest) serve(ctx context.Context, there *servedGuests, wait time.Duration) error {
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "wick: vsock %d: %s\n", g.cid, fmt.Sprintf(format, args...))
	}
	l, err := hybrid.ListenUnix(g.socket)
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		host, err := vsockhost.New(vsockhost.Config{
			CID: g.cid, Path: g.path, Maps: g.maps, Wait: wait,
			Peer: func(cid uint32) *vsockhost.Host { return there.peer(g.cid, cid) },
			Log:  func(line string) { say("%s", line) },
		})
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, host.Close)
		say("waiting for QEMU at %s", g.socket)
		c, err := l.AcceptUnix()
		if err != nil {
			stop()
			host.Close()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		say("QEMU is there; ports are reached at %s", g.path)
		there.set(g.cid, host)
		if err := host.Serve(c); err != nil {
			say("%v", err)
		}
		there.set(g.cid, nil)
		stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}
