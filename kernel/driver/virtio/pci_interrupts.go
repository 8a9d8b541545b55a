package virtio

import (
	"fmt"
	"io"

	"wick/kernel/hw"
	"wick/kernel/hw/pci"
)

// Registers of the common configuration that say which entry of the MSI-X table something sends [virtio 4.1.4.3].
const (
	pciConfigMSIXVector uint32 = 0x10 // RW, 16 bits
	pciQueueMSIXVector  uint32 = 0x1A // RW, 16 bits
)

// PCIInterrupts are the interrupts that a function can have.
type PCIInterrupts struct {
	Line    func() (hw.Interrupt, error) // opens the function's INTx line
	Message func() (hw.Message, error)   // opens another message; an error: there is none left. nil: there are none
}

// pciSources are the interrupts that a function has: messages, by entry of its MSI-X table, or its INTx line. The
// configuration has the first message. Each queue has one of its own; where the table, the machine or the device has no more,
// it shares the last.
type pciSources struct {
	open   PCIInterrupts
	msix   *pci.MSIX // nil: INTx
	list   []Source
	causes []Cause // of the messages in list
}

// prepare finds the table of messages. What is wrong with it is no error, as there is INTx.
func (s *pciSources) prepare(f *pci.Function, bars *pciBARs) {
	if s.open.Message != nil {
		s.msix, _ = f.MSIX(bars.at)
	}
}

// enable chooses between messages and INTx, when the function responds.
func (s *pciSources) enable() {
	if s.msix != nil {
		s.msix.Enable()
	}
}

// route gives the selected queue its interrupt, and before the first one the configuration [virtio 4.1.5.1.2].
func (d *pciDevice) route() error {
	s := &d.sources
	if s.msix != nil && len(s.list) == 0 && !d.send(pciConfigMSIXVector, CauseConfig) ||
		s.msix != nil && !d.send(pciQueueMSIXVector, CauseQueue) {
		// INTx tells of all that has a message so far, too.
		s.msix.Disable()
		for _, source := range s.list {
			closeInterrupt(source.Interrupt)
		}
		s.msix, s.list = nil, nil
	}
	if len(s.list) > 0 {
		return nil
	}
	line, err := s.open.Line()
	if err != nil {
		return err
	}
	s.list = []Source{{line, d.acknowledge}}
	return nil
}

// send has the device send a message for what a register is about: a new one, or else the last of those that it sends for
// other things. It is false if there is neither, or the device refuses.
func (d *pciDevice) send(register uint32, cause Cause) bool {
	s := &d.sources
	next := len(s.list)
	if next < s.msix.Len() {
		if m, err := s.open.Message(); err == nil {
			s.msix.Set(next, m)
			if d.accepts(register, next) {
				s.list = append(s.list, Source{m.Interrupt, func() Cause { return s.causes[next] }})
				s.causes = append(s.causes, cause)
				return true
			}
			s.msix.Mask(next)
			closeInterrupt(m.Interrupt)
		}
	}
	if next == 0 || !d.accepts(register, next-1) {
		return false
	}
	s.causes[next-1] |= cause
	return true
}

// accepts tells whether the device sends the message of an entry for what a register is about: it may lack the resources, and
// then says that the register holds another value [virtio 4.1.5.1.2.1].
func (d *pciDevice) accepts(register uint32, entry int) bool {
	d.store16(register, uint16(entry))
	return d.load16(register) == uint16(entry)
}

// acknowledge finds out the causes of INTx: reading the ISR status clears it.
func (d *pciDevice) acknowledge() Cause {
	return Cause(d.isr.window.Load8(d.isr.offset)) & causeAny
}

// Sources implements Transport.
func (d *pciDevice) Sources() []Source { return d.sources.list }

// String implements Transport.
func (d *pciDevice) String() string {
	if d.sources.msix == nil {
		return fmt.Sprintf("PCI %v, INTx", d.address)
	}
	return fmt.Sprintf("PCI %v, %d messages by MSI-X", d.address, len(d.sources.list))
}

// closeInterrupt ends an interrupt, and tells whether that is possible.
func closeInterrupt(i hw.Interrupt) bool {
	c, ok := i.(io.Closer)
	if ok {
		c.Close() // the waiting goroutine is told
	}
	return ok
}
