package packet

import "strconv"

// printer writes the text of one frame. It lives on the stack of Append.
//
// Offsets are counted from the first byte of the frame. A layer gets [off, end): where it starts, and where the
// lengths of the layers around it say that it ends. end may be beyond the captured bytes, never beyond the wire.
type printer struct {
	b      []byte
	f      *Frame
	data   []byte // what was captured
	wire   int    // length on the wire, at least len(data)
	end    int    // where the content ends that a length field announces; the rest is padding
	ip     ipContext
	layers [maxLayers]Layer
	count  int // of layers
	depth  int // of IP in IP

	decoder   *Decoder // nil: nothing is known of other frames
	tcpPast   tcpState
	vsockPast vsockState
	overlap   int // bytes of the fragment that others have brought

	info   *Info // nil: nobody wants to know
	origin int   // index in b of the frame's text

	start     int  // index in b of the line
	faults    int  // on the line
	inDetails bool // the line is that of a layer
}

// newLine starts counting what a line may hold.
func (p *printer) newLine(details bool) {
	p.start, p.faults, p.inDetails = len(p.b), 0, details
}

// crowded tells whether the line is so long that what can be left out is: lists, and what transports carry. Then no
// frame, however absurd, makes a line longer than MaxLine.
func (p *printer) crowded() bool { return len(p.b)-p.start > MaxLine/4 }

// maxFaults bounds how many faults a line tells of.
const maxFaults = 16

// maxLayers bounds the layers that Full lists, maxDepth the tunnels that are followed.
const (
	maxLayers = 24
	maxDepth  = 3
)

// push notes a layer for the detailed form.
func (p *printer) push(kind LayerKind, off, end int) {
	p.pushLayer(Layer{Kind: kind, Off: off, End: end})
}

func (p *printer) pushLayer(l Layer) {
	if p.count < maxLayers {
		p.layers[p.count] = l
		p.count++
	}
}

// slice returns the captured bytes of [off, end).
func (p *printer) slice(off, end int) []byte {
	end = min(end, len(p.data))
	if off >= end {
		return nil
	}
	return p.data[off:end:end]
}

// captured tells whether all bytes of [off, end) were captured.
func (p *printer) captured(end int) bool { return end <= len(p.data) }

func (p *printer) str(s string) { p.b = append(p.b, s...) }
func (p *printer) char(c byte)  { p.b = append(p.b, c) }
func (p *printer) num(n int)    { p.b = strconv.AppendInt(p.b, int64(n), 10) }
func (p *printer) num32(n uint32) {
	p.b = strconv.AppendUint(p.b, uint64(n), 10)
}
func (p *printer) hex(n, digits int) { p.b = appendHex(p.b, uint64(n), digits) }

// field appends " name=n", fieldHex the same in hexadecimal.
func (p *printer) field(name string, n int) {
	p.char(' ')
	p.str(name)
	p.char('=')
	p.num(n)
}

func (p *printer) fieldHex(name string, n, digits int) {
	p.char(' ')
	p.str(name)
	p.char('=')
	p.hex(n, digits)
}

// fieldName appends " name=n (word)", without the word if there is none.
func (p *printer) fieldName(name string, n int, word string) {
	p.field(name, n)
	p.word(word)
}

func (p *printer) word(word string) {
	if word != "" {
		p.str(" (")
		p.str(word)
		p.char(')')
	}
}

// quoted appends s in double quotes, escaped, at most limit bytes of it.
func (p *printer) quoted(s []byte, limit int) {
	p.char('"')
	p.b = appendEscaped(p.b, s, limit)
	p.char('"')
}

// fault appends " !" and the fault; base is the offset of the header that the fault counts from.
func (p *printer) fault(f Fault, base int) {
	if !p.oneMore() {
		return
	}
	f.Offset += base
	from := p.bang()
	p.b = f.append(p.b)
	p.mark(MarkAnomaly, from)
}

// bang starts a fault, and returns where in b.
func (p *printer) bang() int {
	p.str(" !")
	return len(p.b) - 1
}

// bangName starts a fault with a name.
func (p *printer) bangName(name string) int {
	from := p.bang()
	p.str(name)
	return from
}

// oneMore tells whether the line may tell of another fault; instead of the first too many it prints dots.
func (p *printer) oneMore() bool {
	p.faults++
	if p.faults == maxFaults+1 {
		from := p.bang()
		p.str("...")
		p.mark(MarkAnomaly, from)
	}
	return p.faults <= maxFaults
}

// wrong reports a fault without numbers.
func (p *printer) wrong(name string, off int) { p.fault(Fault{Name: name}, off) }

// compare reports got where want was due; relation is as in Fault.
func (p *printer) compare(name string, got int, relation byte, want, off int) {
	p.fault(Fault{Name: name, Relation: relation, Got: got, Want: want}, off)
}

// parseFault reports why a header at off could not be parsed. A header that the wire had but the capture hasn't is no
// fault of the packet.
func (p *printer) parseFault(f Fault, off, end int) {
	if f.Name == truncated && off+f.Want <= end {
		p.str(" (captured ")
		p.num(f.Got)
		p.char('<')
		p.num(f.Want)
		p.str(" byte ")
		p.num(off)
		p.char(')')
		return
	}
	p.fault(f, off)
}

// check appends " name=verdict".
func (p *printer) check(name string, r checkResult) {
	p.char(' ')
	from := len(p.b)
	p.str(name)
	p.char('=')
	p.verdict(r, from)
	if p.info != nil && name == "ck" {
		p.info.Check = r.verdict()
	}
}

// verdict appends a verdict on what is named from from on.
func (p *printer) verdict(r checkResult, from int) {
	p.b = appendCheck(p.b, r)
	if r.state == checkBad {
		p.mark(MarkAnomaly, from)
	}
}
