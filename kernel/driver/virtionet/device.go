// Package virtionet drives virtio network cards, by "Virtual I/O Device (VIRTIO) Version 1.2", cited as [virtio].
//
// One goroutine receives: it waits for the interrupt, hands each frame on, and gives the buffers back in batches. Transmit
// runs on the goroutine of whoever sends; a later call sees what the card has sent. All buffers are in DMA memory; no frame
// costs an allocation.
//
// Checksums and the segmentation of TCP are left to the card, both ways, where it takes them: QEMU offers that with a TAP
// interface, not with user networking. Where it doesn't, frames are completed here, and the card is told of those of one segment at
// once.
//
// Locks: Device.rx.mu and Device.tx.mu, never both, except that a receiver may send.
package virtionet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
	"wick/packet"
)

// Feature bits [virtio 5.1.3].
const (
	featureCSUM      virtio.Features = 1 << 0  // the device completes checksums
	featureGuestCSUM virtio.Features = 1 << 1  // the driver takes frames whose checksum isn't complete
	featureMTU       virtio.Features = 1 << 3  // the device says what the MTU is
	featureMAC       virtio.Features = 1 << 5  // the device has an address
	featureGuestTSO4 virtio.Features = 1 << 7  // the driver takes TCP segments made of several
	featureGuestTSO6 virtio.Features = 1 << 8  //
	featureHostTSO4  virtio.Features = 1 << 11 // the device cuts TCP segments
	featureHostTSO6  virtio.Features = 1 << 12 //
	featureMrgRxbuf  virtio.Features = 1 << 15 // a frame may come in several buffers
	featureStatus    virtio.Features = 1 << 16 // the device says whether the link is up
)

const (
	hostOffloads  = featureCSUM | featureHostTSO4 | featureHostTSO6
	guestOffloads = featureGuestCSUM | featureGuestTSO4 | featureGuestTSO6
)

// choose returns the features that the driver wants. Its receive buffers are for whole frames; for segments of 64 KiB they
// are merged. Without segmentation the engine leaves no checksums to the card either.
func choose(offered virtio.Features) virtio.Features {
	wanted := featureMTU | featureMAC | featureMrgRxbuf | featureStatus | featureGuestCSUM
	if offered.Has(hostOffloads) {
		wanted |= hostOffloads
	}
	if offered.Has(featureMrgRxbuf | featureGuestCSUM) {
		wanted |= guestOffloads
	}
	return wanted
}

// Configuration space [virtio 5.1.4].
const (
	configMAC    uint32 = 0  // 6 bytes
	configStatus uint32 = 6  // 16 bits, with featureStatus
	configMTU    uint32 = 10 // 16 bits, with featureMTU
	statusLinkUp uint16 = 1 << 0
)

// Queues [virtio 5.1.2].
const (
	receiveQueue  = 0
	transmitQueue = 1
)

// Config is what a Device is made of.
type Config struct {
	Transport virtio.Transport
	Memory    hw.Memory
	Tap       Tap // or nil

	// Sizes of the queues, in buffers of 2 KiB, powers of two; 0 for the default.
	RxBuffers int
	TxBuffers int

	// CheckInterval is how often the card is looked at without an interrupt, in case one was lost; 0 for the default.
	CheckInterval time.Duration
}

// Tap is told of each frame that is received, sent or dropped. Its data, as far as there is any, is valid until the call
// returns, and of a frame in several buffers only what is in the first; the number, the time and the interface are left to
// the tap.
//
// It runs in the data path, for reception and transmission at once, and under the lock of the transmit queue, so that it sees
// frames in the order of the wire: it must neither block nor send.
type Tap func(f packet.Frame)

// Defaults. The card needs a moment to send, so the transmit queue is deep; with segmentation one frame takes up to 33 buffers.
const (
	defaultRxBuffers     = 256
	defaultTxBuffers     = 128
	defaultTxSegmented   = 256
	defaultCheckInterval = time.Second
)

// Sizes in bytes.
const (
	bufferSize     = 2048
	ethernetHeader = 14
	vlanTag        = 4
	standardMTU    = 1500
	leastMTU       = 68                                                     // of IPv4 [RFC 791 3.2]
	tcpChecksum    = 16                                                     // where it is in TCP's header [RFC 9293 3.1]
	maxSegment     = ethernetHeader + vlanTag + packet.IPv6Size + 1<<16 - 1 // of a frame with a TCP segment made of several: IPv6 counts its payload only
)

// Errors of New and Err.
var (
	ErrNotNetwork = errors.New("virtionet: not a network card")
	ErrMTU        = errors.New("virtionet: the card's MTU is too small")
)

// Device is one card. It implements kernel/net's OffloadLink and Screener.
type Device struct {
	device  *virtio.Device
	tap     Tap
	address [6]byte
	mtu     int

	check, sendPatience, stopPatience time.Duration

	rx rxQueue
	tx txQueue

	counters counters
	up       atomic.Bool
	changed  atomic.Pointer[func(up bool)]
	receiver atomic.Pointer[receiver]
	screen   atomic.Pointer[func(frame []byte) (drop string)]

	start   sync.Once
	stopped atomic.Bool
	broken  atomic.Pointer[error] // why the card can't be used any more
	done    chan struct{}
	err     error // why the receiving goroutine has ended; set before done is closed
}

