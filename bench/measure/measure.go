// Package measure starts guests and measures what their users would notice, with the CPU time that it takes and the noise on
// the host meanwhile. Its traffic stays on the loopback interface and QEMU's user network; everything is bounded in time.
package measure

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"wick/bench/guest"
	"wick/vmm"
)

// Values are what was measured, by name; the names end in their unit.
type Values map[string]float64

// Record is one measurement of one guest.
type Record struct {
	Guest   string // its kernel
	Machine string // the name of its machine
	CPUs    int
	Round   int    // from 1; 0: done once
	What    string // one of the names below
	Values  Values
	Noise   Noise
	Error   string `json:",omitempty"` // why there are no values
}

// What can be measured, by the names of Record.What.
const (
	Boot      = "boot"
	UDPEcho   = "udp-echo"
	UDPRate   = "udp-rate"
	TCPEcho   = "tcp-echo"
	TCPIn     = "tcp-in"
	TCPOut    = "tcp-out"
	HTTP      = "http"
	HTTPConn  = "http-conn"
	VsockEcho = "vsock-echo"
	VsockIn   = "vsock-in"
	VsockOut  = "vsock-out"
	VsockConn = "vsock-conn"
	Getpid    = "getpid"
	Read      = "read"
	Switch    = "switch"
	Fault     = "fault"
	Compute   = "compute"
	Memory    = "memory"
	Size      = "size"
)

// Groups are what can be chosen to be measured, with what is in them. All but memory and size are measured in every round.
var Groups = map[string][]string{
	"boot":   {Boot},
	"udp":    {UDPEcho, UDPRate},
	"tcp":    {TCPEcho, TCPIn, TCPOut},
	"http":   {HTTP, HTTPConn},
	"vsock":  {VsockEcho, VsockIn, VsockOut, VsockConn},
	"micro":  {Getpid, Read, Switch, Fault, Compute},
	"memory": {Memory},
	"size":   {Size},
}

// CPUTime is the name of the value in every record of a load: CPU time of QEMU for each operation.
const CPUTime = "cpu_us"

// Options say how to measure.
type Options struct {
	QEMU   string
	Groups map[string]bool
	Quiet  Quiet
	Record func(Record) // is told what was measured
}

// BootLimit is how long a guest may take to boot.
const BootLimit = 120 * time.Second

// ports are the host's ports that lead into a guest.
type ports struct{ udpEcho, tcpEcho, discard, source, http uint16 }

// freePorts finds ports that nobody uses now, and makes forwards of them.
func freePorts() (p ports, forwards []vmm.Forward, err error) {
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	add := func(to *uint16, udp bool, guestPort uint16) {
		var port uint16
		if err == nil {
			port, err = freePort(udp)
		}
		*to = port
		forwards = append(forwards, vmm.Forward{UDP: udp, Addr: host, Host: port, Guest: guestPort})
	}
	add(&p.udpEcho, true, 7)
	add(&p.tcpEcho, false, 7)
	add(&p.discard, false, 9)
	add(&p.source, false, 19)
	add(&p.http, false, 80)
	return p, forwards, err
}

func freePort(udp bool) (uint16, error) {
	if udp {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return 0, err
		}
		return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), c.Close()
	}
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), l.Close()
}

// Round measures a guest once.
func (o *Options) Round(g guest.Guest, round int) {
	s := session{Options: o, guest: g, round: round}
	if o.Groups["boot"] || o.Groups["udp"] || o.Groups["tcp"] || o.Groups["http"] {
		s.server()
	}
	if o.Groups["vsock"] && g.Runs(guest.Vsock) {
		s.vsock()
	}
	if o.Groups["micro"] {
		s.micro()
	}
}

// session is a guest in a round.
type session struct {
	*Options
	guest guest.Guest
	round int
	ports ports
}

// report records a measurement.
func (s *session) report(what string, v Values, n Noise, err error) {
	r := Record{Guest: s.guest.Name, Machine: s.guest.Machine.Name, CPUs: s.guest.CPUs, Round: s.round, What: what, Values: v, Noise: n}
	if err != nil {
		r.Values, r.Error = nil, err.Error()
	}
	s.Record(r)
}

