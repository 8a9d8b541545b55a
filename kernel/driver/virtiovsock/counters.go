package virtiovsock

import "sync/atomic"

// Counter names something that a Device counts; the endpoint counts packets.
type Counter uint8

// Counters.
const (
	RxMalformed     Counter = iota // dropped: no packet
	TxNotifications                // times that the device was told of packets
	TxWaits                        // times that packets waited for the device to send others
	TransportResets                // times that the device has ended all connections
	EventsUnknown                  // events that mean nothing
	Interrupts                     // times that the receiving goroutine has looked at the device
	NumCounters
)

var counterNames = [NumCounters]string{"rx-malformed", "tx-notifications", "tx-waits", "transport-resets", "events-unknown", "interrupts"}

// String returns the name, such as tx-waits.
func (c Counter) String() string {
	if c < NumCounters {
		return counterNames[c]
	}
	return "counter?"
}

type counters [NumCounters]atomic.Uint64

func (c *counters) add(which Counter) { c[which].Add(1) }

// Counters returns all counters, indexed by Counter.
func (d *Device) Counters() (all [NumCounters]uint64) {
	for i := range all {
		all[i] = d.counters[i].Load()
	}
	return all
}
