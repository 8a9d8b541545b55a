package record

import "sync/atomic"

// KeptPackets is how many packets are kept, and SnapLen how many bytes of each: enough for the headers, and the options of a
// TCP SYN.
const (
	KeptPackets = 32
	SnapLen     = 96
)

// Packet is the beginning of a packet that has gone over the network card.
type Packet struct {
	writing atomic.Uint32 // 1 while it is being written

	Number   uint64 // from 1; 0: none yet
	TimeNS   int64  // since the kernel began
	Sent     uint64 // 1: sent, 0: received
	Dropped  uint64 // 1: it went no further
	WireSize uint64
	Size     uint64 // of Data
	Data     [SnapLen]byte
}

// Packets are the last ones: packet n is at n % KeptPackets.
var Packets [KeptPackets]Packet

var packets atomic.Uint64

// AddPacket notes a packet. data may be less than wireSize bytes.
func AddPacket(timeNS int64, sent, dropped bool, wireSize int, data []byte) {
	n := packets.Add(1)
	p := &Packets[n%KeptPackets]
	if !p.writing.CompareAndSwap(0, 1) {
		return // the one that writes it is a whole round late
	}
	p.Number, p.TimeNS, p.WireSize = n, timeNS, uint64(wireSize)
	p.Sent, p.Dropped = bit(sent), bit(dropped)
	p.Size = uint64(copy(p.Data[:], data))
	p.writing.Store(0)
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
