package packet

import "bytes"

// maxStartLine bounds how much of a start line is printed, in bytes.
const maxStartLine = 200

// httpStart returns the start line of an HTTP/1 message at the start of b, or nil [RFC 9112 2.1], and whether it is
// whole: a line without an end may be the first part of a long one.
func httpStart(b []byte) (line []byte, whole bool) {
	if !isHTTP(b) {
		return nil, false
	}
	line, _, whole = bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if whole && !bytes.HasPrefix(line, []byte("HTTP/1.")) && !bytes.Contains(line, []byte(" HTTP/1.")) {
		return nil, false
	}
	return line, whole
}

// isHTTP tells whether b starts as a request or a response of HTTP/1 does.
func isHTTP(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	switch b[0] {
	case 'C':
		return string(b[:8]) == "CONNECT "
	case 'D':
		return string(b[:7]) == "DELETE "
	case 'G':
		return string(b[:4]) == "GET "
	case 'H':
		return string(b[:5]) == "HEAD " || string(b[:7]) == "HTTP/1."
	case 'O':
		return string(b[:8]) == "OPTIONS "
	case 'P':
		return string(b[:5]) == "POST " || string(b[:4]) == "PUT " || string(b[:6]) == "PATCH "
	case 'T':
		return string(b[:6]) == "TRACE "
	}
	return false
}

// http prints the start line of an HTTP/1 message in [off, end), if there is one.
func (p *printer) http(off, end int) bool {
	line, whole := httpStart(p.slice(off, end))
	if line == nil {
		return false
	}
	p.push(LayerHTTP, off, end)
	p.application("HTTP")
	p.startLine(line, whole)
	return true
}

// startLine prints a start line; dots stand for what is not there of it.
func (p *printer) startLine(line []byte, whole bool) {
	p.str(" \"")
	p.b = appendEscaped(p.b, line, maxStartLine)
	if !whole && len(line) <= maxStartLine {
		p.str("...")
	}
	p.char('"')
}

// httpDetail prints the start line and the length of all.
func (p *printer) httpDetail(b []byte, l Layer) {
	p.startLine(httpStart(b))
	p.field("len", l.End-l.Off)
}
