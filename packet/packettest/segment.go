package packettest

import (
	"bytes"
	"encoding/binary"
	"testing"

	"wick/packet"
)

// TCPSegment returns a frame with a TCP segment of so much payload whose checksum is only that of the pseudo header, and what
// a card is to do with it: with a segment size of 0 to complete the checksum, else to cut it as well. Its sequence number is
// close to the largest one, and so is its IPv4 identification.
func TCPSegment(payload, mss int, ipv6 bool) ([]byte, packet.Offload) {
	be := binary.BigEndian
	ip := make([]byte, 20)
	length := 20 + payload
	f := append(bytes.Repeat([]byte{2}, 12), 0x08, 0x00)
	if ipv6 {
		ip = make([]byte, 40)
		f[12], f[13] = 0x86, 0xDD
		ip[0], ip[6], ip[7] = 0x60, 6, 64
		be.PutUint16(ip[4:], uint16(length))
		copy(ip[8:], bytes.Repeat([]byte{0xFE}, 32))
	} else {
		ip[0], ip[8], ip[9] = 0x45, 64, 6
		be.PutUint16(ip[2:], uint16(20+length))
		be.PutUint16(ip[4:], 0xFFFE)
		copy(ip[12:], []byte{10, 0, 2, 15, 10, 0, 2, 2})
	}
	addresses := ip[8:]
	if !ipv6 {
		addresses = ip[12:]
		be.PutUint16(ip[10:], ^packet.Sum(ip, 0))
	}
	tcp := make([]byte, 20)
	be.PutUint16(tcp, 1000)
	be.PutUint16(tcp[2:], 2000)
	be.PutUint32(tcp[4:], 0xFFFFF000)
	tcp[12], tcp[13] = 5<<4, 0x19 // ACK, PSH, FIN
	be.PutUint16(tcp[16:], packet.Sum([]byte{0, 6, byte(length >> 8), byte(length)}, packet.Sum(addresses, 0)))
	o := packet.Offload{Checksum: true, ChecksumStart: 14 + len(ip), ChecksumOffset: 16}
	if mss > 0 {
		o.SegmentSize, o.HeaderLen, o.IPv6 = mss, 14+len(ip)+20, ipv6
	}
	f = append(append(f, ip...), tcp...)
	data := make([]byte, payload)
	for i := range data {
		data[i] = byte(i + i>>8)
	}
	return append(f, data...), o
}

// CheckSegments checks that frames are what a card makes of one that TCPSegment has returned.
func CheckSegments(t testing.TB, frames [][]byte, whole []byte, o packet.Offload) {
	t.Helper()
	payload := whole[o.ChecksumStart+20:]
	want := 1
	if o.SegmentSize > 0 {
		want = max(1, (len(payload)+o.SegmentSize-1)/o.SegmentSize)
	}
	if len(frames) != want {
		t.Fatalf("%d bytes went out in %d frames, want %d", len(payload), len(frames), want)
	}
	for i, f := range frames {
		line := packet.Append(nil, &packet.Frame{Data: f, WireLen: len(f)}, packet.Line)
		if bytes.Contains(line, []byte("!")) || !bytes.Contains(line, []byte("ck=ok")) {
			t.Fatalf("frame %d: %s", i, line)
		}
		seq := 0xFFFFF000 + uint32(len(whole)-o.ChecksumStart-20-len(payload))
		if got := binary.BigEndian.Uint32(f[o.ChecksumStart+4:]); got != seq {
			t.Fatalf("frame %d: sequence number %#x, want %#x", i, got, seq)
		}
		if id := binary.BigEndian.Uint16(f[18:]); !o.IPv6 && o.SegmentSize > 0 && id != 0xFFFE+uint16(i) {
			t.Fatalf("frame %d: identification %#x", i, id)
		}
		flags := byte(packet.TCPACK)
		if i == len(frames)-1 {
			flags |= byte(packet.TCPPSH | packet.TCPFIN)
		}
		if got := f[o.ChecksumStart+13]; got != flags {
			t.Fatalf("frame %d: flags %#x, want %#x", i, got, flags)
		}
		n := min(len(f)-o.ChecksumStart-20, len(payload))
		if !bytes.Equal(f[o.ChecksumStart+20:][:n], payload[:n]) {
			t.Fatalf("frame %d: the payload isn't that of the segment", i)
		}
		payload = payload[n:] // padding may follow
	}
	if len(payload) > 0 {
		t.Fatalf("%d bytes are missing", len(payload))
	}
}
