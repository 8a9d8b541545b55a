package packet_test

import (
	"bytes"
	"testing"

	"wick/packet"
	"wick/packet/packettest"
)

func TestSegmentation(t *testing.T) {
	var s packet.Segmentation
	for _, ipv6 := range []bool{false, true} {
		for _, c := range []struct{ payload, mss int }{
			{0, 0}, {1, 0}, {1440, 0}, {1441, 1440}, {0, 1440}, {1, 1440}, {2880, 1440}, {10_000, 536}, {65_000, 1}, {65_000, 1428},
		} {
			whole, o := packettest.TCPSegment(c.payload, c.mss, ipv6)
			before := bytes.Clone(whole)
			s.Begin(o, len(whole), [][]byte{whole[:20], nil, whole[20 : len(whole)/2], whole[len(whole)/2:]})
			var frames [][]byte
			for {
				frame := s.Next(bytes.Repeat([]byte{0xAA}, 2048))
				if frame == nil {
					break
				}
				frames = append(frames, frame)
			}
			packettest.CheckSegments(t, frames, whole, o)
			if !bytes.Equal(whole, before) {
				t.Fatalf("%+v: the segment was changed", c)
			}
		}
	}
}

func TestOffloadFits(t *testing.T) {
	whole, good := packettest.TCPSegment(100, 50, false)
	if !good.Fits(len(whole)) || !(&packet.Offload{}).Fits(0) {
		t.Fatal("a good offload doesn't fit")
	}
	for name, change := range map[string]func(o *packet.Offload){
		"checksum of the Ethernet header": func(o *packet.Offload) { o.SegmentSize, o.ChecksumStart = 0, 13 },
		"checksum behind the end":         func(o *packet.Offload) { o.SegmentSize, o.ChecksumOffset = 0, len(whole)-o.ChecksumStart-1 },
		"checksum before its start":       func(o *packet.Offload) { o.SegmentSize, o.ChecksumOffset = 0, -1 },
		"checksum too far for a card":     func(o *packet.Offload) { o.SegmentSize, o.ChecksumStart = 0, 250 },
		"headers longer than the frame":   func(o *packet.Offload) { o.HeaderLen = len(whole) + 1 },
		"headers without TCP":             func(o *packet.Offload) { o.HeaderLen = o.ChecksumStart + 19 },
		"TCP in the IP header":            func(o *packet.Offload) { o.ChecksumStart-- },
		"TCP in the IPv6 header":          func(o *packet.Offload) { o.IPv6 = true },
		"another checksum than TCP's":     func(o *packet.Offload) { o.ChecksumOffset = 6 },
		"segments without a checksum":     func(o *packet.Offload) { o.Checksum = false },
		"segments of less than nothing":   func(o *packet.Offload) { o.SegmentSize = -1 },
	} {
		o := good
		change(&o)
		if o.Fits(len(whole)) {
			t.Errorf("%s fits", name)
		}
	}
}

// FuzzSegmentation: what fits a frame makes frames that hold its payload.
func FuzzSegmentation(f *testing.F) {
	f.Add(uint16(100), uint8(34), uint8(16), uint16(50), uint8(54), false)
	f.Add(uint16(3000), uint8(54), uint8(16), uint16(1440), uint8(74), true)
	f.Add(uint16(3000), uint8(34), uint8(6), uint16(0), uint8(0), false)
	f.Fuzz(func(t *testing.T, length uint16, start, offset uint8, size uint16, headers uint8, ipv6 bool) {
		o := packet.Offload{Checksum: true, ChecksumStart: int(start), ChecksumOffset: int(offset), SegmentSize: int(size), HeaderLen: int(headers), IPv6: ipv6}
		if !o.Fits(int(length)) {
			return
		}
		whole := make([]byte, length)
		for i := range whole {
			whole[i] = byte(i)
		}
		var s packet.Segmentation
		s.Begin(o, len(whole), [][]byte{whole[:length/3], whole[length/3:]})
		got := 0
		buffer := make([]byte, max(len(whole), o.HeaderLen+o.SegmentSize))
		for frame := s.Next(buffer); frame != nil; frame = s.Next(buffer) {
			if o.SegmentSize > 0 && !bytes.Equal(frame[o.HeaderLen:], whole[o.HeaderLen+got:][:len(frame)-o.HeaderLen]) {
				t.Fatalf("other payload at %d", got)
			}
			got += len(frame) - o.HeaderLen
		}
		if want := len(whole) - o.HeaderLen; o.SegmentSize > 0 && got != want {
			t.Errorf("%d bytes of payload, want %d", got, want)
		}
	})
}
