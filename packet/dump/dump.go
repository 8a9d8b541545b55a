// Package dump prints captures: packet by packet in the words of package packet, as JSON, or as statistics; and writes what
// passes a filter to another capture.
package dump

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"wick/packet"
	"wick/packet/filter"
	"wick/packet/pcapng"
)

// Options say what is done with a capture.
type Options struct {
	Mode      packet.Mode
	Relative  bool           // count sequence numbers from the first of each direction
	JSON      bool           // an object a packet instead of its line
	Color     bool           // with the escape sequences of terminals
	Silent    bool           // print no packets
	Stats     bool           // print statistics at the end, and no packets
	Filter    *filter.Filter // nil: all packets
	Interface string         // "": of all interfaces
	Count     uint64         // stop after that many have passed; 0: don't
	Write     io.Writer      // nil, or where to write what passes
	Classic   bool           // write the classic format instead of pcapng

	connections int // that are remembered; 0: the default
}

// connections is how many TCP connections are remembered, for about 100 bytes each.
const connections = 16 << 10

// batchSize is how much text is collected, in bytes, before it is written.
const batchSize = 64 << 10

// Run does with the capture that in holds what the options say and prints to out. Before it reads on from in, all
// that can be printed of what it has read has been.
//
// Of a damaged capture it prints what can be read, then it returns the error.
func Run(in io.Reader, out io.Writer, o *Options) error {
	remembered := connections
	if o.connections > 0 {
		remembered = o.connections
	}
	d := &dumper{o: o, out: out, text: make([]byte, 0, batchSize+packet.MaxLine), decoder: packet.NewDecoder(remembered)}
	d.decoder.Relative = o.Relative
	if o.Stats {
		d.stats = newStatistics()
	}
	err := d.run(in)
	if closing := d.close(); err == nil {
		err = closing
	}
	return err
}

// dumper is one run.
type dumper struct {
	o       *Options
	out     io.Writer
	text    []byte // not yet written
	decoder *packet.Decoder
	info    packet.Info
	plain   []byte // a packet's text before it is coloured
	stats   *statistics
	file    *writer
	capture *Capture
	lost    map[*pcapng.Interface]uint64 // packets that lines have told to be missing
	passed  uint64
	recent  recent
}

func (d *dumper) run(in io.Reader) (err error) {
	if d.capture, err = Open(&flushing{in, d}); err != nil {
		return err
	}
	if d.o.Write != nil {
		if d.file, err = newWriter(d.o.Write, d.o.Classic, d.capture); err != nil {
			return err
		}
	}
	for d.o.Count == 0 || d.passed < d.o.Count {
		p, err := d.capture.Next()
		if err == io.EOF {
			return d.knowsInterface()
		}
		if err != nil {
			return err
		}
		if err := d.packet(p); err != nil {
			return err
		}
	}
	return nil
}

// knowsInterface is an error if packets of an interface are wanted that the capture doesn't have.
func (d *dumper) knowsInterface() error {
	if d.o.Interface == "" {
		return nil
	}
	if d.capture.ng == nil {
		return fmt.Errorf("no interface %q: this format has no names of interfaces", d.o.Interface)
	}
	var names []string
	for _, i := range d.capture.Interfaces() {
		name := nameOf(i)
		if name == d.o.Interface {
			return nil
		}
		names = append(names, printable(name))
	}
	return fmt.Errorf("no interface %q, only: %s", d.o.Interface, strings.Join(names, ", "))
}

// packet handles one packet.
func (d *dumper) packet(p *Packet) error {
	for _, l := range p.Late {
		d.late(l)
	}
	if d.o.Interface != "" && p.Interface != d.o.Interface {
		return nil
	}
	if p.Lost.Known && p.Lost.N > 0 {
		d.missing(p)
	}
	if d.o.Filter != nil && !d.o.Filter.Match(&p.Frame) {
		return nil
	}
	d.passed++
	if p.ID.Known {
		d.recent.add(p.Number, p.WireLen)
	}
	if d.file != nil {
		if err := d.file.packet(p); err != nil {
			return err
		}
	}
	switch {
	case d.stats != nil:
		d.plain = d.decoder.Describe(d.plain[:0], &p.Frame, packet.Line, &d.info)
		d.stats.add(p, &d.info)
		return nil
	case d.o.Silent:
		return nil
	}
	d.print(p)
	if len(d.text) >= batchSize {
		return d.flush()
	}
	return nil
}