// server boots the guest as a server and puts loads on it.
func (s *session) server() {
	if err := s.Quiet.wait(nil); err != nil {
		s.report(Boot, nil, Noise{}, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), BootLimit)
	defer cancel()
	vm, v, n, err := s.boot(ctx, guest.DefaultMemory)
	s.report(Boot, v, n, err)
	if err != nil {
		return
	}
	defer vm.Stop()
	for _, load := range s.loads() {
		if s.Groups[load.group] {
			v, n, err := s.load(vm, load.run)
			s.report(load.what, v, n, err)
		}
	}
}

// serverLoad is a load on the server.
type serverLoad struct {
	group, what string // as in Groups
	run         func() (outcome, error)
}

func (s *session) loads() []serverLoad {
	return []serverLoad{
		{"udp", UDPEcho, func() (outcome, error) { return udpEcho(s.ports.udpEcho) }},
		{"udp", UDPRate, func() (outcome, error) { return udpRate(s.ports.udpEcho) }},
		{"tcp", TCPEcho, func() (outcome, error) { return streamEcho(tcp(s.ports.tcpEcho)) }},
		{"tcp", TCPIn, func() (outcome, error) { return streamIn(tcp(s.ports.discard)) }},
		{"tcp", TCPOut, func() (outcome, error) { return streamOut(tcp(s.ports.source)) }},
		{"http", HTTP, func() (outcome, error) { return httpRate(s.ports.http, keptAlive, true) }},
		{"http", HTTPConn, func() (outcome, error) { return httpRate(s.ports.http, fresh, false) }},
	}
}

// During boots a guest as a server and does something, which is told of each load on the server in turn, while that goes on.
func (o *Options) During(g guest.Guest, do func(what string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), BootLimit)
	defer cancel()
	s := session{Options: o, guest: g}
	vm, _, _, err := s.boot(ctx, guest.DefaultMemory)
	if err != nil {
		return err
	}
	defer vm.Stop()
	for _, load := range s.loads() {
		if err := load.during(func() error { return do(load.what) }); err != nil {
			return fmt.Errorf("%s: %w", load.what, err)
		}
	}
	return nil
}

// during puts the load on the server again and again while do runs.
func (l *serverLoad) during(do func() error) error {
	var over atomic.Bool
	ended := make(chan error)
	go func() {
		var err error
		for err == nil && !over.Load() {
			_, err = l.run()
		}
		ended <- err
	}()
	err := do()
	over.Store(true)
	return errors.Join(err, <-ended)
}

// boot starts the guest and waits until it serves. When it returns an error, no machine is left.
func (s *session) boot(ctx context.Context, memory int64) (vm *guest.Process, v Values, n Noise, err error) {
	var forwards []vmm.Forward
	if s.ports, forwards, err = freePorts(); err != nil {
		return nil, nil, n, err
	}
	before, err := cpuUsage(nil)
	if err != nil {
		return nil, nil, n, err
	}
	started, err := s.guest.Start(s.QEMU, guest.Server, memory, forwards, nil)
	if err != nil {
		return nil, nil, n, err
	}
	defer func() {
		if err != nil {
			started.Stop()
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a machine that has ended gives no answer
		select {
		case <-started.Ended():
			cancel()
		case <-ctx.Done():
		}
	}()
	line, err := started.Line(ctx, "server: ready")
	if err != nil {
		return nil, nil, n, err
	}
	replied, err := firstReply(ctx, s.ports.udpEcho)
	if err != nil {
		return nil, nil, n, fmt.Errorf("%w; the console's end:\n%s", err, started.Tail())
	}
	after, err := cpuUsage(started)
	if err != nil {
		return nil, nil, n, err
	}
	if err := started.DeepenBacklogs(); err != nil {
		return nil, nil, n, err
	}
	resident, err := started.Resident()
	return started, Values{
		"first_line_ms": ms(line.At), "first_line_cpu_ms": ms(line.CPU),
		"first_reply_ms": ms(replied.Sub(started.Started)), "first_reply_cpu_ms": ms(after.ours - before.ours),
		"resident_mib": float64(resident) / (1 << 20),
	}, noise(before, after), err
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// load runs a load and adds what CPU time it has cost.
func (s *session) load(vm *guest.Process, run func() (outcome, error)) (Values, Noise, error) {
	if err := s.Quiet.wait(vm); err != nil {
		return nil, Noise{}, err
	}
	before, err := cpuUsage(vm)
	if err != nil {
		return nil, Noise{}, err
	}
	cpu, err := vm.CPU()
	if err != nil {
		return nil, Noise{}, err
	}
	out, err := run()
	if err != nil {
		return nil, Noise{}, fmt.Errorf("%w; the console's end:\n%s", err, vm.Tail())
	}
	used, err := vm.CPU()
	if err != nil {
		return nil, Noise{}, err
	}
	after, err := cpuUsage(vm)
	if err != nil {
		return nil, Noise{}, err
	}
	if out.operations == 0 {
		return nil, Noise{}, errors.New("nothing came back")
	}
	out.values[CPUTime] = (used - cpu).Seconds() * 1e6 / out.operations
	return out.values, noise(before, after), nil
}

// micro boots the guest with the program that measures from within.
func (s *session) micro() {
	fail := func(err error) { s.report(Getpid, nil, Noise{}, err) }
	if err := s.Quiet.wait(nil); err != nil {
		fail(err)
		return
	}
	vm, err := s.guest.Start(s.QEMU, guest.Micro, guest.DefaultMemory, nil, nil)
	if err != nil {
		fail(err)
		return
	}
	defer vm.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), BootLimit)
	defer cancel()
	for _, what := range Groups["micro"] {
		v, n, err := microLines(ctx, vm, what)
		s.report(what, v, n, err)
	}
}

