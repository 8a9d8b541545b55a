package dump

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"wick/packet"
)

// object writes a JSON object piece by piece. The names that it is used with are described in docs/packet-dump.md.
type object struct {
	b    []byte
	some bool // there is a member before
}

func (o *object) open(name string)       { o.name(name); o.b = append(o.b, '{'); o.some = false }
func (o *object) close()                 { o.b = append(o.b, '}'); o.some = true }
func (o *object) list(name string)       { o.name(name); o.b = append(o.b, '['); o.some = false }
func (o *object) endList()               { o.b = append(o.b, ']'); o.some = true }
func (o *object) element()               { o.comma(); o.b = append(o.b, '{'); o.some = false }
func (o *object) elementText(s string)   { o.comma(); o.b = appendString(o.b, s) }
func (o *object) elementNumber(n uint64) { o.comma(); o.b = strconv.AppendUint(o.b, n, 10) }

func (o *object) comma() {
	if o.some {
		o.b = append(o.b, ',')
	}
	o.some = true
}

func (o *object) name(name string) {
	o.comma()
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) number(name string, n uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, n, 10)
}

func (o *object) integer(name string, n int) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, int64(n), 10)
}

func (o *object) text(name, s string) {
	o.name(name)
	o.b = appendString(o.b, s)
}

// boolean writes a member if it is true.
func (o *object) boolean(name string, is bool) {
	if is {
		o.name(name)
		o.b = append(o.b, "true"...)
	}
}

// seconds writes a duration.
func (o *object) seconds(name string, d time.Duration) {
	o.name(name)
	n := uint64(d)
	if d < 0 {
		o.b = append(o.b, '-')
		n = -n // of the least duration there is no positive one
	}
	const second = uint64(time.Second)
	o.b = strconv.AppendUint(o.b, n/second, 10)
	o.b = append(o.b, '.')
	for unit := second / 10; unit > 0; unit /= 10 {
		o.b = append(o.b, byte('0'+n/unit%10))
	}
}

func (o *object) mac(name string, a []byte) {
	const digits = "0123456789abcdef"
	o.name(name)
	o.b = append(o.b, '"')
	for i, c := range a {
		if i > 0 {
			o.b = append(o.b, ':')
		}
		o.b = append(o.b, digits[c>>4], digits[c&0xf])
	}
	o.b = append(o.b, '"')
}

// address writes an address of 4 or 16 bytes.
func (o *object) address(name string, a []byte) {
	ip, ok := netip.AddrFromSlice(a)
	if !ok {
		o.mac(name, a)
		return
	}
	o.name(name)
	o.b = append(o.b, '"')
	o.b = ip.AppendTo(o.b)
	o.b = append(o.b, '"')
}

func (o *object) verdict(v packet.Verdict) {
	if v.State == "" {
		return
	}
	o.text("checksum", v.State)
	if v.State == "bad" {
		o.integer("checksum_want", int(v.Want))
	}
}

// appendString appends s as a JSON string [RFC 8259 7]; what isn't UTF-8 is replaced.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}
