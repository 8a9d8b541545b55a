package packet

import "strconv"

// Fault is one thing that is wrong in a packet. The zero Fault is none. It is an error, and a plain value: the data
// path compares and prints it without allocating.
type Fault struct {
	Name      string // what is wrong, in the words of the dump
	Relation  byte   // how Got stands to Want: '<', '>', '=' (should have been equal), '!' (only Got matters), 0 (no numbers)
	Got, Want int
	Hex       bool // numbers are printed in hexadecimal
	Offset    int  // byte where it is: from the start of the header in what Parse functions return
}

// Bad tells whether there is a fault.
func (f Fault) Bad() bool { return f.Name != "" }

// Error describes the fault as the dump does, without the mark.
func (f Fault) Error() string { return string(f.append(nil)) }

const truncated = "truncated"

// short is the fault of a header that has less than the wanted bytes.
func short(got, want int) Fault {
	return Fault{Name: truncated, Relation: '<', Got: got, Want: want}
}

// append appends the fault's description: name, got, want, byte offset.
func (f Fault) append(b []byte) []byte {
	b = append(b, f.Name...)
	if f.Relation != 0 {
		b = f.number(append(b, ' '), f.Got)
	}
	switch f.Relation {
	case '<', '>':
		b = f.number(append(b, f.Relation), f.Want)
	case '=':
		b = f.number(append(b, " want "...), f.Want)
	}
	b = append(b, " byte "...)
	return strconv.AppendInt(b, int64(f.Offset), 10)
}

func (f Fault) number(b []byte, n int) []byte {
	if f.Hex {
		return appendHex(b, uint64(n), 2)
	}
	return strconv.AppendInt(b, int64(n), 10)
}
