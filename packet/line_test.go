package packet

import (
	"strings"
	"testing"
	"time"
)

// A line test gives a frame and what its line says behind the addresses of the link; what stands before is the same
// for all.
type lineTest struct {
	name  string
	frame []byte
	want  string
}

const lineHead = "#12 0.004218 e0 < "

// lineGroups are the tests of all protocols. The fuzz targets and the comparison with tshark take their frames from here.
func lineGroups() map[string][]lineTest {
	return map[string][]lineTest{
		"Ethernet":     ethernetLines(),
		"ARP":          arpLines(),
		"IPv4":         ipv4Lines(),
		"IPv4 options": ipv4OptionLines(),
		"fragments":    fragmentLines(),
		"IPv6":         ipv6Lines(),
		"UDP":          udpLines(),
		"TCP":          tcpLines(),
		"TCP options":  tcpOptionLines(),
		"ICMP":         icmpLines(),
		"ICMPv6":       icmpv6Lines(),
		"NDP":          ndpLines(),
		"DNS":          dnsLines(),
		"DHCP":         dhcpLines(),
		"HTTP":         httpLines(),
		"raw":          rawLines(),
		"cooked":       cookedLines(),
		"cooked 2":     cooked2Lines(),
		"vsock":        vsockLines(),
		"vsock mon":    vsockMonLines(),
		"vsock event":  vsockEventLines(),
	}
}

// linkOf returns the link of a group's frames.
func linkOf(group string) Link {
	switch group {
	case "raw":
		return LinkRaw
	case "cooked":
		return LinkCooked
	case "cooked 2":
		return LinkCooked2
	case "vsock":
		return LinkVsock
	case "vsock mon":
		return LinkVsockMon
	case "vsock event":
		return LinkVsockEvent
	}
	return LinkEthernet
}

func TestLines(t *testing.T) {
	for name, tests := range lineGroups() {
		t.Run(name, func(t *testing.T) { runLines(t, linkOf(name), tests) })
	}
}

// runLines prints each frame and compares.
func runLines(t *testing.T, link Link, tests []lineTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Frame{Number: 12, Time: 4218 * time.Microsecond, Interface: "e0", WireLen: len(tt.frame), Data: tt.frame, Link: link}
			checkLine(t, &f, tt.want)
		})
	}
}

// checkLine compares the line of f, without head, length and the link addresses of the builders.
func checkLine(t *testing.T, f *Frame, want string) {
	t.Helper()
	got := string(Append(nil, f, Line))
	rest, ok := strings.CutPrefix(got, lineHead)
	if !ok {
		t.Fatalf("line %q, want it to start with %q", got, lineHead)
	}
	_, rest, _ = strings.Cut(rest, " ") // the length
	rest = strings.TrimPrefix(rest, "52:55:0a:00:02:02>52:54:00:12:34:56 ")
	rest = strings.TrimSuffix(rest, "\n")
	if rest != want {
		t.Errorf("\n got %s\nwant %s", rest, want)
	}
}

