package dump

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wick/packet/packettest"
	"wick/packet/pcap"
	"wick/packet/tsharkcheck"
)

const ms = time.Millisecond

// established starts a connection whose client is 1 ms away and whose server is 9 ms away.
func established(t testing.TB) *packettest.TCP { return establishedFrom(t, 40112) }

func establishedFrom(t testing.TB, port uint16) *packettest.TCP {
	return packettest.NewTCP(t, port).Client("S", 999, 0, 1000, 0).After(9*ms).Server("S.", 4999, 1000, 2000, 0).After(ms).Client(".", 1000, 5000, 1000, 0)
}

// side is what the statistics say of one direction.
type side struct {
	Packets, Bytes, Payload, Retransmitted uint64
	OutOfOrder                             uint64  `json:"out_of_order"`
	DuplicateAcks                          uint64  `json:"duplicate_acks"`
	ZeroWindows                            uint64  `json:"zero_windows"`
	RTTMin                                 float64 `json:"rtt_min"`
	RTTMax                                 float64 `json:"rtt_max"`
	Samples                                int     `json:"rtt_samples"`
	Address                                string
	Port                                   int
}

// record is one object of the statistics.
type record struct {
	Record, Protocol, Reason, Interface string
	Packets, Bytes                      uint64
	First, Last                         uint64
	RTT                                 float64
	OneSide                             bool `json:"rtt_of_one_side"`
	A, B                                side
	Conversations                       int
	Anomalies                           uint64
	BadChecksums                        uint64 `json:"bad_checksums"`
}

