package vfs

// packet is a write to a pipe with O_DIRECT, from byte start to end of all bytes that the pipe has ever had, pipe2(2). A read gets
// the bytes of one, and the rest is dropped. As on Linux, where each takes a page, there are no more of them than pages.
//
// DEVIATION: Linux adds a packet to the bytes before it that are none, if their page has room for it.
type packet struct{ start, end uint64 }

// setPackets says whether what is written from now on is packets.
func (e *PipeEnd) setPackets(on bool) { e.packets.Store(on) }

// roomLocked returns how many bytes can be written.
func (p *pipe) roomLocked() int {
	if len(p.packets) > 0 && len(p.packets) >= len(p.ring) {
		return 0
	}
	return p.capacityLocked() - p.n
}

// endPacketLocked makes the n youngest bytes a packet.
func (p *pipe) endPacketLocked(n int) {
	if n > 0 {
		end := p.taken + uint64(p.n)
		p.packets = append(p.packets, packet{end - uint64(n), end})
	}
}

// readableLocked returns how many bytes one read gets: those up to the end of the first packet.
func (p *pipe) readableLocked() int {
	if len(p.packets) > 0 {
		return int(p.packets[0].end - p.taken)
	}
	return p.n
}

// dropPacketsLocked forgets the packets whose bytes have left.
func (p *pipe) dropPacketsLocked() {
	for len(p.packets) > 0 && p.packets[0].end <= p.taken {
		p.packets = p.packets[1:]
	}
}

// dropRestLocked drops what a read has left of a packet that it has begun.
func (p *pipe) dropRestLocked() {
	if len(p.packets) > 0 && p.packets[0].start < p.taken {
		p.dropLocked(int(p.packets[0].end - p.taken))
	}
}
