// Package e1000 drives Intel's 82540EM network card, which QEMU calls e1000, by "PCI/PCI-X Family of
// Gigabit Ethernet Controllers Software Developer's Manual", 317453, cited as [8254x].
//
// One goroutine receives: it waits for the interrupt, hands each frame on, and gives the
// descriptors back in batches. Another looks now and then whether an interrupt was lost. Transmit runs
// on the goroutine of whoever sends, never waits, and leaves it to a later call to see what the card has
// sent. All buffers are in DMA memory; no frame costs an allocation.
//
// Device.rx.mu and Device.tx.mu guard the rings; the first may be held when the second is taken, as who receives may send.
// Device.link stands before both, as who is told of the carrier may send.
package e1000

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"wick/kernel/hw"
	"wick/packet"
)

// PCI identity of the 82540EM [8254x 5.2].
const (
	VendorID uint16 = 0x8086
	DeviceID uint16 = 0x100E
)

// RegistersSize is the size of the memory region of BAR 0, in bytes [8254x 4.1].
const RegistersSize = 128 << 10

// Tap is told of each frame that is received, sent or dropped. Its data, as far as there is any, is valid until the call
// returns; the number, the time and the interface are left to the tap.
//
// It runs in the data path, for reception and transmission at once, and under the lock of the
// transmit ring, so that it sees frames in the order of the wire: it must neither block nor send.
type Tap func(f packet.Frame)

// Config is what a Device is made of.
type Config struct {
	Registers hw.Registers // BAR 0
	Memory    hw.Allocator
	Interrupt hw.Interrupt
	Tap       Tap // or nil

	// WholeFrames has no frames left to the card to be completed, so that the tap sees those that go over the wire.
	WholeFrames bool

	// Sizes of the rings, in descriptors: multiples of 8 up to 4096, or 0 for the default, which costs 650 KiB
	// of memory.
	RxDescriptors int
	TxDescriptors int

	CheckInterval time.Duration // how often lost interrupts are looked for; 0: a second
}

// defaultCheckInterval costs a load from memory each time.
const defaultCheckInterval = time.Second

// Default sizes of the rings, and the largest. A full receive window of TCP is some 50 frames and many connections share
// the ring. QEMU has sent a frame when the store of TDT returns, so the transmit ring stays empty; it takes the longest segment.
const (
	defaultRxDescriptors = 256
	defaultTxDescriptors = 64
	MaxDescriptors       = 4096
)

// Sizes of frames in bytes, without the FCS.
const (
	bufferSize  = 2048 // as rctlBSIZE says
	headerSize  = 14
	minFrame    = 60
	mtu         = 1500
	maxFrame    = headerSize + 4 + mtu // with a VLAN tag; longer ones exceed what RCTL.LPE = 0 admits
	maxDMAAddr  = 1 << 32              // what an allocator must stay below
	ringAligned = 16                   // of RDBAL and TDBAL [8254x 13.4.25]
)

// Errors of New.
var (
	ErrReset      = errors.New("e1000: the reset does not end")
	ErrNoAddress  = errors.New("e1000: no valid Ethernet address in the EEPROM or in RAL and RAH")
	ErrRingSize   = errors.New("e1000: ring size is not a multiple of 8 from 8 to 4096")
	ErrDMAAddress = errors.New("e1000: DMA memory above 4 GiB or not aligned")
)

// maxPolls is how often a register is read before the card counts as broken. A read takes about a
// microsecond or more, and the longest wait, loading the EEPROM after a reset, some milliseconds.
const maxPolls = 100_000

// Device is one card. It implements kernel/net's OffloadLink and Screener.
type Device struct {
	registers hw.Registers
	interrupt hw.Interrupt
	tap       Tap
	whole     bool // Config.WholeFrames
	address   [6]byte

	rx rxRing
	tx txRing

	counters counters
	link     sync.Mutex // held while the carrier is looked at and told of: watch may do that, too
	up       atomic.Bool
	changed  atomic.Pointer[func(up bool)]
	receiver atomic.Pointer[receiver]
	screen   atomic.Pointer[func(frame []byte) (drop string)]

	check   time.Duration // Config.CheckInterval
	start   sync.Once
	ended   chan struct{} // closed when there will be no interrupts any more
	watched chan struct{} // closed when watch has ended, after that
	done    chan struct{}
	err     error // why the receiving goroutine has ended; set before done is closed
}

// New resets and sets up a card. It receives from then on, into its ring, and hands frames on once
// there is a receiver (see Attach). The errors are those of this package and of the allocator.
//
// QEMU receives nothing for a second of guest time after each store of RCTL. So it is stored
// once, after all else, and New should be called as early in the boot as can be.
func New(c Config) (*Device, error) {
	d := &Device{
		registers: c.Registers, interrupt: c.Interrupt, tap: c.Tap, whole: c.WholeFrames, check: c.CheckInterval,
		ended: make(chan struct{}), watched: make(chan struct{}), done: make(chan struct{}),
	}
	if d.check == 0 {
		d.check = defaultCheckInterval
	}
	if err := d.reset(); err != nil {
		return nil, err
	}
	if err := d.readAddress(); err != nil {
		return nil, err
	}
	if err := d.rx.init(c.Memory, c.RxDescriptors); err != nil {
		return nil, err
	}
	if err := d.tx.init(c.Memory, c.TxDescriptors); err != nil {
		return nil, err
	}
	d.setUp()
	return d, nil
}

