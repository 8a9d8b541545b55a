package main

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"wick/kernel/ground"
	"wick/kernel/hw"
	"wick/kernel/hw/pci"
)

// functions returns what is on the PCI buses; nothing where there are none.
var functions = sync.OnceValue(func() []pci.Function { return pci.NewBus(machine{}).Scan() })

// openInterrupt opens the interrupt line of a PCI function.
func openInterrupt(f *pci.Function) (hw.Interrupt, error) {
	line, ok := f.InterruptLine()
	if !ok {
		return nil, fmt.Errorf("pci %v: the firmware has given it no interrupt line", f.Address)
	}
	interrupt, err := hw.OpenInterrupt(line, hw.Level)
	if err != nil {
		return nil, fmt.Errorf("pci %v: interrupt line %d: %w", f.Address, line, err)
	}
	return interrupt, nil
}

// messages counts the messages that have been opened.
var messages atomic.Uint32

// openMessage opens a message that nobody has opened yet. Each has its number for good.
func openMessage() (hw.Message, error) {
	n := messages.Add(1) - 1
	if n > math.MaxUint8 {
		return hw.Message{}, errors.New("too many messages of PCI functions")
	}
	interrupt, err := hw.OpenMessage(uint8(n))
	if err != nil {
		return hw.Message{}, fmt.Errorf("message %d: %w", n, err)
	}
	address, data := ground.Message(uint8(n))
	return hw.Message{Interrupt: interrupt, Address: address, Data: data}, nil
}

// window makes the registers in a BAR reachable.
func window(bar pci.BAR) (hw.Window, error) {
	if bar.IO || bar.Address+bar.Size > 1<<32 {
		return nil, fmt.Errorf("no registers in memory below 4 GiB: %d bytes at %#x", bar.Size, bar.Address)
	}
	return hw.MMIO(ground.MMIO(bar.Address, int(bar.Size))), nil
}
