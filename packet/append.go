package packet

import "strconv"

// Append appends the text of f to dst: one line, or in mode Full several, each with its newline. It allocates nothing
// if dst has room, and takes any bytes: what is wrong with a packet it says.
//
// It takes each frame by itself; a Decoder knows those before.
func Append(dst []byte, f *Frame, mode Mode) []byte { return appendFrame(dst, f, mode, nil, nil) }

func appendFrame(dst []byte, f *Frame, mode Mode, d *Decoder, info *Info) []byte {
	p := printer{b: dst, f: f, data: f.Data, wire: max(f.WireLen, len(f.Data)), decoder: d, info: info, origin: len(dst)}
	p.end = p.wire
	p.newLine(false)
	p.head()
	p.link()
	p.tell()
	p.tail()
	if info != nil {
		info.Line = len(p.b) - p.origin
	}
	p.char('\n')
	if mode == Full {
		p.details()
	}
	if mode != Line {
		p.dump()
	}
	return p.b
}

// AppendNotShown appends the line that stands in the place of n packets which the sink could not take.
func AppendNotShown(dst []byte, n uint64) []byte {
	return appendMissing(dst, n, " packet", " not shown\n")
}

// AppendDropped appends the line that tells, later, that the packet with the number was dropped, and why.
func AppendDropped(dst []byte, number uint64, why string) []byte {
	dst = strconv.AppendUint(append(dst, "... #"...), number, 10)
	dst = append(dst, " !dropped("...)
	for i := range min(len(why), maxReason) {
		dst = appendEscapedByte(dst, why[i])
	}
	return append(dst, ")\n"...)
}

// AppendDropsNotShown appends the line that stands for n of the lines that AppendDropped makes.
func AppendDropsNotShown(dst []byte, n uint64) []byte {
	return appendMissing(dst, n, " drop", " not shown\n")
}

// AppendNotCaptured appends the line that stands in the place of n packets which the capture has missed.
func AppendNotCaptured(dst []byte, n uint64) []byte {
	return appendMissing(dst, n, " packet", " not captured\n")
}

func appendMissing(dst []byte, n uint64, what, why string) []byte {
	dst = append(dst, "... "...)
	dst = strconv.AppendUint(dst, n, 10)
	dst = append(dst, what...)
	if n != 1 {
		dst = append(dst, 's')
	}
	return append(dst, why...)
}

// head prints number, time, interface, direction and length.
func (p *printer) head() {
	p.char('#')
	p.b = strconv.AppendUint(p.b, p.f.Number, 10)
	p.char(' ')
	p.b = appendTime(p.b, int64(p.f.Time))
	p.char(' ')
	if p.f.Interface == "" {
		p.char('-')
	}
	for i := range min(len(p.f.Interface), maxName) {
		p.b = appendEscapedByte(p.b, p.f.Interface[i])
	}
	p.mark(MarkHead, p.origin)
	p.char(' ')
	from := len(p.b)
	switch p.f.Direction {
	case Receive:
		p.char('<')
	case Transmit:
		p.char('>')
	default:
		p.char('-')
	}
	p.mark(MarkDirection, from)
	p.char(' ')
	p.num(p.wire)
}

// maxName and maxReason bound the texts that come with a frame.
const (
	maxName    = 16
	maxReason  = 64
	maxComment = 200
)

// tail prints what befell the frame as a whole.
func (p *printer) tail() {
	if p.f.Segmented {
		p.str(" seg=offload")
	}
	if p.end < p.wire {
		p.padding()
	}
	if len(p.data) < p.wire {
		p.str(" captured=")
		p.num(len(p.data))
		p.char('/')
		p.num(p.wire)
	}
	if p.f.WireLen < len(p.f.Data) {
		from := p.bang()
		p.str("wire-length ")
		p.num(p.f.WireLen)
		p.char('<')
		p.num(len(p.f.Data))
		p.mark(MarkAnomaly, from)
	}
	if p.f.RxErrors != 0 {
		p.rxErrors()
	}
	if p.f.Damage&DamageNoEOP != 0 {
		p.mark(MarkAnomaly, p.bangName("no-end-of-packet"))
	}
	if p.f.Damage&DamageShortHeader != 0 {
		p.mark(MarkAnomaly, p.bangName("short-virtio-header"))
	}
	if p.f.Drop != "" {
		from := p.bangName("dropped(")
		for i := range min(len(p.f.Drop), maxReason) {
			p.b = appendEscapedByte(p.b, p.f.Drop[i])
		}
		p.char(')')
		p.mark(MarkAnomaly, from)
	}
	if p.f.Comment != "" {
		p.str(" comment=\"")
		for i := range min(len(p.f.Comment), maxComment) {
			p.b = appendEscapedByte(p.b, p.f.Comment[i])
		}
		if len(p.f.Comment) > maxComment {
			p.str("...")
		}
		p.char('"')
	}
}

// minFrame is the least length of an Ethernet frame without its FCS [802.3 4.4.2].
const minFrame = 60

// padding notes the bytes after the content: padding of a short frame, or a trailer, which has no business there but
// harms nobody.
func (p *printer) padding() {
	name := " pad="
	if (p.wire > minFrame || p.f.Link != LinkEthernet) && !zeros(p.slice(p.end, p.wire)) {
		name = " trailer="
	}
	p.str(name)
	p.num(p.wire - p.end)
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// rxErrors names the error bits of a receive descriptor [8254x 3.2.3.2].
func (p *printer) rxErrors() {
	from := p.bangName("rx-error(")
	first := true
	for i := range 8 {
		if p.f.RxErrors&(1<<i) == 0 {
			continue
		}
		if !first {
			p.char(',')
		}
		first = false
		p.str(rxErrorName(i))
	}
	p.char(')')
	p.mark(MarkAnomaly, from)
}

func rxErrorName(bit int) string {
	switch bit {
	case 0:
		return "CE" // CRC or alignment error
	case 1:
		return "SE" // symbol error
	case 2:
		return "SEQ" // sequence error
	case 4:
		return "CXE" // carrier extension error
	case 5:
		return "TCPE" // TCP or UDP checksum error
	case 6:
		return "IPE" // IP checksum error
	case 7:
		return "RXE" // data error
	}
	return "reserved"
}
