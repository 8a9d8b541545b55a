package dump

import "wick/packet"

// Escape sequences of terminals [ECMA-48 8.3.117].
const (
	colorOff     = "\x1b[m"
	colorDim     = "\x1b[2m"
	colorBold    = "\x1b[1m"
	colorCyan    = "\x1b[36m"
	colorMagenta = "\x1b[35m"
	colorRed     = "\x1b[1;31m"
)

// appendColored appends a packet's text with its marks in colours.
func appendColored(dst, text []byte, marks []packet.Mark) []byte {
	at := 0
	for _, m := range marks {
		dst = append(dst, text[at:m.From]...)
		dst = append(dst, colorOf(m.Kind)...)
		dst = append(dst, text[m.From:m.To]...)
		dst = append(dst, colorOff...)
		at = m.To
	}
	return append(dst, text[at:]...)
}

func colorOf(k packet.MarkKind) string {
	switch k {
	case packet.MarkHead, packet.MarkLink:
		return colorDim
	case packet.MarkDirection:
		return colorBold
	case packet.MarkAddress:
		return colorCyan
	case packet.MarkProtocol:
		return colorMagenta
	}
	return colorRed
}
