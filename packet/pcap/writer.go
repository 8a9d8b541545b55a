package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Writer writes a capture in little-endian order with times in nanoseconds.
type Writer struct {
	w       io.Writer
	snapLen int
	buf     []byte
}

// NewWriter writes the file header. Packets are cut to snapLen bytes; 0 means MaxPacket.
func NewWriter(w io.Writer, link LinkType, snapLen int) (*Writer, error) {
	if snapLen <= 0 || snapLen > MaxPacket {
		snapLen = MaxPacket
	}
	var h [fileHeaderSize]byte
	binary.LittleEndian.PutUint32(h[0:], magicNanos)
	binary.LittleEndian.PutUint16(h[4:], versionMajor)
	binary.LittleEndian.PutUint16(h[6:], versionMinor)
	binary.LittleEndian.PutUint32(h[16:], uint32(snapLen))
	binary.LittleEndian.PutUint32(h[20:], uint32(link))
	if _, err := w.Write(h[:]); err != nil {
		return nil, fmt.Errorf("write the file header: %w", err)
	}
	return &Writer{w: w, snapLen: snapLen}, nil
}

// Write writes one packet of wireLen bytes, of which data was captured, in one call to the writer beneath.
func (w *Writer) Write(t time.Time, wireLen int, data []byte) error {
	data = data[:min(len(data), w.snapLen)]
	b := w.buf[:0]
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(wireLen))
	w.buf = append(b, data...)
	if _, err := w.w.Write(w.buf); err != nil {
		return fmt.Errorf("write a packet: %w", err)
	}
	return nil
}
