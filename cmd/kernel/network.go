package main

import (
	"fmt"
	"net/netip"
	"time"

	"wick/bundle"
	"wick/kernel/driver/e1000"
	"wick/kernel/ground"
	"wick/kernel/hw"
	"wick/kernel/hw/pci"
	"wick/kernel/net"
)

// startCard finds the network card and sets it up; nil if the machine has none. It comes first of all in the boot, because
// QEMU's card receives nothing for a second after it is set up.
func startCard(tap e1000.Tap) (*e1000.Device, error) {
	bus := pci.NewBus(machine{})
	f, ok := bus.Find(func(f *pci.Function) bool { return f.VendorID == e1000.VendorID && f.DeviceID == e1000.DeviceID })
	if !ok {
		return nil, nil
	}
	bar, err := f.BAR(0)
	if err != nil {
		return nil, err
	}
	line, ok := f.InterruptLine()
	if !ok {
		return nil, fmt.Errorf("network card %v: the firmware has given it no interrupt line", f.Address)
	}
	f.Enable()
	interrupt, err := hw.OpenInterrupt(line, hw.Level)
	if err != nil {
		return nil, fmt.Errorf("network card %v: interrupt line %d: %w", f.Address, line, err)
	}
	return e1000.New(e1000.Config{
		Registers: hw.MMIO(ground.MMIO(bar.Address, e1000.RegistersSize)),
		Memory:    machine{}, Interrupt: interrupt, Tap: tap,
	})
}

// dhcpPatience is how long a program waits for its address at most.
const dhcpPatience = 10 * time.Second

// startNetwork makes the stack, with the card if there is one. Without an address in the configuration it asks by DHCP.
func startNetwork(c *bundle.Config, card *e1000.Device, short func() bool, log func(string, ...any)) (*net.Stack, error) {
	stack, err := net.New(net.Options{
		Log: log, Hostname: c.Host, MaxBuffer: buffer(), Short: short,
	})
	if err != nil || card == nil {
		return stack, err
	}
	link := net.LinkConfig{DHCP: c.Address == ""}
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
	if err := stack.AddLink(card, "eth0", link); err != nil {
		return nil, err
	}
	select {
	case <-stack.Configured("eth0"):
	case <-time.After(dhcpPatience):
		log("no answer from a DHCP server within %v; going on without an address", dhcpPatience)
	}
	return stack, nil
}

// tellCounters logs what the card and the stack have counted, drops by reason among it, for wick run -v.
func (k *kernel) tellCounters(card *e1000.Device, stack *net.Stack) {
	if card != nil {
		for c, n := range card.Counters() {
			if n != 0 {
				k.detail("e0: %v %d", e1000.Counter(c), n)
			}
		}
	}
	stack.Counters(func(name string, n uint64) {
		if n != 0 {
			k.detail("net: %s %d", name, n)
		}
	})
}
