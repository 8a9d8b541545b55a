package e1000

import "sync/atomic"

// Counter names something that a Device counts. Those of dropped frames are the reasons that the tap
// is told.
type Counter uint8

// Counters.
const (
	RxFrames       Counter = iota // frames handed to the receiver
	RxBytes                       // their bytes, without the FCS
	RxRunt                        // dropped: shorter than an Ethernet header
	RxOversized                   // dropped: longer than 1518 bytes
	RxBadLength                   // dropped: the card says that it is longer than its buffer
	RxNoEOP                       // dropped: it doesn't fit in one buffer
	RxErrors                      // dropped: one or more of the error bits that follow
	RxErrorCE                     // CRC or alignment error
	RxErrorSE                     // symbol error
	RxErrorSEQ                    // sequence error
	RxErrorCXE                    // carrier extension error
	RxErrorRXE                    // RX data error
	RxNoReceiver                  // dropped: nobody attached
	RxScreened                    // dropped: for a reason of the receiver's, which the tap is told
	RxMissed                      // lost by the card: no room in its FIFO (MPC)
	RxNoBuffers                   // times that the card had no descriptor for a frame (RNBC)
	TxFrames                      // frames given to the card
	TxBytes                       // their bytes, without the FCS
	TxChecksums                   // those of them whose checksum is left to the card
	TxSegments                    // those of them that the card cuts into segments
	TxRingFull                    // dropped: the card has not sent what it has
	TxTooLong                     // dropped: longer than 1518 bytes
	TxTooShort                    // dropped: shorter than an Ethernet header
	TxBadOffload                  // dropped: what is left to the card can't be done
	TxStopped                     // dropped after Stop; the tap isn't told
	Interrupts                    // times that the interrupt fired
	InterruptsLost                // times that something had come and no interrupt fired
	LinkChanges                   // times that the link went up or down
	NumCounters
)

var counterNames = [NumCounters]string{
	"rx-frames", "rx-bytes", "rx-runt", "rx-oversized", "rx-bad-length", "rx-no-eop", "rx-errors",
	"rx-error-ce", "rx-error-se", "rx-error-seq", "rx-error-cxe", "rx-error-rxe", "rx-no-receiver", "rx-screened",
	"rx-missed", "rx-no-buffers", "tx-frames", "tx-bytes", "tx-checksums", "tx-segments", "tx-ring-full", "tx-too-long",
	"tx-too-short", "tx-bad-offload", "tx-stopped", "interrupts", "interrupts-lost", "link-changes",
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
	// Both registers start again at 0 when they are read, so that two readers at once lose nothing.
	d.counters[RxMissed].Add(uint64(load(d, regMPC)))
	d.counters[RxNoBuffers].Add(uint64(load(d, regRNBC)))
	for i := range all {
		all[i] = d.counters[i].Load()
	}
	return all
}