// records returns the statistics of a capture.
func records(t testing.TB, capture []byte) (all []record) {
	t.Helper()
	out, err := run(capture, Options{Stats: true, JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// scenario is a connection and what is to be found in it: retransmissions, out of order, duplicate ACKs and zero windows,
// of the client and of the server.
type scenario struct {
	name    string
	capture *packettest.TCP
	a, b    [4]uint64
}

func scenarios(t testing.TB) []scenario {
	port := uint16(40000)
	fresh := func() *packettest.TCP {
		port++
		return packettest.NewTCP(t, port)
	}
	data := func() *packettest.TCP {
		port++
		return establishedFrom(t, port).Client("P.", 1000, 5000, 1000, 100).After(9*ms).Server(".", 5000, 1100, 2000, 0).After(ms)
	}
	return []scenario{
		{"nothing special", data().Client("F.", 1100, 5000, 1000, 0).After(9*ms).Server("F.", 5000, 1101, 2000, 0).After(ms).Client(".", 1101, 5001, 1000, 0), [4]uint64{}, [4]uint64{}},
		{"retransmission", data().Client(".", 1100, 5000, 1000, 100).After(300*ms).Client(".", 1100, 5000, 1000, 100).After(9*ms).Server(".", 5000, 1200, 2000, 0), [4]uint64{1, 0, 0, 0}, [4]uint64{}},
		{"retransmission of what was acknowledged", data().After(300*ms).Client(".", 1000, 5000, 1000, 100), [4]uint64{1, 0, 0, 0}, [4]uint64{}},
		{"SYN again", fresh().Client("S", 999, 0, 1000, 0).After(1000*ms).Client("S", 999, 0, 1000, 0).After(9*ms).Server("S.", 4999, 1000, 2000, 0), [4]uint64{1, 0, 0, 0}, [4]uint64{}},
		{"FIN again", data().Client("F.", 1100, 5000, 1000, 0).After(300*ms).Client("F.", 1100, 5000, 1000, 0), [4]uint64{1, 0, 0, 0}, [4]uint64{}},
		{"out of order", data().Client(".", 1200, 5000, 1000, 100).After(ms).Client(".", 1100, 5000, 1000, 100).After(8*ms).Server(".", 5000, 1300, 2000, 0), [4]uint64{0, 1, 0, 0}, [4]uint64{}},
		{"lost before the capture", data().Client(".", 1200, 5000, 1000, 100).After(300*ms).Client(".", 1100, 5000, 1000, 100).After(9*ms).Server(".", 5000, 1300, 2000, 0), [4]uint64{1, 0, 0, 0}, [4]uint64{}},
		{"fast retransmission", data().Client(".", 1200, 5000, 1000, 100).Client(".", 1300, 5000, 1000, 100).Client(".", 1400, 5000, 1000, 100).After(ms).
			Server(".", 5000, 1100, 2000, 0).Server(".", 5000, 1100, 2000, 0).Server(".", 5000, 1100, 2000, 0).After(ms).
			Client(".", 1100, 5000, 1000, 100).After(ms).Server(".", 5000, 1500, 2000, 0), [4]uint64{1, 0, 0, 0}, [4]uint64{0, 0, 3, 0}},
		{"window update", data().Client(".", 1100, 5000, 1000, 100).After(ms).Server(".", 5000, 1100, 2500, 0), [4]uint64{}, [4]uint64{}},
		{"zero window", data().Client(".", 1100, 5000, 1000, 100).After(9*ms).Server(".", 5000, 1200, 0, 0).After(50*ms).Server(".", 5000, 1200, 2000, 0), [4]uint64{}, [4]uint64{0, 0, 0, 1}},
		{"keep-alive", data().After(5000*ms).Client(".", 1099, 5000, 1000, 0).After(9*ms).Server(".", 5000, 1100, 2000, 0).After(5000*ms).Client(".", 1099, 5000, 1000, 1).After(9*ms).Server(".", 5000, 1100, 2000, 0), [4]uint64{}, [4]uint64{}},
		{"reset", data().Client("R.", 1100, 5000, 0, 0), [4]uint64{}, [4]uint64{}},
		{"both ways", data().Server(".", 5000, 1100, 2000, 200).After(ms).Client(".", 1100, 5200, 1000, 0).After(300*ms).Server(".", 5000, 1100, 2000, 200), [4]uint64{}, [4]uint64{1, 0, 0, 0}},
		{"sequence numbers wrap", fresh().Client(".", 0xffffffc0, 5000, 1000, 100).After(9*ms).Server(".", 5000, 36, 2000, 0).After(ms).Client(".", 36, 5000, 1000, 100).
			After(300*ms).Client(".", 0xffffffc0, 5000, 1000, 100), [4]uint64{1, 0, 0, 0}, [4]uint64{}},
	}
}

func TestTCPStatistics(t *testing.T) {
	for i, tt := range scenarios(t) {
		all := records(t, tt.capture.Capture())
		if len(all) != 2 || all[1].Record != "conversation" {
			t.Errorf("%s: %+v", tt.name, all)
			continue
		}
		c := all[1]
		if got := [4]uint64{c.A.Retransmitted, c.A.OutOfOrder, c.A.DuplicateAcks, c.A.ZeroWindows}; got != tt.a {
			t.Errorf("%s: client %v, want %v", tt.name, got, tt.a)
		}
		if got := [4]uint64{c.B.Retransmitted, c.B.OutOfOrder, c.B.DuplicateAcks, c.B.ZeroWindows}; got != tt.b {
			t.Errorf("%s: server %v, want %v", tt.name, got, tt.b)
		}
		if n := c.A.Packets + c.B.Packets; n != uint64(tt.capture.Packets) || all[0].Packets != n || all[0].Conversations != 1 {
			t.Errorf("%s: %d packets of %d", tt.name, n, tt.capture.Packets)
		}
		if c.A.Address != "10.0.2.15" || c.A.Port != 40001+i || c.B.Address != "10.0.2.2" || c.B.Port != 80 || c.Protocol != "TCP" {
			t.Errorf("%s: %+v", tt.name, c)
		}
	}
}

// TestStatisticsAgreeWithTshark compares with Wireshark's analysis, which tells retransmissions of what was acknowledged from
// others.
func TestStatisticsAgreeWithTshark(t *testing.T) {
	tsharkcheck.Need(t)
	var file []byte
	for _, tt := range scenarios(t) {
		capture := tt.capture.Capture()
		if file != nil {
			capture = capture[24:] // without the header
		}
		file = append(file, capture...)
	}
	path := filepath.Join(t.TempDir(), "scenarios.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.analysis.retransmission",
		"-e", "tcp.analysis.spurious_retransmission", "-e", "tcp.analysis.out_of_order", "-e", "tcp.analysis.duplicate_ack", "-e", "tcp.analysis.zero_window").Output()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]*[4]uint64{} // by both ports
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if counts[f[0]+">"+f[1]] == nil {
			counts[f[0]+">"+f[1]] = &[4]uint64{}
		}
		c := counts[f[0]+">"+f[1]]
		if f[2] != "" || f[3] != "" {
			c[0]++
		}
		for i := range 3 {
			if f[4+i] != "" {
				c[1+i]++
			}
		}
	}
	for i, tt := range scenarios(t) {
		a, b := counts[fmt.Sprintf("%d>80", 40001+i)], counts[fmt.Sprintf("80>%d", 40001+i)]
		if a == nil || *a != tt.a || b != nil && *b != tt.b {
			t.Errorf("%s: tshark says %v and %v, want %v and %v", tt.name, a, b, tt.a, tt.b)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	near := func(got, want float64) bool { return got > want-1e-9 && got < want+1e-9 }
	c := records(t, established(t).Client("P.", 1000, 5000, 1000, 100).After(20*ms).Server(".", 5000, 1100, 2000, 0).Capture())[1]
	if !near(c.RTT, 0.010) || c.OneSide || !near(c.A.RTTMin, 0.009) || !near(c.A.RTTMax, 0.020) || c.A.Samples != 2 || !near(c.B.RTTMin, 0.001) || c.B.Samples != 1 {
		t.Errorf("%+v", c)
	}
	c = records(t, packettest.NewTCP(t, 40112).Client("S", 999, 0, 1000, 0).After(9*ms).Server("S.", 4999, 1000, 2000, 0).Capture())[1]
	if !near(c.RTT, 0.009) || !c.OneSide {
		t.Errorf("one side: %+v", c)
	}
	// Karn: a segment that was sent twice tells nothing.
	c = records(t, packettest.NewTCP(t, 40112).Client("S", 999, 0, 1000, 0).After(1000*ms).Client("S", 999, 0, 1000, 0).After(9*ms).Server("S.", 4999, 1000, 2000, 0).Capture())[1]
	if c.A.Samples != 0 || c.RTT != 0 {
		t.Errorf("sent twice: %+v", c)
	}
}

// TestNewConnection: the same ports again are another connection, but the same SYN again isn't.
func TestNewConnection(t *testing.T) {
	c := established(t).Client("R", 1000, 0, 0, 0).After(ms).Client("S", 77, 0, 1000, 0).After(ms).Client("S", 77, 0, 1000, 0).After(ms).Server("S.", 99, 78, 1000, 0)
	all := records(t, c.Capture())
	if len(all) != 3 || all[0].Conversations != 2 || all[1].A.Packets+all[1].B.Packets != 4 || all[2].A.Packets+all[2].B.Packets != 3 {
		t.Errorf("%+v", all)
	}
}

// TestServerFirst: if a capture begins with the answer, it is nevertheless the server who answers.
func TestServerFirst(t *testing.T) {
	all := records(t, packettest.NewTCP(t, 40112).Server("S.", 99, 78, 1000, 0).After(ms).Client(".", 78, 100, 1000, 0).Capture())
	if c := all[1]; c.A.Port != 40112 || c.B.Port != 80 {
		t.Errorf("%+v", c)
	}
}

func TestConversations(t *testing.T) {
	var frames [][]byte
	for _, f := range packettest.Generated(t) {
		frames = append(frames, f.Data)
	}
	all := records(t, classic(t, pcap.LinkEthernet, frames...))
	found := map[string]int{}
	packets := uint64(0)
	for _, r := range all[1:] {
		found[r.Protocol]++
		packets += r.A.Packets + r.B.Packets
	}
	if packets != uint64(len(frames)) || all[0].Packets != packets {
		t.Errorf("%d packets of %d in conversations", packets, len(frames))
	}
	for _, p := range []string{"TCP", "UDP", "ICMP", "ICMPv6", "ARP", "802.3", "LLDP", "UDP fragments", "GRE", "SCTP", "proto=200", "Ethernet"} {
		if found[p] == 0 {
			t.Errorf("no conversation of %s in %v", p, found)
		}
	}
}

func TestStatisticsText(t *testing.T) {
	c := established(t).Client("P.", 1000, 5000, 1000, 100).After(20*ms).Server(".", 5000, 1100, 2000, 0)
	mustRun(t, c.Capture(), Options{Stats: true},
		"total packets=5 bytes=394 conversations=1 time=0.030000 anomalies=0 bad-checksums=0",
		"conversation TCP 10.0.2.15:40112>10.0.2.2:80 first=#1 last=#5 start=0.000000 time=0.030000 rtt=10.000ms",
		"  > packets=3 bytes=274 payload=100 retransmitted=0 out-of-order=0 duplicate-acks=0 zero-windows=0 rtt=9.000/14.500/20.000ms samples=2",
		"  < packets=2 bytes=120 payload=0 retransmitted=0 out-of-order=0 duplicate-acks=0 zero-windows=0 rtt=1.000/1.000/1.000ms samples=1")
	mustRun(t, mixed(t), Options{Stats: true},
		"total packets=4 bytes=260 conversations=2 time=3.000000 anomalies=2 bad-checksums=0",
		"conversation UDP 10.0.2.15:40000>10.0.2.2:9 first=#1 last=#4 start=0.000000 time=3.000000",
		"  > packets=3 bytes=216",
		"  < packets=0 bytes=0",
		"conversation vsock 3:0>2:0 first=#3 last=#3 start=2.000000 time=0.000000",
		"  > packets=1 bytes=44",
		"  < packets=0 bytes=0",
		"dropped ring-full packets=1 bytes=72",
		"interface e0 received=10 dropped=5 os-dropped=1 not-captured=3")
	mustRun(t, classic(t, pcap.LinkEthernet), Options{Stats: true}, "total packets=0 bytes=0 conversations=0 time=0.000000 anomalies=0 bad-checksums=0")
	six := classic(t, pcap.LinkEthernet, frame(t, "UDP6 30"), frame(t, "ICMPv6 echo"), frame(t, "STP"), frame(t, "ARP 1"))
	out, err := run(six, Options{Stats: true})
	for _, want := range []string{"conversation UDP [fec0::15]:40000>[fe80::2]:9 ", "conversation ICMPv6 fec0::15>fe80::2 ",
		"conversation 802.3 52:54:00:12:34:56>01:80:c2:00:00:00 ", "conversation ARP 10.0.2.15>10.0.2.2 "} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: no %q in %s", err, want, out)
		}
	}
}

// TestManyConversations: what finds no room is counted together.
func TestManyConversations(t *testing.T) {
	s := newStatistics()
	s.all = make([]*conversation, maxConversations-1)
	for i := range s.all {
		s.all[i] = &conversation{}
	}
	for i := range 3 {
		key := talk{protocol: fmt.Sprint(i)}
		c, _ := s.find(&key)
		c.sent[0].add(60)
	}
	if all := s.sorted(); len(s.all) != maxConversations || all[len(all)-1].protocol != "others" || all[len(all)-1].sent[0] != (volume{2, 120}) {
		t.Errorf("%d conversations, %+v", len(s.all), s.others)
	}
}

func TestHoles(t *testing.T) {
	f := half{begun: true}
	for i := range uint32(maxHoles + 5) {
		f.open(hole{from: 10 * i, to: 10*i + 5, since: time.Duration(i)})
	}
	if len(f.holes) != maxHoles || f.holes[0].from != 50 {
		t.Errorf("%d holes, the first %+v", len(f.holes), f.holes[0])
	}
	since, filled := f.fill(52, 62)
	if !filled || since != 5 || len(f.holes) != maxHoles || f.holes[0] != (hole{50, 52, 5}) || f.holes[1] != (hole{62, 65, 6}) {
		t.Errorf("%v %v %+v", since, filled, f.holes[:2])
	}
	if _, filled := f.fill(65, 70); filled {
		t.Error("something was filled where nothing was open")
	}
}
