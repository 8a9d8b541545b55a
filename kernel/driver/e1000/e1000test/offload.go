package e1000test

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Bits of the command byte of context and data descriptors, and their options [8254x 3.3.6, 3.3.7].
const (
	txTSE  = 1 << 2
	txDEXT = 1 << 5

	contextTCP  = 1 << 0
	contextIPv4 = 1 << 1

	optionIXSM = 1 << 0
	optionTXSM = 1 << 1
)

// txFrame is a frame while its descriptors are being read.
type txFrame struct {
	data    []byte
	command uint64 // of its data descriptors; 0: legacy ones
	options uint64 // of the first one
}

// offload is what a context descriptor has said.
type offload struct {
	ipcss, ipcso, ipcse int
	tucss, tucso, tucse int
	ipv4, tcp, segment  bool
	payload, header     int
	mss                 int
}

// parseContext reads the halves of a context descriptor.
func parseContext(offsets, rest uint64) offload {
	command := rest >> 24
	return offload{
		ipcss: int(offsets & 0xFF), ipcso: int(offsets >> 8 & 0xFF), ipcse: int(offsets >> 16 & 0xFFFF),
		tucss: int(offsets >> 32 & 0xFF), tucso: int(offsets >> 40 & 0xFF), tucse: int(offsets >> 48),
		ipv4: command&contextIPv4 != 0, tcp: command&contextTCP != 0, segment: command&txTSE != 0,
		payload: int(rest & 0xFFFFF), header: int(rest >> 40 & 0xFF), mss: int(rest >> 48),
	}
}

// frames returns what goes over the wire for a frame.
func (o *offload) frames(f txFrame) [][]byte {
	if f.command&txDEXT == 0 {
		return [][]byte{f.data}
	}
	if f.command&txTSE == 0 {
		o.fillSums(f.data, f.options)
		return [][]byte{f.data}
	}
	if !o.ipv4 || !o.tcp || !o.segment || o.mss == 0 || o.header+o.payload != len(f.data) || o.header <= o.tucss {
		panic(fmt.Sprintf("e1000test: %d bytes to be segmented by %+v", len(f.data), *o))
	}
	var all [][]byte
	headers, data := f.data[:o.header], f.data[o.header:]
	for i := 0; len(data) > 0; i++ {
		n := min(o.mss, len(data))
		all = append(all, o.segmentOf(headers, data[:n], i, n == len(data), f.options))
		data = data[n:]
	}
	return all
}

// segmentOf makes the i-th frame of a segment: lengths, identification, sequence number, flags, checksums [8254x 3.5.7].
func (o *offload) segmentOf(headers, data []byte, i int, last bool, options uint64) []byte {
	frame := append(bytes.Clone(headers), data...)
	ip, tcp := frame[o.ipcss:], frame[o.tucss:]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(i))
	binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+uint32(i*o.mss))
	if !last {
		tcp[13] &^= 1<<0 | 1<<3 // FIN, PSH
	}
	sum := frame[o.tucso:]
	binary.BigEndian.PutUint16(sum, fold(uint32(binary.BigEndian.Uint16(sum))+uint32(len(tcp))))
	o.fillSums(frame, options)
	return frame
}

// fillSums puts the checksums where they belong. What is in their place counts.
func (o *offload) fillSums(frame []byte, options uint64) {
	fill := func(from, at, end int) {
		if end == 0 {
			end = len(frame) - 1
		}
		var sum uint32
		for i := from; i <= end; i++ {
			sum += uint32(frame[i]) << (8 * (1 - (i-from)&1))
			sum = sum&0xFFFF + sum>>16
		}
		binary.BigEndian.PutUint16(frame[at:], ^fold(sum))
	}
	if options&optionTXSM != 0 {
		fill(o.tucss, o.tucso, o.tucse)
	}
	if options&optionIXSM != 0 {
		fill(o.ipcss, o.ipcso, o.ipcse)
	}
}

func fold(sum uint32) uint16 {
	for sum > 0xFFFF {
		sum = sum&0xFFFF + sum>>16
	}
	return uint16(sum)
}