// print appends a packet.
func (d *dumper) print(p *Packet) {
	switch {
	case d.o.JSON:
		d.plain = d.decoder.Describe(d.plain[:0], &p.Frame, packet.Line, &d.info)
		d.text = appendJSON(d.text, p, &d.info, d.plain)
	case d.o.Color:
		d.plain = d.decoder.Describe(d.plain[:0], &p.Frame, d.o.Mode, &d.info)
		d.text = appendColored(d.text, d.plain, d.info.Marks)
	default:
		d.text = d.decoder.Append(d.text, &p.Frame, d.o.Mode)
	}
}

// late tells that a packet from before was dropped, if it was one that has passed.
func (d *dumper) late(l LateDrop) {
	wireLen, ok := d.recent.find(l.Number)
	if !ok && (d.o.Filter != nil || d.o.Interface != "") {
		return
	}
	if d.file != nil {
		d.file.late(l)
	}
	switch {
	case d.stats != nil:
		d.stats.drop(l.Why, wireLen)
	case d.o.Silent:
	case d.o.JSON:
		d.text = appendLateJSON(d.text, l)
	default:
		d.text = packet.AppendDropped(d.text, l.Number, l.Why)
	}
}

// recent knows of the packets that have passed last.
type recent struct {
	ring []struct {
		number  uint64
		wireLen int
	}
}

// maxRecent is how many are known.
const maxRecent = 1 << 16

func (r *recent) add(number uint64, wireLen int) {
	if r.ring == nil {
		r.ring = slices.Grow(r.ring, maxRecent)[:maxRecent]
	}
	at := &r.ring[number%maxRecent]
	at.number, at.wireLen = number, wireLen
}

func (r *recent) find(number uint64) (wireLen int, ok bool) {
	if r.ring == nil || r.ring[number%maxRecent].number != number {
		return 0, false
	}
	return r.ring[number%maxRecent].wireLen, true
}

// missing tells that the capture has missed packets before p.
func (d *dumper) missing(p *Packet) {
	if d.lost == nil {
		d.lost = map[*pcapng.Interface]uint64{}
	}
	d.lost[p.From] += p.Lost.N
	if d.file != nil {
		d.file.missing(p)
	}
	if d.stats == nil && !d.o.Silent && !d.o.JSON {
		d.text = packet.AppendNotCaptured(d.text, p.Lost.N)
	}
}

// flush writes what has been printed.
func (d *dumper) flush() error {
	if len(d.text) == 0 {
		return nil
	}
	_, err := d.out.Write(d.text)
	d.text = d.text[:0]
	return err
}

// close prints what comes at the end, and writes all that isn't written.
func (d *dumper) close() error {
	if d.capture != nil {
		d.end()
	}
	err := d.flush()
	if d.file != nil {
		if closing := d.file.close(); err == nil {
			err = closing
		}
	}
	return err
}

// end prints the statistics, or what else the capture has told of packets that were dropped, or that it lacks.
func (d *dumper) end() {
	whole := d.o.Count == 0 || d.passed < d.o.Count
	if whole {
		d.lateAtEnd()
	}
	if d.stats != nil {
		d.stats.interfaces(d.capture.Interfaces(), d.lost)
		if d.o.JSON {
			d.text = d.stats.appendJSON(d.text)
		} else {
			d.text = d.stats.append(d.text)
		}
		return
	}
	if d.o.Silent || d.o.JSON || !whole {
		return
	}
	missing := uint64(0)
	for _, i := range d.capture.Interfaces() {
		if d.o.Interface == "" || i.Name == d.o.Interface {
			missing += notCaptured(i) - min(notCaptured(i), d.lost[i])
		}
	}
	if missing > 0 {
		d.text = packet.AppendNotCaptured(d.text, missing)
	}
}

// lateAtEnd tells of packets whose fate has become known after the last one.
func (d *dumper) lateAtEnd() {
	for _, i := range d.capture.Interfaces() {
		late, _ := splitLate(i.Statistics.Comments)
		for _, l := range late {
			d.late(l)
		}
	}
}

// notCaptured is how many packets of an interface its statistics tell to be missing.
func notCaptured(i *pcapng.Interface) uint64 {
	return i.Statistics.Dropped.N + i.Statistics.OSDropped.N
}

// flushing writes what has been printed before it reads: the reader may have to wait.
type flushing struct {
	r io.Reader
	d *dumper
}

func (f *flushing) Read(b []byte) (int, error) {
	if err := f.d.flush(); err != nil {
		return 0, err
	}
	if f.d.file != nil {
		if err := f.d.file.flush(); err != nil {
			return 0, err
		}
	}
	return f.r.Read(b)
}
