package tap

import (
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
	// missing tells that n frames are missing behind the last.
	missing(dst []byte, n uint64) []byte
	// end ends what is written; seen counts all frames.
	end(dst []byte, seen uint64) []byte
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
	if r.lost > 0 {
		dst = packet.AppendNotShown(dst, r.lost)
	}
	frame := packet.Frame{
		Number: r.number, Time: r.time, Interface: e.config.Interface, Direction: r.direction,
		WireLen: r.wireLen, Data: data, RxErrors: r.rxErrors, Damage: r.damage, Checksum: r.checksum, Drop: r.drop,
		Link: r.link,
	}
	if r.link == packet.LinkVsock {
		frame.Interface = e.config.Sockets
	}
	return e.decoder.Append(dst, &frame, e.config.Mode)
}

func (e *textEncoder) missing(dst []byte, n uint64) []byte { return packet.AppendNotShown(dst, n) }

func (e *textEncoder) end(dst []byte, _ uint64) []byte { return dst }

// captureEncoder makes a pcapng capture of one interface. Why a frame was dropped is the comment on it, how many are
// missing before a frame an option of it, and the counts of the whole run come at the end.
type captureEncoder struct {
	config   *Config
	lost     uint64              // since the last frame
	total    uint64              // lost in all
	comments map[string][]string // by reason; there are few reasons
}

func (e *captureEncoder) begin(dst []byte) []byte {
	dst = pcapng.AppendSection(dst, &pcapng.Section{Hardware: "amd64", OS: "wick", Application: "wick"})
	dst = pcapng.AppendInterface(dst, &pcapng.Interface{
		Link: pcap.LinkEthernet, SnapLen: e.config.SnapLen, Name: e.config.Interface, Description: e.config.Description, OS: "wick",
	})
	// So that who reads the capture counts from the same time as the dump.
	return pcapng.AppendStatistics(dst, 0, &pcapng.Statistics{Time: e.config.Start, Start: e.config.Start})
}

func (e *captureEncoder) frame(dst []byte, r record, data []byte) []byte {
	e.lost += r.lost
	e.total += r.lost
	p := pcapng.Packet{Time: e.config.Start.Add(r.time), WireLen: r.wireLen, Data: data, Flags: flags(&r), Comments: e.comment(r.drop)}
	if e.lost > 0 {
		p.Lost = pcapng.Known(e.lost)
		e.lost = 0
	}
	return pcapng.AppendPacket(dst, 0, &p)
}

func (e *captureEncoder) missing(dst []byte, n uint64) []byte {
	e.lost += n
	e.total += n
	return dst
}

func (e *captureEncoder) end(dst []byte, seen uint64) []byte {
	s := pcapng.Statistics{
		Time: time.Now(), Start: e.config.Start, Received: pcapng.Known(seen), OSDropped: pcapng.Known(e.total),
	}
	s.Stop = s.Time
	if e.config.Missed != nil {
		s.Dropped = pcapng.Known(e.config.Missed())
	}
	return pcapng.AppendStatistics(dst, 0, &s)
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

// flags translates direction, what the card does with checksums, and receive errors [8254x 3.2.3.2].
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