// TestExamples has the lines of the design, whole.
func TestExamples(t *testing.T) {
	syn := ether(EtherTypeIPv4, ip4(header4{proto: ProtocolTCP, frag: 0x4000}, tcp4(segment{seq: 928549246, flags: TCPSYN, win: 65535,
		options: unhex("020405b4 0402080a 4ddc9216 00000000 01030307")})))
	arp := join(macAll, macGuest, be(EtherTypeARP, 2), arpMessage(1, macGuest, ip4Guest, make([]byte, 6), ip4Gateway))
	for _, tt := range []struct {
		frame Frame
		want  string
	}{
		{Frame{Number: 12, Time: 4218 * time.Microsecond, Interface: "e0", WireLen: len(syn), Data: syn},
			"#12 0.004218 e0 < 74 52:55:0a:00:02:02>52:54:00:12:34:56 IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 DF TCP [S] seq=928549246 win=65535 <mss 1460,sackOK,ts 1306300950/0,ws 7> len=0 ck=ok\n"},
		{Frame{Number: 13, Time: 4301 * time.Microsecond, Interface: "e0", Direction: Transmit, WireLen: len(arp), Data: arp},
			"#13 0.004301 e0 > 42 52:54:00:12:34:56>ff:ff:ff:ff:ff:ff ARP who-has 10.0.2.2 tell 10.0.2.15\n"},
	} {
		if got := string(Append(nil, &tt.frame, Line)); got != tt.want {
			t.Errorf("\n got %swant %s", got, tt.want)
		}
	}
	solicit := sum(join(unhex("87 00 0000 00000000"), ip6Guest, unhex("0101"), macGateway), 2, ProtocolICMPv6,
		ip6Gateway, unhex("ff02 0000 0000 0000 0000 0001 ff00 0015"))
	runLines(t, LinkEthernet, []lineTest{
		{"#14", join(macGuest, macGateway, be(EtherTypeVLAN, 2), vlanTag(3<<13|200, EtherTypeIPv4),
			ip4(header4{ttl: 255, id: 0x1c2e, frag: 1480 / 8, proto: ProtocolUDP}, fill(40))),
			"vlan 200/p3 IPv4 10.0.2.2>10.0.2.15 ttl=255 id=0x1c2e frag 1480+40 last UDP (not first fragment)"},
		{"#15", ether(EtherTypeIPv4, ip4(header4{ttl: 255, proto: ProtocolICMP}, icmp4(8, 0, be(7, 2), be(1, 2), fill(56)))),
			"IPv4 10.0.2.2>10.0.2.15 ttl=255 ICMP echo-request id=7 seq=1 len=56 ck=ok"},
		{"#16", ether(EtherTypeIPv6, ip6(header6{hop: 255, next: ProtocolICMPv6, dst: unhex("ff02 0000 0000 0000 0000 0001 ff00 0015")}, solicit)),
			"IPv6 fe80::2>ff02::1:ff00:15 hop=255 ICMPv6 neighbor-solicit target=fec0::15 <src-ll 52:55:0a:00:02:02> ck=ok"},
		{"#17", ether(EtherTypeIPv4, ip4(header4{src: []byte{10, 0, 2, 3}, proto: ProtocolUDP}, udpSegment(53, 10000, nil)[:4], be(72, 2), be(0, 2), make([]byte, 64))),
			"IPv4 10.0.2.3:53>10.0.2.15:10000 ttl=64 UDP len=64 ck=none DNS id=0x0000 query"},
		{"#20", over4(ProtocolTCP, tcp4(segment{doff: 3, flags: TCPACK})),
			"IPv4 10.0.2.2>10.0.2.15 ttl=64 TCP !data-offset 3<5 byte 46 sport=40112 dport=80 [.] seq=0 ack=0 win=0 ck=ok"},
	})
}