// New sets up a card. It receives from then on, into its queue, and hands frames on once there is a receiver (see Attach).
// The errors are those of this package, of package virtio, and of the allocator.
func New(c Config) (*Device, error) {
	if kind := c.Transport.Type(); kind != virtio.TypeNetwork {
		return nil, fmt.Errorf("%w but of type %d", ErrNotNetwork, kind)
	}
	device, err := virtio.Open(c.Transport, c.Memory, choose)
	if err != nil {
		return nil, err
	}
	d := &Device{
		device: device, tap: c.Tap, done: make(chan struct{}),
		check: c.CheckInterval, sendPatience: sendPatience, stopPatience: stopPatience,
	}
	if d.check == 0 {
		d.check = defaultCheckInterval
	}
	if err := d.setUp(&c); err != nil {
		device.Fail()
		return nil, err
	}
	return d, nil
}

func (d *Device) setUp(c *Config) error {
	if err := d.readConfig(); err != nil {
		return err
	}
	if err := d.rx.init(d.device, c.Memory, c.RxBuffers); err != nil {
		return err
	}
	if err := d.tx.init(d.device, c.Memory, c.TxBuffers, d.maxFrame()); err != nil {
		return err
	}
	if err := d.device.Start(); err != nil {
		return err
	}
	d.rx.queue.Publish()
	return nil
}

// readConfig reads what the card says of itself, and makes up the address if it has none [virtio 5.1.5].
func (d *Device) readConfig() error {
	f := d.device.Features()
	d.mtu = standardMTU
	if f.Has(featureMTU) {
		if err := d.device.ReadConfig(int(configMTU)+2, func(c virtio.Config) { d.mtu = int(c.Uint16(configMTU)) }); err != nil {
			return err
		}
		if d.mtu < leastMTU {
			return fmt.Errorf("%w: %d bytes, want %d", ErrMTU, d.mtu, leastMTU)
		}
		if !f.Has(featureMrgRxbuf) {
			d.mtu = min(d.mtu, standardMTU) // what fits into a receive buffer
		}
	}
	if !f.Has(featureMAC) {
		rand.Read(d.address[:])                  // never fails
		d.address[0] = d.address[0]&^0b01 | 0b10 // a station's, locally administered [IEEE 802.3 3.2.3]
	} else if err := d.device.ReadConfig(int(configMAC)+len(d.address), func(c virtio.Config) {
		for i := range d.address {
			d.address[i] = c.Uint8(configMAC + uint32(i))
		}
	}); err != nil {
		return err
	}
	up, err := d.carrier()
	d.up.Store(up)
	return err
}

// carrier asks the card for the carrier; one that can't tell has it.
func (d *Device) carrier() (up bool, err error) {
	if !d.device.Features().Has(featureStatus) {
		return true, nil
	}
	err = d.device.ReadConfig(int(configStatus)+2, func(c virtio.Config) { up = c.Uint16(configStatus)&statusLinkUp != 0 })
	return up, err
}

// setLink tells of the carrier if it has changed.
func (d *Device) setLink(up bool) {
	if d.up.Swap(up) == up {
		return
	}
	d.counters.add(LinkChanges, 1)
	if changed := d.changed.Load(); changed != nil {
		(*changed)(up)
	}
}

// HardwareAddr returns the Ethernet address.
func (d *Device) HardwareAddr() [6]byte { return d.address }

// MTU returns the largest payload of an Ethernet frame, in bytes.
func (d *Device) MTU() int { return d.mtu }

// maxFrame is the length of the longest frame without segmentation, with a VLAN tag, in bytes.
func (d *Device) maxFrame() int { return ethernetHeader + vlanTag + d.mtu }

// LinkUp tells whether there is a carrier.
func (d *Device) LinkUp() bool { return d.up.Load() }

// OnLinkChange sets the function that is called, on the receiving goroutine, when the carrier comes
// or goes. It may be nil.
func (d *Device) OnLinkChange(changed func(up bool)) {
	if changed == nil {
		d.changed.Store(nil)
		return
	}
	d.changed.Store(&changed)
}

// fail gives the card up, from any goroutine: the receiving one is woken, and ends.
func (d *Device) fail(err error) {
	if d.broken.CompareAndSwap(nil, &err) {
		d.device.Close()
	}
}

// Stop ends the use of the card, so that the tap has been told of all that went over it when Stop returns: nothing more
// is sent, what was sent is on the wire, and what has come is taken out of the queue. The receiving goroutine ends with it;
// it must have been started by Attach.
func (d *Device) Stop() {
	d.stopTransmit()
	d.stopped.Store(true)
	if d.device.Close() { // the receiving goroutine sees it as the end of the interrupts
		<-d.done
	}
}

// Done is closed when the receiving goroutine has ended; Err says why.
func (d *Device) Done() <-chan struct{} { return d.done }

// Err returns how the card has failed; nil if it was stopped.
func (d *Device) Err() error { return d.err }
