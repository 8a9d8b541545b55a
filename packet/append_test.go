package packet

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// checkText reports text that could harm a terminal, or that isn't made of whole lines.
func checkText(t *testing.T, f *Frame) {
	t.Helper()
	line := Append(nil, f, Line)
	if n := len(line); n > MaxLine || n == 0 || line[n-1] != '\n' || strings.Count(string(line), "\n") != 1 {
		t.Errorf("%d bytes, not one line: %q", n, line)
	}
	full := Append(nil, f, Full)
	if !strings.HasPrefix(string(full), string(line)) {
		t.Errorf("the detailed form starts with %.200q, want %q", full, line)
	}
	if full[len(full)-1] != '\n' || len(full) > 6*MaxLine+6*len(f.Data) {
		t.Errorf("detailed form of %d bytes: %.200q", len(full), full)
	}
	for _, c := range full {
		if c != '\n' && (c < ' ' || c > '~') {
			t.Fatalf("byte %#x in %q", c, full)
		}
	}
}

func TestTextIsPlain(t *testing.T) {
	for name, tests := range lineGroups() {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				checkText(t, &Frame{WireLen: len(tt.frame), Data: tt.frame, Link: linkOf(name)})
			})
		}
	}
}

// TestEveryCut captures each frame up to every length: what the capture lacks is never called an anomaly of the packet
// that the whole frame doesn't show.
func TestEveryCut(t *testing.T) {
	for name, tests := range lineGroups() {
		for _, tt := range tests {
			if strings.Contains(tt.want, "!") || len(tt.frame) > 2000 {
				continue
			}
			for n := range tt.frame {
				f := Frame{WireLen: len(tt.frame), Data: tt.frame[:n], Link: linkOf(name)}
				checkText(t, &f)
				if line := string(Append(nil, &f, Line)); strings.Contains(line, "!") {
					t.Errorf("%s/%s cut to %d: %s", name, tt.name, n, line)
				}
			}
		}
	}
}

