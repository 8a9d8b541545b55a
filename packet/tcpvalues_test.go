package packet

import "testing"

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		options string
		want    TCPOptions
	}{
		{"", TCPOptions{MSS: -1, WindowScale: -1}},
		{"020405b4 0402 080a0000000100000002 01030307", TCPOptions{MSS: 1460, WindowScale: 7, SACKPermitted: true, Timestamps: true, TSVal: 1, TSEcr: 2}},
		{"0101 051200000001000000020000000300000004", TCPOptions{MSS: -1, WindowScale: -1, SACK: 2, Blocks: [4][2]uint32{{1, 2}, {3, 4}}}},
		{"0203b401 00000000", TCPOptions{MSS: -1, WindowScale: -1}},
		{"030207ff", TCPOptions{MSS: -1, WindowScale: -1}},
	} {
		h, f := ParseTCP(segment{options: unhex(tt.options)}.bytes(nil))
		if got := h.ParseOptions(); f.Bad() || got != tt.want {
			t.Errorf("%s: %+v %v", tt.options, got, f)
		}
	}
}

func TestParseFragment(t *testing.T) {
	b := unhex("11 00 05a9 00000009")
	if f, ok := ParseFragment(b, 44); !ok || f != (Fragment{9, 1448, true}) {
		t.Errorf("%+v %v", f, ok)
	}
	if _, ok := ParseFragment(b, 43); ok {
		t.Error("a routing header was taken for a fragment's")
	}
	if _, ok := ParseFragment(b[:7], 44); ok {
		t.Error("seven bytes were taken for eight")
	}
}

func TestIsEcho(t *testing.T) {
	for typ, want := range map[byte][2]bool{0: {true, false}, 8: {true, false}, 3: {}, 128: {false, true}, 129: {false, true}, 135: {}} {
		h := ICMP{typ, 7: 0}
		if got := [2]bool{h.IsEcho(false), h.IsEcho(true)}; got != want {
			t.Errorf("type %d: %v", typ, got)
		}
	}
}
