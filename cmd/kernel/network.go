package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"wick/bundle"
	"wick/kernel/driver/e1000"
	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtionet"
	"wick/kernel/ground"
	"wick/kernel/hw/pci"
	"wick/kernel/net"
	"wick/packet"
)

// card is a network card of either kind.
type card struct {
	driver
	missed   func() uint64 // frames that the card has lost
	counters func(visit func(name string, n uint64))
}

// driver is what the drivers of network cards have in common.
type driver interface {
	net.Link
	Stop()
	Done() <-chan struct{}
	Err() error
}

// slot is where a network card is.
type slot struct {
	description string // "" if there is no card
	begin       func(tap func(packet.Frame), whole bool) (*card, error)
}

// findCard finds the first network card that there is a driver for.
func findCard() slot {
	for _, d := range virtioDevices() {
		if d.kind == virtio.TypeNetwork {
			return slot{"virtio network card", func(tap func(packet.Frame), _ bool) (*card, error) { return startVirtioNet(d, tap) }}
		}
	}
	for _, f := range functions() {
		if f.VendorID == e1000.VendorID && f.DeviceID == e1000.DeviceID {
			return slot{"Intel 82540EM (e1000)", func(tap func(packet.Frame), whole bool) (*card, error) { return startE1000(&f, tap, whole) }}
		}
	}
	return slot{}
}

// start sets the card up; nil if there is none. It comes first of all in the boot, because QEMU's E1000 receives nothing for
// a second after it is set up. With whole, the tap is to see the frames as they go over the wire, though a card that makes several of
// one costs less. (What a virtio card makes of one, the wire doesn't show either: it is the host's memory.)
func (s *slot) start(tap func(packet.Frame), whole bool) (*card, error) {
	if s.begin == nil {
		return nil, nil
	}
	return s.begin(tap, whole)
}

func startE1000(f *pci.Function, tap func(packet.Frame), whole bool) (*card, error) {
	bar, err := f.BAR(0)
	if err != nil {
		return nil, err
	}
	registers, err := window(bar)
	if err != nil {
		return nil, err
	}
	interrupt, err := openInterrupt(f)
	if err != nil {
		return nil, err
	}
	f.Enable()
	_, memory := ground.KernelMemory()
	d, err := e1000.New(e1000.Config{
		Registers: registers, Memory: machine{}, Interrupt: interrupt, Tap: tap, WholeFrames: whole,
		RxDescriptors: rxDescriptors(memory),
	})
	if err != nil {
		return nil, err
	}
	missed := func() uint64 { return d.Counters()[e1000.RxMissed] }
	return &card{d, missed, func(visit func(string, uint64)) {
		for c, n := range d.Counters() {
			visit(e1000.Counter(c).String(), n)
		}
	}}, nil
}

// rxDescriptors returns how many frames an E1000 has room for in a kernel with so many bytes of memory. QEMU hands over what all
// connections have sent in one go, while the processor waits, and throws away what finds no room; then all of it comes again, in one
// go, a second later.
func rxDescriptors(memory uint64) int {
	const (
		share     = 16   // of the memory
		frameSize = 2048 // bytes for each
		least     = 128
	)
	return int(min(max(memory/share/frameSize, least), e1000.MaxDescriptors)) &^ 7
}

func startVirtioNet(device *virtioDevice, tap func(packet.Frame)) (*card, error) {
	transport, err := device.open()
	if err != nil {
		return nil, err
	}
	d, err := virtionet.New(virtionet.Config{Transport: transport, Memory: machine{}, Tap: tap})
	if err != nil {
		return nil, err
	}
	missed := func() uint64 { return 0 } // the host knows
	return &card{d, missed, func(visit func(string, uint64)) {
		for c, n := range d.Counters() {
			visit(virtionet.Counter(c).String(), n)
		}
	}}, nil
}

// tellFailure tells when the card fails.
func (c *card) tellFailure(log func(string, ...any)) {
	<-c.Done()
	if err := c.Err(); err != nil && !errors.Is(err, os.ErrClosed) { // closed: by Stop
		log("wick: the network card has failed: %v", err)
	}
}

// dhcpPatience is how long a program waits for its address at most.
const dhcpPatience = 10 * time.Second

// startNetwork makes the stack, with the card if there is one; judge, if not nil, learns what becomes of its frames. Without an
// address in the configuration it asks by DHCP.
func startNetwork(c *bundle.Config, card *card, judge net.Judge, memory *shortage, log func(string, ...any)) (*net.Stack, error) {
	stack, err := net.New(net.Options{
		Log: log, Hostname: c.Host, MaxBuffer: buffer(), Tight: tight, BufferMemory: bufferMemory(), VsockMemory: vsockMemory(),
		Short: memory.short, ShortLasting: memory.lasting, Crowded: memory.crowded, Low: memory.low,
	})
	if err != nil || card == nil {
		return stack, err
	}
	link := net.LinkConfig{DHCP: c.Address == "", Judge: judge}
	if c.Address != "" {
		if link.Address, err = netip.ParsePrefix(c.Address); err != nil {
			return nil, fmt.Errorf("address of the network card: %w", err)
		}
	}
	if c.Gateway != "" {
		if link.Gateway, err = netip.ParseAddr(c.Gateway); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	if c.DNS != "" {
		dns, err := netip.ParseAddr(c.DNS)
		if err != nil {
			return nil, fmt.Errorf("name server: %w", err)
		}
		link.DNS = []netip.Addr{dns}
	}
	if err := stack.AddLink(card.driver, "eth0", link); err != nil {
		return nil, err
	}
	select {
	case <-stack.Configured("eth0"):
	case <-time.After(dhcpPatience):
		log("no answer from a DHCP server within %v; going on without an address", dhcpPatience)
	}
	return stack, nil
}

// tellCounters logs, for wick run -v, what the card and the stack have counted, drops by reason among it, and what is left in
// the kernel after the program.
func (k *kernel) tellCounters(card *card, stack *net.Stack) {
	tell := func(of string) func(string, uint64) {
		return func(name string, n uint64) {
			if n != 0 {
				k.detail("%s: %s %d", of, name, n)
			}
		}
	}
	if card != nil {
		card.counters(tell("e0"))
	}
	stack.Counters(tell("net"))
	k.tellMemory("after the program")
	if k.bundle.Config.Verbose {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		k.detail("kernel: goroutines %d", runtime.NumGoroutine())
		k.detail("kernel: heap-bytes %d", m.HeapAlloc)
		used, _ := ground.KernelMemory()
		k.detail("kernel: memory-bytes %d", used)
	}
}
