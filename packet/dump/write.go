package dump

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// application is what captures name as their writer.
const application = "wick dump"

// writer writes packets to another capture.
type writer struct {
	buf     *bufio.Writer
	capture *Capture // where they come from
	lost    map[*pcapng.Interface]uint64
	told    []string // comments of the next packet: others were dropped

	ng  *pcapng.Writer
	ids map[*pcapng.Interface]int

	wantClassic bool
	classic     *pcap.Writer // made with the first packet, which tells the link type
	link        pcap.LinkType
}

func newWriter(out io.Writer, classic bool, c *Capture) (w *writer, err error) {
	w = &writer{buf: bufio.NewWriterSize(out, 64<<10), capture: c, lost: map[*pcapng.Interface]uint64{}, ids: map[*pcapng.Interface]int{}, wantClassic: classic}
	if !classic {
		s := c.Section()
		s.Application = application
		w.ng, err = pcapng.NewWriter(w.buf, &s)
	}
	return w, err
}

// missing notes that the capture has missed packets before p, which need not pass.
func (w *writer) missing(p *Packet) { w.lost[p.From] += p.Lost.N }

// late notes that a packet from before was dropped.
func (w *writer) late(l LateDrop) { w.told = append(w.told, pcapng.LateDrop(l.Number, l.Why)) }

// packet writes a packet.
func (w *writer) packet(p *Packet) error {
	if w.wantClassic {
		return w.toClassic(p)
	}
	id, ok := w.ids[p.From]
	if !ok {
		i := *p.From
		i.FCSLen = 0 // it has been taken off
		i.Name = p.Interface
		var err error
		if id, err = w.ng.Interface(&i); err != nil {
			return err
		}
		w.ids[p.From] = id
	}
	out := pcapng.Packet{Time: p.At, WireLen: p.wholeLen, Data: p.whole, Flags: p.Flags.WithoutFCS(), ID: p.ID, Comments: w.told}
	w.told = nil
	if p.Drop != "" {
		out.Comments = append(out.Comments, pcapng.DropComment+p.Drop)
	}
	out.Comments = append(out.Comments, p.Comments...)
	if n := w.lost[p.From]; n > 0 {
		out.Lost = pcapng.Known(n)
		delete(w.lost, p.From)
	}
	return w.ng.Write(id, &out)
}

// ErrLinks tells of packets of another link type than a classic capture has.
var ErrLinks = errors.New("a classic capture can't hold packets of several link types")

// toClassic writes a packet in the classic format.
func (w *writer) toClassic(p *Packet) error {
	if err := w.header(p.From.Link); err != nil {
		return err
	}
	if p.From.Link != w.link {
		return fmt.Errorf("%w: packet %d has type %d, those before have %d", ErrLinks, p.Number, p.From.Link, w.link)
	}
	return w.classic.Write(p.At, p.wholeLen, p.whole)
}

// header writes the header of a classic capture, unless that has been done.
func (w *writer) header(link pcap.LinkType) (err error) {
	if w.classic == nil {
		w.link = link
		w.classic, err = pcap.NewWriter(w.buf, link, 0)
	}
	return err
}

func (w *writer) flush() error { return w.buf.Flush() }

// close writes what comes at the end. A capture without packets is one nevertheless.
func (w *writer) close() error {
	interfaces := w.capture.Interfaces()
	if w.wantClassic {
		link := pcap.LinkType(pcap.LinkEthernet)
		if len(interfaces) > 0 {
			link = interfaces[0].Link
		}
		if err := w.header(link); err != nil {
			return err
		}
		return w.flush()
	}
	for _, i := range interfaces {
		if id, ok := w.ids[i]; ok && !i.Statistics.Time.IsZero() {
			statistics := i.Statistics
			_, others := splitLate(statistics.Comments)
			statistics.Comments = append(w.told, others...)
			w.told = nil
			if err := w.ng.WriteStatistics(id, &statistics); err != nil {
				return err
			}
		}
	}
	return w.flush()
}