// reset resets the card, and leaves its interrupts off [8254x 14.3].
func (d *Device) reset() error {
	store(d, regIMC, causeAll)
	store(d, regCTRL, load(d, regCTRL)|ctrlRST)
	if !d.poll(func() bool { return load(d, regCTRL)&ctrlRST == 0 }) {
		return ErrReset
	}
	store(d, regIMC, causeAll)
	load(d, regICR) // what was pending
	return nil
}

// poll calls ready until it is true, at most maxPolls times.
func (d *Device) poll(ready func() bool) bool {
	for range maxPolls {
		if ready() {
			return true
		}
	}
	return false
}

// setUp writes all registers of a card that has been reset [8254x 14.3-14.5]. With RCTL.MPE the multicast
// table isn't looked at, so it is left alone: 128 stores.
func (d *Device) setUp() {
	a := d.address
	store(d, regRAL0, raw(a[0])|raw(a[1])<<8|raw(a[2])<<16|raw(a[3])<<24)
	store(d, regRAH0, rah(a[4])|rah(a[5])<<8|rahAV)

	store(d, regFCAL, 0) // no flow control
	store(d, regFCAH, 0)
	store(d, regFCT, 0)
	store(d, regFCTTV, 0)

	d.storeRing(&d.rx.ring, regRDBAL, regRDBAH, regRDLEN, regRDH, regRDT, raw(d.rx.tail))
	// Interrupts without delay or moderation: under load there are few, as the driver looks for more frames before it unmasks
	// the line. With an interval of 128 µs (ITR = 500) a datagram cost as many instructions, and an echo took longer.
	store(d, regRDTR, 0)
	store(d, regRADV, 0)
	store(d, regITR, 0)

	d.storeRing(&d.tx.ring, regTDBAL, regTDBAH, regTDLEN, regTDH, regTDT, 0)
	store(d, regTIPG, tipgDefault)
	store(d, regTCTL, tctlEN|tctlPSP|tctlCT|tctlCOLD)

	control := load(d, regCTRL) &^ (ctrlLRST | ctrlILOS | ctrlVME | ctrlPHYRST)
	store(d, regCTRL, control|ctrlASDE|ctrlSLU)
	d.up.Store(d.carrier())

	store(d, regIMS, causeLSC|causeRXDMT0|causeRXO|causeRXT0)
	// SBP: bad frames are then dropped here, counted by reason and shown in the dump, instead of in
	// silence by the card.
	store(d, regRCTL, rctlEN|rctlSBP|rctlMPE|rctlRDMTS|rctlBAM|rctlBSIZE|rctlSECRC)
}

// storeRing tells the card of a ring.
func (d *Device) storeRing(r *ring, base, baseHigh, length, head, tail register[raw], tailValue raw) {
	store(d, base, raw(r.addr))
	store(d, baseHigh, raw(r.addr>>32))
	store(d, length, raw(r.size*descSize))
	store(d, head, 0)
	store(d, tail, tailValue)
}

// HardwareAddr returns the Ethernet address.
func (d *Device) HardwareAddr() [6]byte { return d.address }

// MTU returns the largest payload of an Ethernet frame, in bytes.
func (d *Device) MTU() int { return mtu }

// LinkUp tells whether there is a carrier.
func (d *Device) LinkUp() bool { return d.up.Load() }

// OnLinkChange sets the function that is called, on a goroutine of the driver's, when the carrier comes
// or goes. It may be nil.
func (d *Device) OnLinkChange(changed func(up bool)) {
	if changed == nil {
		d.changed.Store(nil)
		return
	}
	d.changed.Store(&changed)
}

func (d *Device) carrier() bool { return load(d, regSTATUS)&statusLU != 0 }

// updateLink looks at the carrier, and tells of it if it has changed.
func (d *Device) updateLink() {
	d.link.Lock()
	defer d.link.Unlock()
	up := d.carrier()
	if d.up.Swap(up) == up {
		return
	}
	d.counters.add(LinkChanges, 1)
	if changed := d.changed.Load(); changed != nil {
		(*changed)(up)
	}
}

// Stop ends the use of the card, so that the tap has been told of all that went over it when Stop returns: nothing more
// is sent, and what has come is taken out of the ring. The receiving goroutine ends with it if the interrupt is an
// io.Closer; it must have been started by Attach.
func (d *Device) Stop() {
	d.tx.mu.Lock()
	d.tx.stopped = true
	d.tx.mu.Unlock()
	if c, ok := d.interrupt.(io.Closer); ok {
		c.Close() // the receiving goroutine sees it as the end of the interrupts
		<-d.done
	}
}

// Done is closed when the receiving goroutine has ended; Err says why.
func (d *Device) Done() <-chan struct{} { return d.done }

// Err returns the error of the interrupt that has ended the receiving goroutine, or nil.
func (d *Device) Err() error {
	select {
	case <-d.done:
		return d.err
	default:
		return nil
	}
}
