package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/pflag"

	"wick/vmm"
	"wick/vmm/vsockhost"
	"wick/vsock"
)

// vsockFlags are the flags of wick run for vsock.
type vsockFlags struct {
	path      string
	maps      []string
	publishes []string
	wait      time.Duration
	cid       uint32
	conns     int
	set       *pflag.FlagSet // which of them were given
}

func (f *vsockFlags) add(flags *pflag.FlagSet) {
	f.set = flags
	flags.StringVar(&f.path, "vsock", "", "give the machine a vsock device: connect at the socket `PATH`, listen at PATH_PORT")
	flags.StringArrayVar(&f.maps, "vsock-map", nil, "lead the program's connections to a vsock port of the host elsewhere: `PORT=TARGET`, a path or tcp:ADDR:PORT (repeatable)")
	flags.StringArrayVar(&f.publishes, "vsock-publish", nil, "lead connections to a vsock port of the machine: `TARGET=PORT`; of tcp:ADDR:0 the port is picked (repeatable)")
	flags.DurationVar(&f.wait, "vsock-wait", 0, "how long connections wait for a program that does not listen yet, such as 10s: `TIME`")
	flags.Uint32Var(&f.cid, "vsock-cid", vsock.MinGuest, "the machine's vsock address: `CID`")
	flags.IntVar(&f.conns, "vsock-conns", vsockhost.DefaultConns, "how many vsock connections the machine may have at a time: `N`")
}

// config checks the flags. ok is false if none asks for a device.
func (f *vsockFlags) config() (c vsockhost.Config, ok bool, err error) {
	c = vsockhost.Config{CID: f.cid, Path: f.path, Wait: f.wait, MaxConns: f.conns, Log: func(line string) { complain(errors.New("vsock: " + line)) }}
	if f.cid < vsock.MinGuest || f.cid > vsock.MaxGuest {
		return c, false, fmt.Errorf("--vsock-cid: %d is not between %d and %d", f.cid, vsock.MinGuest, vsock.MaxGuest)
	}
	if f.wait < 0 {
		return c, false, fmt.Errorf("--vsock-wait: %v is negative", f.wait)
	}
	if err := checkConns(f.conns); err != nil {
		return c, false, fmt.Errorf("--vsock-conns: %w", err)
	}
	if f.path == "" && f.given("vsock") {
		return c, false, errors.New("--vsock: the path of the socket is empty")
	}
	for _, s := range f.maps {
		m, err := vsockhost.ParseMap(s)
		if err == nil {
			c.Maps, err = addMap(c.Maps, m)
		}
		if err != nil {
			return c, false, fmt.Errorf("--vsock-map: %w", err)
		}
	}
	for _, s := range f.publishes {
		p, err := vsockhost.ParsePublish(s)
		if err == nil {
			err = f.checkPublish(p, c.Publishes)
		}
		if err != nil {
			return c, false, fmt.Errorf("--vsock-publish: %w", err)
		}
		c.Publishes = append(c.Publishes, p)
	}
	if !f.wanted() && (f.given("vsock-wait") || f.given("vsock-cid") || f.given("vsock-conns")) {
		return c, false, errors.New("--vsock-wait, --vsock-cid and --vsock-conns are for a vsock device: --vsock, --vsock-map or --vsock-publish ask for one")
	}
	return c, f.wanted(), nil
}

// given tells whether a flag was given, whatever its value.
func (f *vsockFlags) given(name string) bool { return f.set != nil && f.set.Changed(name) }

// checkPublish tells whether something else is at the place of p. Of TCP port 0 there are many.
func (f *vsockFlags) checkPublish(p vsockhost.Publish, others []vsockhost.Publish) error {
	if path := p.Target.Path; path != "" && f.path != "" && samePath(path, f.path) {
		return fmt.Errorf("%s is the socket of --vsock", path)
	}
	for _, o := range others {
		same := p.Target == o.Target && p.Target.TCP.Port() != 0
		if path := p.Target.Path; path != "" && o.Target.Path != "" {
			same = samePath(path, o.Target.Path)
		}
		if same {
			return fmt.Errorf("%v is there twice", p.Target)
		}
	}
	return nil
}

// checkConns tells whether a machine can have so many connections.
func checkConns(n int) error {
	if n < 1 || n > vsockhost.MostConns {
		return fmt.Errorf("%d is not between 1 and %d", n, vsockhost.MostConns)
	}
	return nil
}

// wanted tells whether the machine is to have a vsock device.
func (f *vsockFlags) wanted() bool { return f.path != "" || len(f.maps) > 0 || len(f.publishes) > 0 }

// vsockDevice is the device of a run; the zero one is none.
type vsockDevice struct {
	host   *vsockhost.Host
	conn   *net.UnixConn
	served chan error
}

// open opens the sockets of the host and has the machine get the device.
func (f *vsockFlags) open(m *vmm.Machine) (d vsockDevice, err error) {
	config, wanted, err := f.config()
	if err != nil || !wanted {
		return d, err
	}
	host, err := vsockhost.New(config)
	if publish := new(vsockhost.PublishError); errors.As(err, &publish) {
		return d, fmt.Errorf("--vsock-publish: %w", err)
	}
	if err != nil {
		return d, fmt.Errorf("--vsock: %w", err)
	}
	if d.conn, m.Vsock, err = vmm.VsockPair(); err != nil {
		host.Close()
		return d, err
	}
	d.host = host
	return d, nil
}

// serve serves the machine that has the other end.
func (d *vsockDevice) serve() {
	if d.host == nil {
		return
	}
	d.served = make(chan error, 1)
	go func() {
		err := d.host.Serve(d.conn)
		d.host.Close()
		d.served <- err
	}()
}

// print tells the user what leads into the machine.
func (d *vsockDevice) print() {
	if d.host == nil {
		return
	}
	for _, p := range d.host.Publishes() {
		fmt.Fprintln(os.Stderr, "wick:", p)
	}
}

// close waits until what the machine has sent is where it belongs, if the machine has ended, and removes the sockets.
func (d *vsockDevice) close() {
	if d.host == nil {
		return
	}
	if d.served == nil {
		d.host.Close()
		d.conn.Close()
		return
	}
	if err := <-d.served; err != nil {
		complain(fmt.Errorf("vsock: %w", err))
	}
}
