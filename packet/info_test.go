package packet

import (
	"slices"
	"strings"
	"testing"
)

// describe describes a frame of the line tests.
func describe(link Link, b []byte, mode Mode) (string, *Info) {
	info := &Info{Marks: []Mark{{MarkAnomaly, Span{1, 2}}}, Application: Span{1, 2}, Fragment: true}
	f := Frame{Number: 12, Interface: "e0", WireLen: len(b), Data: b, Link: link}
	return string(NewDecoder(4).Describe([]byte("before\n"), &f, mode, info)), info
}

// TestDescribe checks for every frame that the marks are in order and in place, and that every anomaly has one.
func TestDescribe(t *testing.T) {
	for name, tests := range lineGroups() {
		for _, tt := range tests {
			text, info := describe(linkOf(name), tt.frame, Full)
			text = strings.TrimPrefix(text, "before\n")
			if text[info.Line] != '\n' || strings.Contains(text[:info.Line], "\n") {
				t.Fatalf("%s/%s: line of %d bytes in %q", name, tt.name, info.Line, text)
			}
			at, rest := 0, ""
			for _, m := range info.Marks {
				if m.From < at || m.To <= m.From || m.To > len(text) {
					t.Fatalf("%s/%s: %+v behind %d in %q", name, tt.name, m, at, text)
				}
				rest += text[at:m.From]
				if what := text[m.From:m.To]; m.Kind == MarkAnomaly && !strings.HasPrefix(what, "!") && !strings.Contains(what, "=!bad(want ") {
					t.Errorf("%s/%s: %q is no anomaly", name, tt.name, what)
				}
				at = m.To
			}
			rest += text[at:]
			lines, _, _ := strings.Cut(rest, "\n  0x0000 ") // the hex dump may have any character
			if strings.Contains(lines, " !") || strings.Contains(lines, "=!") {
				if !strings.Contains(tt.want, "\"") {
					t.Errorf("%s/%s: an anomaly without mark in %q", name, tt.name, lines)
				}
			}
			for _, l := range info.Layers {
				if l.Off > l.End || l.End > max(info.End, len(tt.frame)) {
					t.Errorf("%s/%s: %+v", name, tt.name, l)
				}
			}
		}
	}
}

func TestDescribeSays(t *testing.T) {
	request := over4(ProtocolTCP, tcp4(segment{flags: TCPACK}, []byte("GET / HTTP/1.1\r\n")))
	text, info := describe(LinkEthernet, request, Line)
	text = strings.TrimPrefix(text, "before\n")
	if got := text[info.Application.From:info.Application.To]; got != `HTTP "GET / HTTP/1.1"` {
		t.Errorf("application %q", got)
	}
	var kinds []string
	for _, l := range info.Layers {
		kinds = append(kinds, l.Kind.String())
	}
	if want := []string{"Ethernet", "IPv4", "TCP", "HTTP"}; !slices.Equal(kinds, want) {
		t.Errorf("layers %q", kinds)
	}
	if info.Check != (Verdict{State: "ok"}) || info.HeaderCheck != (Verdict{State: "ok"}) || info.End != len(request) || info.Fragment {
		t.Errorf("%+v", info)
	}
	var marked []string
	for _, m := range info.Marks {
		marked = append(marked, text[m.From:m.To])
	}
	if want := []string{"#12 0.000000 e0", "<", "52:55:0a:00:02:02>52:54:00:12:34:56", "IPv4", "10.0.2.2:40112>10.0.2.15:80", "TCP", "HTTP"}; !slices.Equal(marked, want) {
		t.Errorf("marks %q", marked)
	}
	_, info = describe(LinkEthernet, set(request, 51, 1), Line)
	if info.Check.State != "bad" || info.Check.Want == 0 {
		t.Errorf("%+v", info.Check)
	}
	_, info = describe(LinkEthernet, over4(ProtocolICMP), Line)
	if info.Check != (Verdict{}) || info.Application != (Span{}) {
		t.Errorf("%+v", info)
	}
	_, info = describe(LinkEthernet, ether(EtherTypeIPv4, ip4(header4{proto: ProtocolUDP, frag: 0x2000}, fill(24))), Line)
	if !info.Fragment {
		t.Errorf("%+v", info)
	}
}

func TestDescribeDoesNotAllocate(t *testing.T) {
	b := over4(ProtocolTCP, tcp4(segment{flags: TCPACK}, []byte("GET / HTTP/1.1\r\n")))
	d, f, info, dst := NewDecoder(4), Frame{WireLen: len(b), Data: b}, new(Info), make([]byte, 0, 4096)
	d.Describe(dst, &f, Full, info)
	if n := testing.AllocsPerRun(10, func() { d.Describe(dst, &f, Full, info) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHexMode(t *testing.T) {
	b := over4(ProtocolICMP)
	f := Frame{WireLen: len(b), Data: b}
	line, full := string(Append(nil, &f, Line)), string(Append(nil, &f, Full))
	if got, want := string(Append(nil, &f, Hex)), line+full[strings.Index(full, "  0x0000 "):]; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
