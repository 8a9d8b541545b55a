package hostlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// FormatError tells of bytes that are not what the format says.
type FormatError struct {
	Offset uint64 // bytes from the start of the channel to the field; NoOffset in a payload
	Field  string // what was looked at
	Got    uint64
	Want   string
}

// NoOffset is the Offset of errors in payloads.
const NoOffset = ^uint64(0)

func (e *FormatError) Error() string {
	at := ""
	if e.Offset != NoOffset {
		at = " at byte " + utoa(e.Offset)
	}
	return "hostlink: " + e.Field + at + ": got " + utoa(e.Got) + ", want " + e.Want
}

// ErrPayloadSize says that a frame that is not a piece of a stream exceeds MaxPayload.
var ErrPayloadSize = errors.New("hostlink: payload exceeds 65536 bytes")

// Writer writes frames. It is not safe for concurrent use.
type Writer struct {
	w   io.Writer
	buf []byte
}

// smallPayload is the size, in bytes, up to which header and payload go out in one Write.
const smallPayload = 4096

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteFrame writes payload as one frame, or as several if it is of a stream type and exceeds
// MaxPayload. Errors are those of the underlying Write, and ErrPayloadSize.
func (w *Writer) WriteFrame(t Type, payload []byte) error {
	for len(payload) > MaxPayload {
		if !t.Stream() {
			return ErrPayloadSize
		}
		if err := w.write(t, payload[:MaxPayload]); err != nil {
			return err
		}
		payload = payload[MaxPayload:]
	}
	return w.write(t, payload)
}

func (w *Writer) write(t Type, payload []byte) error {
	w.buf = AppendHeader(w.buf[:0], t, len(payload))
	if len(payload) <= smallPayload {
		w.buf = append(w.buf, payload...)
		payload = nil
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return err
	}
	if payload == nil {
		return nil
	}
	_, err := w.w.Write(payload)
	return err
}

// Frame is one frame.
type Frame struct {
	Type    Type
	Payload []byte // valid until the next call of Next
}

// Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	r       io.Reader
	buf     []byte
	start   int // buf[start:end] has been read from r, but not yet returned
	end     int
	offset  uint64 // of buf[start] in the channel
	skipped uint64
	lost    bool  // a FormatError has been returned and no frame since
	err     error // of r, kept until the bytes before it have been used
}

// readSize is how many bytes a Reader asks for at once, at least while no larger frame comes.
const readSize = 4096

// maxEmptyReads is how many Reads in a row may return nothing and no error.
const maxEmptyReads = 100

// NewReader returns a Reader from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Skipped returns how many bytes have been passed over in search of a header.
func (r *Reader) Skipped() uint64 { return r.skipped }

// Next returns the next frame.
//
// A *FormatError says that the channel is out of step: something was lost or somebody else writes
// to it. One may give up then, or call Next again: it passes over everything up to the next bytes
// that make a valid header. At the end of the channel the error is io.EOF between frames and io.ErrUnexpectedEOF
// within one.
func (r *Reader) Next() (Frame, error) {
	header, err := r.header()
	if err != nil {
		return Frame{}, err
	}
	n := int(binary.LittleEndian.Uint32(header[4:]))
	t := Type(header[2])
	if err := r.fill(HeaderSize + n); err != nil {
		return Frame{}, err
	}
	payload := r.buf[r.start+HeaderSize : r.start+HeaderSize+n]
	r.consume(HeaderSize + n)
	return Frame{Type: t, Payload: payload}, nil
}

// header returns the next valid header; the first invalid one of a row is an error.
func (r *Reader) header() ([]byte, error) {
	for {
		if err := r.fill(HeaderSize); err != nil {
			return nil, err
		}
		h := r.buf[r.start : r.start+HeaderSize]
		err := r.checkHeader(h)
		if err == nil {
			r.lost = false
			return h, nil
		}
		r.resync()
		if !r.lost {
			r.lost = true
			return nil, err
		}
	}
}

func (r *Reader) checkHeader(h []byte) error {
	bad := func(at int, field string, got uint64, want string) error {
		return &FormatError{Offset: r.offset + uint64(at), Field: field, Got: got, Want: want}
	}
	switch n := binary.LittleEndian.Uint32(h[4:]); {
	case h[0] != magic0:
		return bad(0, "first byte of a frame", uint64(h[0]), utoa(magic0))
	case h[1] != magic1:
		return bad(1, "second byte of a frame", uint64(h[1]), utoa(magic1))
	case h[2] == 0 || Type(h[2]) > lastType:
		return bad(2, "frame type", uint64(h[2]), "1 to "+utoa(uint64(lastType)))
	case h[3] != 0:
		return bad(3, "reserved byte", uint64(h[3]), "0")
	case n > MaxPayload:
		return bad(4, "payload length", uint64(n), "at most "+utoa(MaxPayload))
	}
	return nil
}

// resync passes over what is buffered until a byte that may begin a header; at least one byte.
func (r *Reader) resync() {
	n := 1
	if i := bytes.IndexByte(r.buf[r.start+1:r.end], magic0); i >= 0 {
		n += i
	} else {
		n = r.end - r.start
	}
	r.skipped += uint64(n)
	r.consume(n)
}

func (r *Reader) consume(n int) {
	r.start += n
	r.offset += uint64(n)
}

// fill reads until n bytes are buffered. n is at most HeaderSize + MaxPayload.
func (r *Reader) fill(n int) error {
	for empty := 0; r.end-r.start < n; {
		if r.err != nil {
			return r.ended()
		}
		r.makeRoom(n)
		got, err := r.r.Read(r.buf[r.end:])
		r.end += got
		r.err = err
		if got > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads && err == nil {
			return io.ErrNoProgress
		}
	}
	return nil
}

// ended turns the error of the channel into the error of Next.
func (r *Reader) ended() error {
	if r.err == io.EOF && r.end > r.start {
		return io.ErrUnexpectedEOF
	}
	return r.err
}

// makeRoom makes room for n bytes from start on, and for at least one more byte than there are.
func (r *Reader) makeRoom(n int) {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.start+n <= len(r.buf) {
		return
	}
	if n <= len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
		return
	}
	grown := make([]byte, max(n, readSize))
	r.end = copy(grown, r.buf[r.start:r.end])
	r.start = 0
	r.buf = grown
}
