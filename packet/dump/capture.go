package dump

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"wick/packet"
	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// ErrFormat is wrapped by the errors for what is no capture.
var ErrFormat = errors.New("not a capture")

// ErrDamaged tells whether an error is one of a capture that breaks off or holds what can't be.
func ErrDamaged(err error) bool {
	for _, damaged := range []error{pcap.ErrDamaged, pcapng.ErrDamaged, errGzip} {
		if errors.Is(err, damaged) {
			return true
		}
	}
	return false
}

// errGzip is wrapped by the errors for compressed data that breaks off or can't be.
var errGzip = errors.New("damaged gzip file")

// unzipped reads what has been compressed, in one part or several [RFC 1952 2.2], and tells its end by damage from the end of the capture.
type unzipped struct {
	part *gzip.Reader
	from *bufio.Reader
}

func newUnzipped(from *bufio.Reader) (*unzipped, error) {
	part, err := gzip.NewReader(from)
	if err != nil {
		return nil, gzipError(noEOF(err))
	}
	part.Multistream(false)
	return &unzipped{part, from}, nil
}

func (u *unzipped) Read(b []byte) (int, error) {
	n, err := u.part.Read(b)
	if err == io.EOF {
		err = u.next()
	}
	return n, gzipError(err)
}

// next goes on to the next part; io.EOF behind the last.
func (u *unzipped) next() error {
	start, err := u.from.Peek(len(gzipMagic))
	switch {
	case len(start) == 0:
		return err
	case !strings.HasPrefix(gzipMagic, string(start)):
		return fmt.Errorf("%w: what comes behind its end is not of gzip", errGzip)
	}
	err = noEOF(u.part.Reset(u.from))
	u.part.Multistream(false)
	return err
}

func gzipError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case err == io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: it breaks off", errGzip)
	case err == gzip.ErrChecksum:
		return fmt.Errorf("%w: wrong checksum", errGzip)
	case err == gzip.ErrHeader:
		return fmt.Errorf("%w: wrong header", errGzip)
	case errors.As(err, &corrupt):
		return fmt.Errorf("%w: corrupt before byte %d", errGzip, int64(corrupt))
	}
	return err
}

// Packet is one packet of a capture.
type Packet struct {
	packet.Frame
	At       time.Time // the zero Time if the capture has none
	Comments []string  // other than the one that tells why it was dropped
	Flags    pcapng.Flags
	Lost     pcapng.Count // packets that the capture has missed before this one
	ID       pcapng.Count
	Late     []LateDrop // of packets before this one
	From     *pcapng.Interface

	whole    []byte // as it is in the capture: with what Data hasn't
	wholeLen int    // of it on the wire, as WireLen
}

// LateDrop tells that a packet was dropped, after others have come.
type LateDrop struct {
	Number uint64 // of the packet
	Why    string
}

// Capture reads captures of any format: pcap or pcapng, compressed by gzip or not.
type Capture struct {
	classic *pcap.Reader
	ng      *pcapng.Reader
	only    pcapng.Interface // that of a classic capture
	p       Packet
	start   time.Time
	last    time.Duration
}

// gzipMagic is what a file compressed by gzip starts with [RFC 1952 2.3.1].
const gzipMagic = "\x1f\x8b"

// Open finds out the format and reads the header. Its errors wrap ErrFormat or tell of damage, or are those of r.
func Open(r io.Reader) (*Capture, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	start, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if strings.HasPrefix(string(start), gzipMagic) {
		u, err := newUnzipped(b)
		if err != nil {
			return nil, err
		}
		b = bufio.NewReaderSize(u, 64<<10)
		if start, err = b.Peek(4); err != nil && err != io.EOF {
			return nil, err
		}
	}
	switch {
	case len(start) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	case string(start) == "\x0a\x0d\x0d\x0a":
		return openNG(b)
	}
	c := &Capture{}
	if c.classic, err = pcap.NewReader(b); errors.Is(err, pcap.ErrFormat) && !strings.Contains(err.Error(), "version") {
		return nil, fmt.Errorf("%w: neither pcap nor pcapng starts with % x", ErrFormat, start)
	} else if err != nil {
		return nil, err
	}
	c.only = pcapng.Interface{Link: c.classic.LinkType(), SnapLen: c.classic.SnapLen(), FCSLen: c.classic.FCSLen()}
	return c, nil
}