// microLines reads the two lines of one measurement of the micro-benchmark.
func microLines(ctx context.Context, vm *guest.Process, what string) (Values, Noise, error) {
	begin, err := vm.Line(ctx, "begin "+what)
	if err != nil {
		return nil, Noise{}, err
	}
	before, err := cpuUsage(vm)
	if err != nil {
		return nil, Noise{}, err
	}
	end, err := vm.Line(ctx, "end "+what)
	if err != nil {
		return nil, Noise{}, err
	}
	after, err := cpuUsage(vm)
	if err != nil {
		return nil, Noise{}, err
	}
	var operations, ns int64
	if n, err := fmt.Sscanf(end.Text, "end "+what+" %d %d", &operations, &ns); n != 2 || operations <= 0 {
		return nil, Noise{}, fmt.Errorf("the guest says %q: %w", end.Text, err)
	}
	// A guest whose clock goes slow would look fast. A busy host may be late to read either line.
	const late = 200 * time.Millisecond
	if here := end.At - begin.At; time.Duration(ns) < here*3/4-late || time.Duration(ns) > here*5/4+late {
		return nil, Noise{}, fmt.Errorf("the guest's clock says %v, the host's %v", time.Duration(ns), here)
	}
	return Values{
		"ns":    float64(ns) / float64(operations),
		CPUTime: (end.CPU - begin.CPU).Seconds() * 1e6 / float64(operations),
	}, noise(before, after), nil
}

// Once measures what doesn't change from round to round: sizes, and the least memory with which the guest serves.
func (o *Options) Once(g guest.Guest) {
	s := session{Options: o, guest: g}
	if o.Groups["size"] {
		mib := func(n int64) float64 { return float64(n) / (1 << 20) }
		s.report(Size, Values{"shipped_mib": mib(g.Size().Shipped), "loaded_mib": mib(g.Size().Loaded)}, Noise{}, nil)
	}
	if o.Groups["memory"] {
		mib, err := s.leastMemory()
		s.report(Memory, Values{"least_mib": float64(mib)}, Noise{}, err)
	}
}

// leastMemory searches for the least memory with which the guest serves, in MiB, by bisection.
func (s *session) leastMemory() (int, error) {
	start := time.Now()
	if err := s.serves(guest.DefaultMemory>>20, BootLimit); err != nil {
		return 0, err
	}
	// With too little memory a guest may be slow before it gives up.
	limit := 3*time.Since(start) + 5*time.Second
	fails, serves := 0, guest.DefaultMemory>>20
	for serves-fails > 1 {
		if half := (fails + serves) / 2; s.serves(half, limit) == nil {
			serves = half
		} else {
			fails = half
		}
	}
	// With hardly enough it is luck whether a guest serves; what counts is the least with which it then serves two times in a row.
	for lucky := 0; lucky < 2; lucky++ {
		if err := s.serves(serves, limit); err != nil {
			if serves++; serves >= guest.DefaultMemory>>20 {
				return 0, err
			}
			lucky = -1
		}
	}
	return serves, nil
}

// serves tells whether the guest serves with so much memory: by UDP and, on sixteen connections, by HTTP.
func (s *session) serves(mib int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	vm, _, _, err := s.boot(ctx, int64(mib)<<20)
	if err != nil {
		return err
	}
	defer vm.Stop()
	_, err = httpRate(s.ports.http, keptAlive, true)
	return err
}
