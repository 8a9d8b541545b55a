package virtionet

import "sync/atomic"

// Counter names something that a Device counts. Those of dropped frames are the reasons that the tap
// is told.
type Counter uint8

// Counters.
const (
	RxFrames        Counter = iota // frames handed to the receiver
	RxBytes                        // their bytes
	RxMerged                       // those of them that came in several buffers
	RxSegments                     // those of them that are TCP segments made of several
	RxShortHeader                  // dropped: shorter than a virtio-net header
	RxBadBuffers                   // dropped: made of no buffers, or of more than there are
	RxBadOffload                   // dropped: what the header says of checksum and segments is impossible or was not negotiated
	RxRunt                         // dropped: shorter than an Ethernet header
	RxOversized                    // dropped: longer than a frame can be
	RxNoReceiver                   // dropped: nobody attached
	RxScreened                     // dropped: for a reason of the receiver's, which the tap is told
	TxFrames                       // frames given to the card
	TxBytes                        // their bytes
	TxChecksums                    // those of them whose checksum is left to the card
	TxSegments                     // those of them that the card cuts into segments
	TxNotifications                // times that the card was told of frames
	TxWaits                        // times that a frame waited for the card to send others
	TxRingFull                     // dropped: the card has not sent what it has
	TxTooLong                      // dropped: longer than the card sends
	TxTooShort                     // dropped: shorter than an Ethernet header
	TxBadOffload                   // dropped: the card was asked for what it can't do
	TxStopped                      // dropped after Stop or a failure of the card; the tap isn't told
	Interrupts                     // times that the interrupt fired
	InterruptsLost                 // times that something had come and no interrupt fired
	LinkChanges                    // times that the link went up or down
	NumCounters
)

var counterNames = [NumCounters]string{
	"rx-frames", "rx-bytes", "rx-merged", "rx-segments", "rx-short-header", "rx-bad-buffers", "rx-bad-offload", "rx-runt",
	"rx-oversized", "rx-no-receiver", "rx-screened", "tx-frames", "tx-bytes", "tx-checksums", "tx-segments", "tx-notifications", "tx-waits",
	"tx-ring-full", "tx-too-long", "tx-too-short", "tx-bad-offload", "tx-stopped", "interrupts", "interrupts-lost", "link-changes",
}

// String returns the name, such as rx-runt.
func (c Counter) String() string {
	if c < NumCounters {
		return counterNames[c]
	}
	return "counter?"
}

// counters are the numbers.
type counters [NumCounters]atomic.Uint64

func (c *counters) add(which Counter, n int) { c[which].Add(uint64(n)) }

// Counters returns all counters, indexed by Counter.
func (d *Device) Counters() (all [NumCounters]uint64) {
	for i := range all {
		all[i] = d.counters[i].Load()
	}
	return all
}