func openNG(r io.Reader) (*Capture, error) {
	ng, err := pcapng.NewReader(r)
	if err != nil {
		return nil, err
	}
	return &Capture{ng: ng}, nil
}

// noEOF is an error in whose place io.EOF would tell of an orderly end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Section returns what the capture tells of where it was made.
func (c *Capture) Section() pcapng.Section {
	if c.ng == nil {
		return pcapng.Section{}
	}
	return c.ng.Section()
}

// Interfaces returns the interfaces known so far.
func (c *Capture) Interfaces() []*pcapng.Interface {
	if c.ng == nil {
		return []*pcapng.Interface{&c.only}
	}
	return c.ng.Interfaces()
}

// Next returns the next packet, which is valid until the next call; io.EOF behind the last. Other errors end the capture;
// ErrDamaged tells those that come of its contents.
func (c *Capture) Next() (*Packet, error) {
	c.p = Packet{Frame: packet.Frame{Number: c.p.Number + 1}}
	next := c.nextClassic
	if c.ng != nil {
		next = c.nextNG
	}
	p, err := next()
	if errors.Is(err, errGzip) {
		err = fmt.Errorf("%w, after packet %d", err, c.p.Number-1)
	}
	return p, err
}

func (c *Capture) nextClassic() (*Packet, error) {
	p, err := c.classic.Next()
	if err != nil {
		return nil, err
	}
	c.p.From, c.p.At = &c.only, p.Time
	c.p.WireLen, c.p.Data = p.WireLen, p.Data
	c.complete(c.only.FCSLen)
	return &c.p, nil
}

func (c *Capture) nextNG() (*Packet, error) {
	p, err := c.ng.Next()
	if err != nil {
		return nil, err
	}
	c.p.From, c.p.At, c.p.Flags, c.p.Lost = p.Interface, p.Time, p.Flags, p.Lost
	c.p.WireLen, c.p.Data = p.WireLen, p.Data
	c.p.Interface = nameOf(p.Interface)
	// Our captures number packets as the dump of the same run does, in all files that they are rotated to.
	if c.p.ID = p.ID; p.ID.N > c.p.Number && strings.HasPrefix(c.ng.Section().Application, ours) {
		c.p.Number = p.ID.N
	}
	late, comments := splitLate(p.Comments)
	c.p.Late = late
	for _, comment := range comments {
		if why, ok := strings.CutPrefix(comment, pcapng.DropComment); ok && c.p.Drop == "" {
			c.p.Drop = why
		} else {
			c.p.Comments = append(c.p.Comments, comment)
		}
	}
	c.p.Comment = strings.Join(c.p.Comments, "; ")
	fcs := p.Flags.FCSLen()
	if fcs == 0 {
		fcs = p.Interface.FCSLen
	}
	c.complete(fcs)
	return &c.p, nil
}

// ours is what the names of programs that write captures begin with if they are ours.
const ours = "wick"

// splitLate takes those comments out that tell of packets from before.
func splitLate(comments []string) (late []LateDrop, others []string) {
	for _, c := range comments {
		if id, why, ok := pcapng.ParseLateDrop(c); ok {
			late = append(late, LateDrop{id, why})
		} else {
			others = append(others, c)
		}
	}
	return late, others
}

// nameOf returns an interface's name, or the one that it has here.
func nameOf(i *pcapng.Interface) string {
	if i.Name == "" {
		return "if" + strconv.Itoa(i.ID)
	}
	return i.Name
}

