package pcapng

import (
	"fmt"
	"io"
)

// Writer writes a capture of one section. Each call makes one call to the writer beneath, of whole blocks.
type Writer struct {
	w          io.Writer
	interfaces []int // the snapshot length of each
	buf        []byte
}

// NewWriter writes the section header.
func NewWriter(w io.Writer, s *Section) (*Writer, error) {
	d := &Writer{w: w}
	return d, d.write("section header", AppendSection(nil, s))
}

// Interface describes another interface and returns its number. Its packets are cut to its SnapLen, if that isn't 0.
func (d *Writer) Interface(i *Interface) (id int, err error) {
	if err := d.write("interface description", AppendInterface(d.buf[:0], i)); err != nil {
		return 0, err
	}
	d.interfaces = append(d.interfaces, i.SnapLen)
	return len(d.interfaces) - 1, nil
}

// Write writes a packet of the interface with the number id. p.Interface is not looked at.
func (d *Writer) Write(id int, p *Packet) error {
	if id < 0 || id >= len(d.interfaces) {
		return fmt.Errorf("write a packet: interface %d is not described", id)
	}
	if snap := d.interfaces[id]; snap > 0 && len(p.Data) > snap {
		cut := *p
		cut.Data = p.Data[:snap]
		p = &cut
	}
	return d.write("packet", AppendPacket(d.buf[:0], id, p))
}

// WriteStatistics writes the counts of the interface with the number id, which replace those before.
func (d *Writer) WriteStatistics(id int, s *Statistics) error {
	if id < 0 || id >= len(d.interfaces) {
		return fmt.Errorf("write statistics: interface %d is not described", id)
	}
	return d.write("interface statistics", AppendStatistics(d.buf[:0], id, s))
}

func (d *Writer) write(what string, block []byte) error {
	d.buf = block
	if _, err := d.w.Write(block); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}
