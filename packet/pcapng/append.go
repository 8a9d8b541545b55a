package pcapng

import (
	"encoding/binary"
	"strings"
	"time"

	"wick/packet/pcap"
)

// What is written is little-endian, with times in nanoseconds. The functions of this file append whole blocks and
// allocate nothing if dst has room.

// maxText bounds the texts that are written, in bytes; an option can't hold more than 65535.
const maxText = 4096

// AppendSection appends a section header: the start of a file, or of another one behind it.
func AppendSection(dst []byte, s *Section) []byte {
	start := len(dst)
	dst = appendBlock(dst, blockSection)
	dst = binary.LittleEndian.AppendUint32(dst, byteOrderMagic)
	dst = binary.LittleEndian.AppendUint16(dst, versionMajor)
	dst = binary.LittleEndian.AppendUint16(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, 1<<64-1) // the length of the section is not known
	options := len(dst)
	dst = appendText(dst, optSectionHardware, s.Hardware)
	dst = appendText(dst, optSectionOS, s.OS)
	dst = appendText(dst, optSectionApplication, s.Application)
	dst = appendComments(dst, s.Comments)
	return endBlock(dst, start, options)
}

// AppendInterface appends the description of an interface. Interfaces are numbered from 0 in the order in which they are
// described.
func AppendInterface(dst []byte, i *Interface) []byte {
	start := len(dst)
	dst = appendBlock(dst, blockInterface)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(i.Link))
	dst = binary.LittleEndian.AppendUint16(dst, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(i.SnapLen))
	options := len(dst)
	dst = appendText(dst, optName, i.Name)
	dst = appendText(dst, optDescription, i.Description)
	if len(i.MAC) == 6 {
		dst = append(appendOption(dst, optMAC, 6), i.MAC...)
		dst = append(dst, 0, 0)
	}
	dst = append(appendOption(dst, optResolution, 1), resolutionNanos, 0, 0, 0)
	if i.Filter != "" {
		text := valid(i.Filter)
		dst = append(appendOption(dst, optFilter, 1+len(text)), 0)
		dst = append(dst, text...)
		dst = pad(dst, 1+len(text))
	}
	dst = appendText(dst, optOS, i.OS)
	if i.FCSLen > 0 {
		dst = append(appendOption(dst, optFCS, 1), byte(8*i.FCSLen), 0, 0, 0)
	}
	dst = appendText(dst, optHardware, i.Hardware)
	dst = appendComments(dst, i.Comments)
	return endBlock(dst, start, options)
}

// AppendPacket appends a packet of the interface with the number id. p.Interface is not looked at.
func AppendPacket(dst []byte, id int, p *Packet) []byte {
	data := p.Data[:min(len(p.Data), pcap.MaxPacket)]
	start := len(dst)
	dst = appendBlock(dst, blockEnhanced)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(id))
	dst = appendTime(dst, p.Time)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(p.WireLen))
	dst = append(dst, data...)
	dst = pad(dst, len(data))
	options := len(dst)
	if p.Flags != 0 {
		dst = binary.LittleEndian.AppendUint32(appendOption(dst, optFlags, 4), uint32(p.Flags))
	}
	dst = appendCount(dst, optDropCount, p.Lost)
	dst = appendCount(dst, optPacketID, p.ID)
	dst = appendComments(dst, p.Comments)
	return endBlock(dst, start, options)
}

// AppendStatistics appends the counts of the interface with the number id.
func AppendStatistics(dst []byte, id int, s *Statistics) []byte {
	start := len(dst)
	dst = appendBlock(dst, blockStatistics)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(id))
	dst = appendTime(dst, s.Time)
	options := len(dst)
	if !s.Start.IsZero() {
		dst = appendTime(appendOption(dst, optStart, 8), s.Start)
	}
	if !s.Stop.IsZero() {
		dst = appendTime(appendOption(dst, optStop, 8), s.Stop)
	}
	dst = appendCount(dst, optReceived, s.Received)
	dst = appendCount(dst, optDropped, s.Dropped)
	dst = appendCount(dst, optAccepted, s.Accepted)
	dst = appendCount(dst, optOSDropped, s.OSDropped)
	dst = appendCount(dst, optDelivered, s.Delivered)
	dst = appendComments(dst, s.Comments)
	return endBlock(dst, start, options)
}

// appendBlock appends the header of a block; endBlock puts in its length.
func appendBlock(dst []byte, kind uint32) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, kind), 0, 0, 0, 0)
}

// endBlock ends a block that starts at start, with options from the byte there on.
func endBlock(dst []byte, start, options int) []byte {
	if len(dst) > options {
		dst = appendOption(dst, optEnd, 0)
	}
	length := uint32(len(dst) - start + 4)
	binary.LittleEndian.PutUint32(dst[start+4:], length)
	return binary.LittleEndian.AppendUint32(dst, length)
}

func appendOption(dst []byte, code, size int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(code))
	return binary.LittleEndian.AppendUint16(dst, uint16(size))
}

// appendText appends an option, unless it would be empty.
func appendText(dst []byte, code int, text string) []byte {
	if text == "" {
		return dst
	}
	text = valid(text)
	dst = append(appendOption(dst, code, len(text)), text...)
	return pad(dst, len(text))
}

// valid returns what may be written of a text: UTF-8 without a zero, and not too much of it.
func valid(text string) string {
	text = text[:min(len(text), maxText)]
	if n := strings.IndexByte(text, 0); n >= 0 {
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "?") // never longer
}

func appendComments(dst []byte, comments []string) []byte {
	for _, c := range comments {
		dst = appendText(dst, optComment, c)
	}
	return dst
}

func appendCount(dst []byte, code int, c Count) []byte {
	if !c.Known {
		return dst
	}
	return binary.LittleEndian.AppendUint64(appendOption(dst, code, 8), c.N)
}

// appendTime appends a time, upper half first.
func appendTime(dst []byte, t time.Time) []byte {
	n := nanosSince1970(t)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n>>32))
	return binary.LittleEndian.AppendUint32(dst, uint32(n))
}

// pad fills up what follows size bytes to a multiple of 4.
func pad(dst []byte, size int) []byte {
	for range padded(size) - size {
		dst = append(dst, 0)
	}
	return dst
}