// complete derives what the frame's other fields tell.
func (c *Capture) complete(fcs int) {
	p := &c.p
	p.Link = linkOf(p.From.Link)
	if fcs > 0 && p.WireLen >= fcs {
		p.WireLen -= fcs
		p.Data = p.Data[:min(len(p.Data), p.WireLen)]
	}
	p.whole, p.wholeLen = p.Data, p.WireLen
	p.takeMonitor()
	if !p.At.IsZero() {
		if c.start.IsZero() {
			c.start = p.At
			// Captures of wick tell in front when they began, others at the end if at all.
			if began := p.From.Statistics.Start; !began.IsZero() && began.Before(p.At) {
				c.start = began
			}
		}
		c.last = p.At.Sub(c.start)
	}
	p.Time = c.last // a packet without a time has that of the one before
	p.Direction = direction(p)
	p.Segmented = p.Flags&pcapng.FlagSegmentation != 0
	switch {
	case p.Flags&pcapng.FlagChecksumNotReady != 0:
		p.Checksum = packet.ChecksumOffload
	case p.Flags&pcapng.FlagChecksumValid != 0:
		p.Checksum = packet.ChecksumVerified
	case p.Segmented: // who cuts it fills in the checksums
		p.Checksum = packet.ChecksumOffload
	}
	p.RxErrors = rxErrors(p.Flags)
}

// takeMonitor takes off the header that captures of virtio-vsock have in front of each packet: it isn't one of the packet's, so a
// packet has the same length, and the same bytes, as in the dump of the machine itself.
func (p *Packet) takeMonitor() {
	if p.Link != packet.LinkVsockMon {
		return
	}
	if h, fault := packet.ParseVsockMon(p.Data); !fault.Bad() && h.Virtio() {
		p.Link, p.Data, p.WireLen = packet.LinkVsock, p.Data[packet.VsockMonSize:], p.WireLen-packet.VsockMonSize
	}
}

// linkOf translates the types of captures [https://www.tcpdump.org/linktypes.html].
func linkOf(t pcap.LinkType) packet.Link {
	const bsdRaw, openBSDRaw, ipv4, ipv6 = 12, 14, 228, 229 // which also mean IP
	switch t {
	case pcap.LinkEthernet:
		return packet.LinkEthernet
	case pcap.LinkRaw, bsdRaw, openBSDRaw, ipv4, ipv6:
		return packet.LinkRaw
	case pcap.LinkSLL:
		return packet.LinkCooked
	case pcap.LinkSLL2:
		return packet.LinkCooked2
	case pcap.LinkVsock:
		return packet.LinkVsockMon
	}
	return packet.LinkOther + packet.Link(t)
}

// direction tells which way a packet went: from the flags, or from the header of a cooked capture.
func direction(p *Packet) packet.Direction {
	kind := -1 // as cooked headers have it
	switch {
	case p.Flags.Inbound():
		return packet.Receive
	case p.Flags.Outbound():
		return packet.Transmit
	case p.Link == packet.LinkCooked && len(p.Data) >= 2:
		kind = int(p.Data[0])<<8 | int(p.Data[1])
	case p.Link == packet.LinkCooked2 && len(p.Data) >= 11:
		kind = int(p.Data[10])
	}
	const toOther, fromUs = 3, 4
	switch {
	case kind == fromUs:
		return packet.Transmit
	case kind >= 0 && kind <= toOther:
		return packet.Receive
	}
	return packet.Unknown
}

// rxErrors translates the errors of a packet to those of a receive descriptor [8254x 3.2.3.2].
func rxErrors(f pcapng.Flags) (bits uint8) {
	const ce, se, seq, rxe = 1 << 0, 1 << 1, 1 << 2, 1 << 7
	for _, e := range [...]struct {
		flags pcapng.Flags
		bit   uint8
	}{
		{pcapng.FlagErrorCRC | pcapng.FlagErrorAlignment, ce},
		{pcapng.FlagErrorSymbol, se},
		{pcapng.FlagErrorDelimiter | pcapng.FlagErrorPreamble | pcapng.FlagErrorGap, seq},
		{pcapng.FlagErrorTooLong | pcapng.FlagErrorTooShort, rxe},
	} {
		if f&e.flags != 0 {
			bits |= e.bit
		}
	}
	return bits
}