func TestHeadAndTail(t *testing.T) {
	frame := over4(ProtocolUDP, udp4(1, 2, fill(1000)))
	short := over4(ProtocolUDP, udp4(1, 2, fill(2)))
	udp := "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len="
	for _, tt := range []struct {
		name  string
		frame Frame
		want  string
	}{
		{"cut in the payload", Frame{WireLen: len(frame), Data: frame[:96]}, udp + "1000 ck=unchecked(truncated) captured=96/1042"},
		{"cut in a header", Frame{WireLen: len(frame), Data: frame[:36]}, "IPv4 10.0.2.2>10.0.2.15 ttl=64 UDP (captured 2<8 byte 34) captured=36/1042"},
		{"cut behind the ports", Frame{WireLen: len(frame), Data: frame[:38]}, "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP (captured 4<8 byte 34) captured=38/1042"},
		{"cut in the link header", Frame{WireLen: len(frame), Data: frame[:13]}, "Ethernet (captured 13<14 byte 0) captured=13/1042"},
		{"nothing captured", Frame{WireLen: len(frame)}, "Ethernet (captured 0<14 byte 0) captured=0/1042"},
		{"padding", Frame{WireLen: 60, Data: join(short, make([]byte, 16))}, udp + "2 ck=ok pad=16"},
		{"dirty padding", Frame{WireLen: 60, Data: join(short, fill(16))}, udp + "2 ck=ok pad=16"},
		{"clean padding of a longer frame", Frame{WireLen: 64, Data: join(short, make([]byte, 20))}, udp + "2 ck=ok pad=20"},
		{"trailer", Frame{WireLen: len(frame) + 4, Data: join(frame, fill(4))}, udp + "1000 ck=ok trailer=4"},
		{"receive errors", Frame{WireLen: len(short), Data: short, RxErrors: 0x97}, udp + "2 ck=ok !rx-error(CE,SE,SEQ,CXE,RXE)"},
		{"checksum errors", Frame{WireLen: len(short), Data: short, RxErrors: 0x68}, udp + "2 ck=ok !rx-error(reserved,TCPE,IPE)"},
		{"no EOP", Frame{WireLen: len(short), Data: short, Damage: DamageNoEOP}, udp + "2 ck=ok !no-end-of-packet"},
		{"short virtio header", Frame{WireLen: 0, Data: nil, Damage: DamageShortHeader}, "Ethernet !truncated 0<14 byte 0 !short-virtio-header"},
		{"dropped", Frame{WireLen: len(short), Data: short, Drop: "no receiver\n"}, udp + "2 ck=ok !dropped(no receiver\\n)"},
		{"wire length less than captured", Frame{WireLen: 40, Data: short}, udp + "2 ck=ok !wire-length 40<44"},
		{"comment", Frame{WireLen: len(short), Data: short, Comment: "say \"x\"\n"}, udp + `2 ck=ok comment="say \"x\"\n"`},
		{"long comment", Frame{WireLen: len(short), Data: short, Comment: strings.Repeat("x", 201)}, udp + "2 ck=ok comment=\"" + strings.Repeat("x", 200) + "...\""},
		{"offload", Frame{WireLen: len(short), Data: set(short, 40, 0, 1), Checksum: ChecksumOffload}, udp + "2 ck=offload"},
		{"segments left to the card", Frame{WireLen: len(short), Data: short, Checksum: ChecksumOffload, Segmented: true}, udp + "2 ck=offload seg=offload"},
		{"segments of which little was captured", Frame{WireLen: len(frame), Data: frame[:96], Checksum: ChecksumVerified, Segmented: true, Drop: "x"},
			udp + "1000 ck=hw-ok seg=offload captured=96/1042 !dropped(x)"},
		{"verified by the card", Frame{WireLen: len(short), Data: set(short, 40, 0, 1), Checksum: ChecksumVerified}, udp + "2 ck=hw-ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.frame.Number, tt.frame.Time, tt.frame.Interface = 12, 4218*time.Microsecond, "e0"
			checkLine(t, &tt.frame, tt.want)
		})
	}
}

func TestHead(t *testing.T) {
	for _, tt := range []struct {
		frame Frame
		want  string
	}{
		{Frame{}, "#0 0.000000 - < 0 Ethernet"},
		{Frame{Number: 1 << 63, Time: 100 * time.Hour, Direction: Transmit, Interface: "eth\n"}, `#9223372036854775808 360000.000000 eth\n > 0 Ethernet`},
		{Frame{Number: 1, Time: -1500 * time.Microsecond, Interface: "e0"}, "#1 -0.001500 e0 < 0 Ethernet"},
		{Frame{Number: 1, Direction: Unknown}, "#1 0.000000 - - 0 Ethernet"},
	} {
		if got := string(Append(nil, &tt.frame, Line)); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestNotShown(t *testing.T) {
	if got := string(AppendNotShown([]byte("x\n"), 1)); got != "x\n... 1 packet not shown\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendNotCaptured(nil, 2)); got != "... 2 packets not captured\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendNotShown(nil, 20)); got != "... 20 packets not shown\n" {
		t.Errorf("%q", got)
	}
}
