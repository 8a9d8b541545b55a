package filter

import (
	"net/netip"
	"strings"
)

// tokenKind is what a token is.
type tokenKind uint8

const (
	tokenEnd  tokenKind = iota
	tokenWord           // a name, a number, or an address
	tokenSign           // an operator or a parenthesis
	tokenBad            // a character that has no business here
)

// token is a word or a sign of an expression.
type token struct {
	kind    tokenKind
	text    string
	at      int  // byte where it starts
	size    int  // in bytes
	escaped bool // a word behind a backslash, which is never a keyword
}

// is tells whether the token is a keyword or a sign.
func (t token) is(texts ...string) bool {
	if t.escaped || t.kind != tokenWord && t.kind != tokenSign {
		return false
	}
	for _, s := range texts {
		if t.text == s {
			return true
		}
	}
	return false
}

// lexer cuts an expression into tokens.
type lexer struct {
	text string
	pos  int
}

// signs, the longer ones first.
var signs = [...]string{"&&", "||", "!=", "==", "<=", ">=", "<<", ">>", "!", "=", "<", ">", "(", ")", "[", "]", "+", "-", "*", "/", "%", "&", "|", "^", ":"}

func (l *lexer) next() token {
	for l.pos < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.pos]) >= 0 {
		l.pos++
	}
	start := l.pos
	rest := l.text[start:]
	if rest == "" {
		return token{kind: tokenEnd, at: start}
	}
	escaped := rest[0] == '\\'
	if escaped {
		rest = rest[1:]
	}
	if n := wordLength(rest); n > 0 {
		l.pos = start + n
		if escaped {
			l.pos++
		}
		return token{kind: tokenWord, text: rest[:n], at: start, size: l.pos - start, escaped: escaped}
	}
	for _, s := range signs {
		if !escaped && strings.HasPrefix(rest, s) {
			l.pos += len(s)
			return token{kind: tokenSign, text: s, at: start, size: len(s)}
		}
	}
	size := 1
	for start+size < len(l.text) && l.text[start+size]&0xc0 == 0x80 { // the rest of a character
		size++
	}
	l.pos += size
	return token{kind: tokenBad, text: l.text[start:l.pos], at: start, size: size}
}

// wordLength returns how long the word at the start of s is. Colons belong to it in addresses only.
func wordLength(s string) int {
	if s != "" && s[0] == '-' {
		return 0
	}
	n := 0
	for n < len(s) && (isWord(s[n]) || s[n] == ':') {
		n++
	}
	if strings.IndexByte(s[:n], ':') >= 0 && isAddress(s[:n]) {
		return n
	}
	n = 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	for n > 0 && s[n-1] == '-' { // names don't end so, but a minus may follow one
		n--
	}
	return n
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.' || c == '-'
}

// isAddress tells whether s is an address with colons: of Ethernet or IPv6.
func isAddress(s string) bool {
	if _, ok := parseMAC(s); ok {
		return true
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// parseMAC reads six hexadecimal numbers with colons between them.
func parseMAC(s string) (mac [6]byte, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != len(mac) {
		return mac, false
	}
	for i, p := range parts {
		n, ok := parseDigits(p, 16, 0xff)
		if !ok || len(p) > 2 {
			return mac, false
		}
		mac[i] = byte(n)
	}
	return mac, true
}

// parseNumber reads a number as in C: decimal, octal or hexadecimal.
func parseNumber(s string) (uint32, bool) {
	switch {
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X"):
		return parseDigits(s[2:], 16, 1<<32-1)
	case len(s) > 1 && s[0] == '0':
		return parseDigits(s[1:], 8, 1<<32-1)
	}
	return parseDigits(s, 10, 1<<32-1)
}

// parseDigits reads digits and nothing else.
func parseDigits(s string, base, limit uint64) (uint32, bool) {
	n := uint64(0)
	for i := range len(s) {
		d := uint64(99)
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = uint64(c|0x20-'a') + 10
		}
		if n = n*base + d; d >= base || n > limit {
			return 0, false
		}
	}
	return uint32(n), s != ""
}
