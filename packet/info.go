package packet

// Info is what Describe says besides the text, for programs: what is where in the frame, what is where in the text, and
// what was judged. The next call uses its memory again.
type Info struct {
	Layers      []Layer // from the outside in
	End         int     // where the content of the frame ends; what follows is padding or a trailer
	HeaderCheck Verdict // on the header checksum of the last IPv4 header
	Check       Verdict // on the checksum of the last transport
	Fragment    bool    // the last IP packet holds a part of a datagram only
	WindowShift int     // of the TCP segment's window, 0 if it is not known or there is none
	SeqBase     uint32  // what has been taken off the sequence number, if numbers are relative
	AckBase     uint32  // the same for the acknowledgment number

	Line        int    // length of the line in bytes, without its newline; offsets in the text count from its start
	Marks       []Mark // of the text, in its order
	Application Span   // what the line says of what TCP or UDP carry; empty if nothing
}

// Layer is a stretch of the frame: a header, or data.
type Layer struct {
	Kind     LayerKind
	Off, End int // [Off, End), counted from the first byte of the frame; not all of it need have been captured
	Protocol int // of LayerExtension: what it is; of LayerVLAN: the type that announces it
	limit    int // where the layers around an IP header end
}

// Verdict is what was found of a checksum.
type Verdict struct {
	State string // as in the text: ok, bad, none, offload, hw-ok, unchecked(truncated), unchecked(fragment); "" if there is no checksum
	Want  uint16 // what it should have been, if State is bad
}

// Span is a stretch of the text.
type Span struct{ From, To int }

// MarkKind says what a stretch of the text is.
type MarkKind uint8

// Kinds of marks.
const (
	MarkHead      MarkKind = iota // number, time and interface
	MarkDirection                 // < or >
	MarkLink                      // addresses of the link
	MarkAddress                   // addresses of the network, with ports
	MarkProtocol                  // the name of a protocol
	MarkAnomaly                   // what is wrong, with the exclamation mark
)

// Mark is a stretch of the text that is of a kind.
type Mark struct {
	Kind MarkKind
	Span
}

// Describe is Append for programs: it also fills info.
func (d *Decoder) Describe(dst []byte, f *Frame, mode Mode, info *Info) []byte {
	*info = Info{Layers: info.Layers[:0], Marks: info.Marks[:0]}
	return appendFrame(dst, f, mode, d, info)
}

// mark notes what stands in the text from from on.
func (p *printer) mark(kind MarkKind, from int) {
	if p.info != nil {
		p.info.Marks = append(p.info.Marks, Mark{kind, Span{from - p.origin, len(p.b) - p.origin}})
	}
}

// protocol appends the name of a protocol.
func (p *printer) protocol(name string) {
	p.char(' ')
	from := len(p.b)
	p.str(name)
	p.mark(MarkProtocol, from)
}

// application appends the name of a protocol above the transport.
func (p *printer) application(name string) {
	if p.info != nil {
		p.info.Application.From = len(p.b) + 1 - p.origin
	}
	p.protocol(name)
}

// tell fills in what is known when the frame has been printed.
func (p *printer) tell() {
	i := p.info
	if i == nil {
		return
	}
	i.Layers = append(i.Layers, p.layers[:p.count]...)
	i.End, i.Fragment = p.end, p.ip.fragment
	i.WindowShift, i.SeqBase, i.AckBase = p.tcpPast.scale, p.tcpPast.seqBase, p.tcpPast.ackBase
	if i.Application.From > 0 {
		i.Application.To = len(p.b) - p.origin
	}
}

// verdict is what is told of a checksum.
func (r checkResult) verdict() Verdict {
	if r.state == checkBad {
		return Verdict{"bad", r.want}
	}
	return Verdict{State: r.state.String()}
}