// TestEveryShortFrame ends each frame at every length, as a broken sender or wire would.
func TestEveryShortFrame(t *testing.T) {
	for name, tests := range lineGroups() {
		for _, tt := range tests {
			for n := range min(len(tt.frame), 200) {
				checkText(t, &Frame{WireLen: n, Data: tt.frame[:n:n], Link: linkOf(name)})
			}
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 1<<20)
	for name, tests := range lineGroups() {
		for _, tt := range tests {
			f := Frame{Interface: "e0", WireLen: len(tt.frame), Data: tt.frame, Link: linkOf(name), RxErrors: 0xff, Drop: "x"}
			for _, mode := range []Mode{Line, Full} {
				if n := testing.AllocsPerRun(5, func() { Append(dst, &f, mode) }); n != 0 {
					t.Errorf("%s/%s mode %d: %v allocations", name, tt.name, mode, n)
				}
			}
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	if got := Append([]byte("before\n"), &Frame{}, Line); !strings.HasPrefix(string(got), "before\n#0 ") {
		t.Errorf("%q", got)
	}
}

func TestSum(t *testing.T) {
	naive := func(b []byte, sum uint16) uint16 {
		s := uint32(sum)
		for i := 0; i < len(b); i += 2 {
			w := uint32(b[i]) << 8
			if i+1 < len(b) {
				w |= uint32(b[i+1])
			}
			s += w
			s = s&0xffff + s>>16
		}
		return uint16(s)
	}
	ones := make([]byte, 1500)
	for i := range ones {
		ones[i] = 0xff
	}
	for _, b := range [][]byte{fill(1500), ones} {
		for n := range len(b) + 1 {
			for _, start := range []uint16{0, 1, 0xffff} {
				if got, want := Sum(b[:n], start), naive(b[:n], start); got != want {
					t.Fatalf("Sum of %d bytes from %#x: %#x, want %#x", n, start, got, want)
				}
			}
		}
	}
}

func TestAppendIPv6(t *testing.T) {
	for _, s := range []string{"::", "::1", "1::", "fe80::2", "1:0:0:2::3", "1:0:0:2:0:0:0:3", "0:1:2:3:4:5:6:7", "1:0:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:0", "::ffff:1.2.3.4", "::fffe:102:304", "ff02::1:ff00:15", "1:2:3:4:5:6::", "2001:db8::1:0:0:1"} {
		a := netip.MustParseAddr(s).As16()
		if got, want := string(appendIPv6(nil, a[:])), netip.AddrFrom16(a).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for i := range 1 << 8 { // every pattern of zero groups
		var a [16]byte
		for g := range 8 {
			binary.BigEndian.PutUint16(a[2*g:], uint16(i>>g&1)*0x1f)
		}
		if got, want := string(appendIPv6(nil, a[:])), netip.AddrFrom16(a).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestFaultError(t *testing.T) {
	if _, f := ParseIPv4([]byte{0x43, 19: 0}); !f.Bad() || f.Error() != "ihl 3<5 byte 0" {
		t.Errorf("%+v", f)
	}
	if _, f := ParseUDP(fill(8)); f.Bad() {
		t.Error(f)
	}
}

// benchFrame is a full segment with timestamps.
func benchFrame() Frame {
	b := over4(ProtocolTCP, tcp4(segment{flags: TCPACK | TCPPSH, seq: 1, ack: 2, win: 502, options: unhex("0101080a 00000001 ffffffff")}, fill(1448)))
	return Frame{Number: 12345, Time: 4218 * time.Microsecond, Interface: "e0", WireLen: len(b), Data: b}
}

func BenchmarkLine(b *testing.B) { benchmarkAppend(b, Line) }
func BenchmarkFull(b *testing.B) { benchmarkAppend(b, Full) }

func benchmarkAppend(b *testing.B, mode Mode) {
	f := benchFrame()
	dst := make([]byte, 0, 64<<10)
	b.SetBytes(int64(len(f.Data)))
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], &f, mode)
	}
}

// TestLongestLine tries frames made to be talkative.
func TestLongestLine(t *testing.T) {
	routing := func(next int) []byte {
		return join([]byte{byte(next), 16, 0, 255, 0, 0, 0, 0}, ip6Guest, ip6Guest, ip6Guest, ip6Guest, ip6Guest, ip6Guest, ip6Guest, unhex("11112222333344445555666677778888"))
	}
	opts := func(next int) []byte { return join([]byte{byte(next), 31}, fill(254)) }
	chain := func(ext func(int) []byte, next, last int) []byte {
		b := []byte{}
		for range 7 {
			b = append(b, ext(next)...)
		}
		return append(b, ext(last)...)
	}
	src := unhex("11112222333344445555666677778888")
	syn := segment{flags: 0xfff, options: unhex("02010302040305030802080308040805080613022203fe02fd020e021e0245024d024d02")}
	for name, b := range map[string][]byte{
		"routing":     chain(routing, 43, 41),
		"options":     chain(opts, 60, 41),
		"NDP options": nil,
	} {
		inner := ip6(header6{next: ProtocolTCP, src: src, dst: src}, tcp6(syn, fill(100)))
		for range 3 {
			next := 43
			if name == "options" {
				next = 60
			}
			inner = ip6(header6{next: next, src: src, dst: src}, b, inner)
		}
		frame := ether(EtherTypeIPv6, inner)
		if name == "NDP options" {
			frame = ndp6(icmp6(134, 0, make([]byte, 12), make([]byte, 0), []byte(strings.Repeat("\x03\x01\xff\xff\xff\xff\xff\xff", 180))))
		}
		checkText(t, &Frame{WireLen: len(frame), Data: frame})
		t.Logf("%s: %d bytes", name, len(Append(nil, &Frame{WireLen: len(frame), Data: frame}, Line)))
	}
}
