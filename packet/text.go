package packet

import (
	"encoding/binary"
	"strconv"
)

const hexDigits = "0123456789abcdef"

// be16 and be32 read big-endian numbers, the order of all Internet headers.
func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// appendHex appends 0x and n in at least the given number of hexadecimal digits.
func appendHex(b []byte, n uint64, digits int) []byte {
	b = append(b, '0', 'x')
	for n>>(4*digits) != 0 && digits < 16 {
		digits++
	}
	for i := digits - 1; i >= 0; i-- {
		b = append(b, hexDigits[n>>(4*i)&0xf])
	}
	return b
}

// appendMAC appends a as colon-separated bytes. It serves any length of address.
func appendMAC(b, a []byte) []byte {
	for i, c := range a {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&0xf])
	}
	return b
}

// appendIPv4 appends the 4 bytes of a in dotted form.
func appendIPv4(b, a []byte) []byte {
	for i := range 4 {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, uint64(a[i]), 10)
	}
	return b
}

// appendIPv6 appends the 16 bytes of a in the canonical form of [RFC 5952 4].
func appendIPv6(b, a []byte) []byte {
	if isMapped(a) {
		b = append(b, "::ffff:"...)
		return appendIPv4(b, a[12:])
	}
	from, to := longestZeros(a)
	for i := 0; i < 8; i++ {
		if i == from {
			b = append(b, ':', ':')
			i = to
			if i >= 8 {
				break
			}
		} else if i > 0 {
			b = append(b, ':')
		}
		b = strconv.AppendUint(b, uint64(be16(a[2*i:])), 16)
	}
	return b
}

// isMapped tells whether a is an IPv4-mapped address, ::ffff:0:0/96.
func isMapped(a []byte) bool {
	return binary.BigEndian.Uint64(a) == 0 && be32(a[8:]) == 0xffff
}

// longestZeros finds the longest run of at least two zero groups in a, the first of equals.
func longestZeros(a []byte) (from, to int) {
	from, to = -1, -1
	for i := 0; i < 8; {
		j := i
		for j < 8 && a[2*j] == 0 && a[2*j+1] == 0 {
			j++
		}
		if j-i > 1 && j-i > to-from {
			from, to = i, j
		}
		i = j + 1
	}
	return from, to
}

// appendEscaped appends s so that what comes out is printable ASCII: other bytes, and the quote and the backslash, are
// escaped. Of more than limit bytes the rest is left out and "..." says so.
func appendEscaped(b, s []byte, limit int) []byte {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	for _, c := range s {
		b = appendEscapedByte(b, c)
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}

func appendEscapedByte(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\n':
		return append(b, '\\', 'n')
	case c == '\r':
		return append(b, '\\', 'r')
	case c == '\t':
		return append(b, '\\', 't')
	case c < ' ' || c > '~':
		return append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
	}
	return append(b, c)
}

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

// appendTime appends a duration, given in nanoseconds, as seconds and microseconds.
func appendTime(b []byte, ns int64) []byte {
	u := uint64(ns)
	if ns < 0 {
		b = append(b, '-')
		u = -u
	}
	us := u / 1000
	b = strconv.AppendUint(b, us/1e6, 10)
	return appendFraction(append(b, '.'), uint32(us%1e6))
}

// appendFraction appends n < 1,000,000 in six digits.
func appendFraction(b []byte, n uint32) []byte {
	for div := uint32(100000); div > 0; div /= 10 {
		b = append(b, byte('0'+n/div%10))
	}
	return b
}
