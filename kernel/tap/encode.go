package tap

import (
	"fmt"
	"time"

	"wick/packet"
	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// Format is what a Queue makes of frames.
type Format uint8

// Formats.
const (
	Text    Format = iota // lines of the packet dump
	Capture               // blocks of a pcapng capture, for Wireshark and wick dump
)

// encoder makes what is written of frames. The goroutine of a Queue calls it. Each call appends whole lines or blocks.
type encoder interface {
	// begin starts what is written.
	begin(dst []byte) []byte
	// frame appends a frame, and that r.lost frames are missing before it.
	frame(dst []byte, r record, data []byte) []byte
	// verdict tells that a frame from before has been dropped, and that r.lost frames are missing.
	verdict(dst []byte, r record) []byte
	// missing tells that frames are missing behind the last.
	missing(dst []byte, lost counts) []byte
	// end ends what is written; seen counts all frames, unsaid the verdicts that are missing.
	end(dst []byte, seen counts, unsaid uint64) []byte
}

func newEncoder(c *Config) encoder {
	if c.Format == Capture {
		return &captureEncoder{config: c}
	}
	return &textEncoder{config: c, decoder: packet.NewDecoder(connections)}
}

// textEncoder puts frames in words.
type textEncoder struct {
	config  *Config
	decoder *packet.Decoder
}

func (e *textEncoder) begin(dst []byte) []byte { return dst }

func (e *textEncoder) frame(dst []byte, r record, data []byte) []byte {
	dst = e.missing(dst, r.lost)
	frame := packet.Frame{
		Number: r.number, Time: r.time, Interface: e.config.Interface, Direction: r.direction,
		WireLen: r.wireLen, Data: data, RxErrors: r.rxErrors, Damage: r.damage, Checksum: r.checksum, Segmented: r.segmented,
		Drop: r.drop, Link: r.link,
	}
	if r.link == packet.LinkVsock {
		frame.Interface = e.config.Sockets
	}
	return e.decoder.Append(dst, &frame, e.config.Mode)
}

func (e *textEncoder) verdict(dst []byte, r record) []byte {
	return packet.AppendDropped(e.missing(dst, r.lost), r.number, r.drop)
}

func (e *textEncoder) missing(dst []byte, lost counts) []byte {
	if n := lost.sum(); n > 0 {
		dst = packet.AppendNotShown(dst, n)
	}
	return dst
}

func (e *textEncoder) end(dst []byte, _ counts, unsaid uint64) []byte {
	if unsaid > 0 {
		dst = packet.AppendDropsNotShown(dst, unsaid)
	}
	return dst
}

// captureEncoder makes a pcapng capture: of the card and of the vsock device, as far as they have names. Why a frame was dropped is the
// comment on it, or, if that turned out later, on the next one; how many are missing before a frame is an option of it, and the
// counts of the whole run come at the end.
type captureEncoder struct {
	config   *Config
	ids      [origins]int        // numbers of the interfaces
	there    []origin            // those that are there, by number
	lost     counts              // since the last frame of the interface
	total    counts              // lost in all
	comments map[string][]string // by reason; there are few reasons
	verdicts []string            // comments for the next frame
	monitor  []byte              // memory for a vsock packet with the header that captures have
}

func (e *captureEncoder) begin(dst []byte) []byte {
	dst = pcapng.AppendSection(dst, &pcapng.Section{Hardware: "amd64", OS: "wick", Application: "wick"})
	c := e.config
	for of, i := range [origins]pcapng.Interface{
		ofCard:    {Link: pcap.LinkEthernet, SnapLen: c.SnapLen, Name: c.Interface, Description: c.Description},
		ofSockets: {Link: pcap.LinkVsock, SnapLen: packet.VsockMonSize + c.SnapLen, Name: c.Sockets, Description: "virtio socket device"},
	} {
		if i.Name == "" {
			continue
		}
		i.OS = "wick"
		dst = pcapng.AppendInterface(dst, &i)
		e.ids[of] = len(e.there)
		e.there = append(e.there, origin(of))
	}
	// So that who reads the capture counts from the same time as the dump.
	for id := range e.there {
		dst = pcapng.AppendStatistics(dst, id, &pcapng.Statistics{Time: c.Start, Start: c.Start})
	}
	return dst
}

func (e *captureEncoder) frame(dst []byte, r record, data []byte) []byte {
	dst = e.missing(dst, r.lost)
	p := pcapng.Packet{
		Time: e.config.Start.Add(r.time), WireLen: r.wireLen, Data: data, Flags: flags(&r), Comments: e.comment(r.drop), ID: pcapng.Known(r.number),
	}
	if len(e.verdicts) > 0 {
		p.Comments = append(e.verdicts, p.Comments...)
		e.verdicts = nil
	}
	of := originOf(r.link)
	if of == ofSockets {
		e.monitor = append(packet.AppendVsockMon(e.monitor[:0], data), data...)
		p.Data, p.WireLen = e.monitor, packet.VsockMonSize+r.wireLen
	}
	if n := e.lost[of]; n > 0 {
		p.Lost = pcapng.Known(n)
		e.lost[of] = 0
	}
	return pcapng.AppendPacket(dst, e.ids[of], &p)
}

func (e *captureEncoder) verdict(dst []byte, r record) []byte {
	e.verdicts = append(e.verdicts, pcapng.LateDrop(r.number, r.drop))
	return e.missing(dst, r.lost)
}

func (e *captureEncoder) missing(dst []byte, lost counts) []byte {
	e.lost.add(lost)
	e.total.add(lost)
	return dst
}

func (e *captureEncoder) end(dst []byte, seen counts, unsaid uint64) []byte {
	now := time.Now()
	for id, of := range e.there {
		s := pcapng.Statistics{
			Time: now, Start: e.config.Start, Stop: now, Received: pcapng.Known(seen[of]), OSDropped: pcapng.Known(e.total[of]),
		}
		if of == ofCard && e.config.Missed != nil {
			s.Dropped = pcapng.Known(e.config.Missed())
		}
		if id == 0 {
			s.Comments = e.verdicts
			if unsaid > 0 {
				s.Comments = append(s.Comments, fmt.Sprintf("%d drops are not told of", unsaid))
			}
		}
		dst = pcapng.AppendStatistics(dst, id, &s)
	}
	return dst
}

// comment returns the comments on a frame that was dropped for a reason, nil if there was none.
func (e *captureEncoder) comment(reason string) []string {
	if reason == "" {
		return nil
	}
	c, ok := e.comments[reason]
	if !ok {
		if e.comments == nil {
			e.comments = map[string][]string{}
		}
		c = []string{pcapng.DropComment + reason}
		e.comments[reason] = c
	}
	return c
}

// flags translates direction, what the card does with checksums and segments, and receive errors [8254x 3.2.3.2].
func flags(r *record) pcapng.Flags {
	f := pcapng.FlagInbound
	if r.direction == packet.Transmit {
		f = pcapng.FlagOutbound
	}
	switch r.checksum {
	case packet.ChecksumOffload:
		f |= pcapng.FlagChecksumNotReady
	case packet.ChecksumVerified:
		f |= pcapng.FlagChecksumValid
	}
	if r.segmented {
		f |= pcapng.FlagSegmentation
	}
	const ce, se, seq, rxe = 1 << 0, 1 << 1, 1 << 2, 1 << 7
	for _, e := range [...]struct {
		bit  uint8
		flag pcapng.Flags
	}{{ce, pcapng.FlagErrorCRC}, {se, pcapng.FlagErrorSymbol}, {seq, pcapng.FlagErrorDelimiter}, {rxe, pcapng.FlagErrorTooShort}} {
		if r.rxErrors&e.bit != 0 {
			f |= e.flag
		}
	}
	return f
}
