package dump

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wick/packet"
	"wick/packet/filter"
	"wick/packet/packettest"
	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// frame returns a generated frame by name.
func frame(t testing.TB, name string) []byte {
	t.Helper()
	for _, f := range packettest.Generated(t) {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("no frame %q", name)
	return nil
}

var epoch = time.Unix(1700000000, 0)

// classic builds a classic capture.
func classic(t testing.TB, link pcap.LinkType, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcap.NewWriter(&b, link, 0)
	for i, f := range frames {
		err = errors.Join(err, w.Write(epoch.Add(time.Duration(i)*1500*time.Microsecond), len(f), f))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mixed builds a pcapng capture of Ethernet and vsock, with all that such a capture can tell.
func mixed(t testing.TB) []byte {
	t.Helper()
	b := pcapng.AppendSection(nil, &pcapng.Section{OS: "wick", Hardware: "amd64"})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0", FCSLen: 4, SnapLen: 100})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkVsock})
	udp := append(frame(t, "UDP 30"), 0, 0, 0, 0)
	vsock := make([]byte, packet.VsockMonSize+packet.VsockSize)
	vsock[0], vsock[8], vsock[24], vsock[26], vsock[28] = 3, 2, 1, 2, 44
	vsock[packet.VsockMonSize], vsock[packet.VsockMonSize+8], vsock[packet.VsockMonSize+28], vsock[packet.VsockMonSize+30] = 3, 2, 1, 1
	for _, p := range []struct {
		id int
		pcapng.Packet
	}{
		{0, pcapng.Packet{Time: epoch, WireLen: len(udp), Data: udp, Flags: pcapng.FlagInbound}},
		{0, pcapng.Packet{Time: epoch.Add(time.Second), WireLen: len(udp), Data: udp, Flags: pcapng.FlagOutbound | pcapng.FlagChecksumNotReady,
			Comments: []string{"look", "dropped: ring-full", "here"}, Lost: pcapng.Known(3)}},
		{1, pcapng.Packet{Time: epoch.Add(2 * time.Second), WireLen: len(vsock), Data: vsock}},
		{0, pcapng.Packet{Time: epoch.Add(3 * time.Second), WireLen: len(udp), Data: udp[:50], Flags: pcapng.FlagInbound | pcapng.FlagErrorCRC | pcapng.FlagChecksumValid, Lost: pcapng.Known(0)}},
	} {
		b = pcapng.AppendPacket(b, p.id, &p.Packet)
	}
	return pcapng.AppendStatistics(b, 0, &pcapng.Statistics{Time: epoch.Add(4 * time.Second), Received: pcapng.Known(10), Dropped: pcapng.Known(5), OSDropped: pcapng.Known(1)})
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// run dumps a capture.
func run(capture []byte, o Options) (string, error) {
	var out bytes.Buffer
	err := Run(bytes.NewReader(capture), &out, &o)
	return out.String(), err
}

// mustRun is run without an error, compared with lines.
func mustRun(t *testing.T, capture []byte, o Options, want ...string) {
	t.Helper()
	got, err := run(capture, o)
	if w := strings.Join(append(want, ""), "\n"); err != nil || got != w {
		t.Errorf("%v\n got %s\nwant %s", err, got, w)
	}
}

const (
	macs     = "52:54:00:12:34:56>52:55:0a:00:02:02"
	udpWords = "IPv4 10.0.2.15:40000>10.0.2.2:9 ttl=64 DF UDP len=30"
)

func TestClassic(t *testing.T) {
	udp, syn := frame(t, "UDP 30"), frame(t, "TCP SYN")
	c := classic(t, pcap.LinkEthernet, udp, syn)
	want := []string{
		"#1 0.000000 - - 72 " + macs + " " + udpWords + " ck=ok",
		"#2 0.001500 - - 74 " + macs + " IPv4 10.0.2.15:40112>10.0.2.2:80 ttl=64 DF TCP [S] seq=4294967280 win=65535 <mss 1460,sackOK,ts 16909060/0,ws 7> len=0 ck=ok",
	}
	mustRun(t, c, Options{}, want...)
	mustRun(t, zip(t, c), Options{}, want...)
	mustRun(t, c, Options{Count: 1}, want[0])
	mustRun(t, c, Options{Filter: parse(t, "tcp")}, want[1])
	mustRun(t, c, Options{Filter: parse(t, "tcp"), Count: 1}, want[1])
	mustRun(t, c, Options{Filter: parse(t, "tcp"), Relative: true}, strings.Replace(want[1], "seq=4294967280", "seq=0", 1))
	mustRun(t, c, Options{Silent: true})
	if out, err := run(c, Options{Interface: "e0"}); err == nil || out != "" {
		t.Errorf("an interface: %q, %v", out, err)
	}
	mustRun(t, classic(t, pcap.LinkRaw, udp[14:]), Options{}, "#1 0.000000 - - 58 "+udpWords+" ck=ok")
	mustRun(t, classic(t, 228, udp[14:]), Options{}, "#1 0.000000 - - 58 "+udpWords+" ck=ok")
	mustRun(t, classic(t, 147, []byte("abc")), Options{}, "#1 0.000000 - - 3 !link-unknown 147 byte 0")
	cooked := append([]byte{0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}, udp[14:]...)
	mustRun(t, classic(t, pcap.LinkSLL, cooked), Options{}, "#1 0.000000 - > 74 cooked(from-us) 01:02:03:04:05:06 "+udpWords+" ck=ok")
	cooked2 := append([]byte{8, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, 6, 1, 2, 3, 4, 5, 6, 0, 0}, udp[14:]...)
	mustRun(t, classic(t, pcap.LinkSLL2, cooked2), Options{}, "#1 0.000000 - < 78 cooked(broadcast) 01:02:03:04:05:06 "+udpWords+" ck=ok")
}

func parse(t testing.TB, text string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestVsockIsAsLongAsInTheMachine: the header that captures put before a packet of virtio-vsock is none of its bytes, for the line,
// faults, dump, JSON, statistics and filters; another capture gets it.
func TestVsockIsAsLongAsInTheMachine(t *testing.T) {
	bare := make([]byte, packet.VsockSize+3)
	bare[0], bare[8], bare[24], bare[28], bare[30] = 3, 2, 3, 1, 1 // REQUEST with data
	whole := append(packet.AppendVsockMon(nil, bare), bare...)
	f := packet.Frame{Number: 1, Direction: packet.Unknown, Link: packet.LinkVsock, WireLen: len(bare), Data: bare}
	for _, mode := range []packet.Mode{packet.Line, packet.Full} {
		live := strings.TrimSuffix(string(packet.Append(nil, &f, mode)), "\n")
		mustRun(t, classic(t, pcap.LinkVsock, whole), Options{Mode: mode}, live)
	}
	mustRun(t, classic(t, pcap.LinkVsock, whole), Options{Filter: parse(t, "len > 47")})
	var again bytes.Buffer
	if _, err := run(classic(t, pcap.LinkVsock, whole), Options{Write: &again, Classic: true, Silent: true}); err != nil || !bytes.Contains(again.Bytes(), whole) {
		t.Errorf("written: % x, %v", again.Bytes(), err)
	}
}

func TestMixed(t *testing.T) {
	want := []string{
		"#1 0.000000 e0 < 72 " + macs + " " + udpWords + " ck=ok",
		"... 3 packets not captured",
		"#2 1.000000 e0 > 72 " + macs + " " + udpWords + ` ck=offload !dropped(ring-full) comment="look; here"`,
		"#3 2.000000 if1 - 44 vsock guest(3):0>host(2):0 stream REQUEST buf_alloc=0 fwd_cnt=0",
		"#4 3.000000 e0 < 72 " + macs + " " + udpWords + " ck=hw-ok captured=50/72 !rx-error(CE)",
		"... 3 packets not captured",
	}
	mustRun(t, mixed(t), Options{}, want...)
	mustRun(t, mixed(t), Options{Interface: "if1"}, want[3])
	mustRun(t, mixed(t), Options{Interface: "e0", Filter: parse(t, "inbound")}, want[0], want[1], want[4], want[5])
	mustRun(t, mixed(t), Options{Filter: parse(t, "vsock")}, want[1], want[3], want[5])
	mustRun(t, mixed(t), Options{Count: 1}, want[0])
}

func TestModes(t *testing.T) {
	c := classic(t, pcap.LinkEthernet, frame(t, "UDP 0"))
	line, err := run(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	hex, err := run(c, Options{Mode: packet.Hex})
	if err != nil || !strings.HasPrefix(hex, line+"  0x0000  52 55 0a 00") || strings.Count(hex, "\n") != 5 {
		t.Errorf("%v %s", err, hex)
	}
	full, err := run(c, Options{Mode: packet.Full})
	if err != nil || !strings.HasPrefix(full, line+"  Ethernet 0-14 ") || !strings.HasSuffix(full, strings.TrimPrefix(hex, line)) {
		t.Errorf("%v %s", err, full)
	}
}

func TestColor(t *testing.T) {
	bad := frame(t, "UDP 30")
	bad[50] ^= 1
	got, err := run(classic(t, pcap.LinkEthernet, bad), Options{Color: true})
	want := "\x1b[2m#1 0.000000 -\x1b[m \x1b[1m-\x1b[m 72 \x1b[2m" + macs + "\x1b[m \x1b[35mIPv4\x1b[m \x1b[36m10.0.2.15:40000>10.0.2.2:9\x1b[m ttl=64 DF " +
		"\x1b[35mUDP\x1b[m len=30 \x1b[1;31mck=!bad(want 0xf8e5)\x1b[m\n"
	if err != nil || got != want {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
	// Without the colours it is the same text, in every form.
	crafted, err := os.ReadFile("../testdata/crafted.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []packet.Mode{packet.Line, packet.Full, packet.Hex} {
		plain, err1 := run(crafted, Options{Mode: mode})
		colored, err2 := run(crafted, Options{Mode: mode, Color: true})
		for _, c := range []string{colorOff, colorDim, colorBold, colorCyan, colorMagenta, colorRed} {
			colored = strings.ReplaceAll(colored, c, "")
		}
		if err1 != nil || err2 != nil || colored != plain {
			t.Errorf("mode %d: %v %v, %d and %d bytes", mode, err1, err2, len(plain), len(colored))
		}
	}
}

func TestOpenErrors(t *testing.T) {
	good := classic(t, pcap.LinkEthernet, []byte("abc"))
	zipped := zip(t, good)
	version := bytes.Clone(good)
	version[4] = 9
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a capture: it is empty"},
		{"text", []byte("hello, world, what is it?"), "not a capture: neither pcap nor pcapng starts with 68 65 6c 6c"},
		{"short", []byte("hi"), "not a capture: neither pcap nor pcapng starts with 68 69"},
		{"empty gzip", zip(t, nil), "not a capture: it is empty"},
		{"text in gzip", zip(t, []byte("hello")), "not a capture: neither pcap nor pcapng starts with 68 65 6c 6c"},
		{"gzip header", zipped[:5], "damaged gzip file: it breaks off"},
		{"gzip", append(bytes.Clone(zipped[:4]), bytes.Repeat([]byte{0xff}, 50)...), "damaged gzip file: corrupt before byte 1"},
		{"version", version, "not a pcap file: version 9.4, want 2.4"},
		{"pcapng version", append(bytes.Clone(mixed(t)[:12]), 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "damaged pcapng file: after packet 0, block at byte 0: block has 30 of 48 bytes"},
	} {
		_, err := run(tt.file, Options{})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestDamage cuts captures: what can be read is printed, then the error tells of the damage.
func TestDamage(t *testing.T) {
	frames := [][]byte{frame(t, "UDP 30"), frame(t, "TCP SYN")}
	c := classic(t, pcap.LinkEthernet, frames...)
	whole, err := run(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := whole[:strings.Index(whole, "\n")+1]
	for _, cut := range []int{1, 50, len(frames[1]) + 5} {
		got, err := run(c[:len(c)-cut], Options{})
		if got != first || !ErrDamaged(err) {
			t.Errorf("cut by %d: %q, %v", cut, got, err)
		}
	}
	zipped := zip(t, c)
	got, err := run(zipped[:len(zipped)-20], Options{})
	if fmt.Sprint(err) != fmt.Sprintf("damaged gzip file: it breaks off, after packet %d", strings.Count(got, "\n")) || !ErrDamaged(err) || !strings.HasPrefix(whole, got) {
		t.Errorf("cut gzip: %q, %v", got, err)
	}
	for _, behind := range []string{"x", "\x00", "\x1fx", "what is this, if not a capture"} {
		got, err = run(append(bytes.Clone(zipped), behind...), Options{})
		if !ErrDamaged(err) || got != whole || err.Error() != "damaged gzip file: what comes behind its end is not of gzip, after packet 2" {
			t.Errorf("%q behind gzip: %q, %v", behind, got, err)
		}
	}
	for _, behind := range []string{"\x1f", "\x1f\x8b", "\x1f\x8b\x08\x00"} { // another part
		got, err = run(append(bytes.Clone(zipped), behind...), Options{})
		if !ErrDamaged(err) || got != whole || err.Error() != "damaged gzip file: it breaks off, after packet 2" {
			t.Errorf("%q behind gzip: %q, %v", behind, got, err)
		}
	}
	zipped[len(zipped)-6] ^= 1
	if got, err = run(zipped, Options{}); !ErrDamaged(err) || got != whole || err.Error() != "damaged gzip file: wrong checksum, after packet 2" {
		t.Errorf("wrong gzip checksum: %q, %v", got, err)
	}
	ng := mixed(t)
	if got, err = run(ng[:len(ng)-5], Options{}); !ErrDamaged(err) || strings.Count(got, "\n#") != 3 {
		t.Errorf("cut pcapng: %q, %v", got, err)
	}
}

type brokenWriter struct{}

var errFull = errors.New("disk full")

func (brokenWriter) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrors(t *testing.T) {
	c := mixed(t)
	if err := Run(bytes.NewReader(c), brokenWriter{}, &Options{}); !errors.Is(err, errFull) {
		t.Error(err)
	}
	for _, classic := range []bool{false, true} {
		if err := Run(bytes.NewReader(c), io.Discard, &Options{Write: brokenWriter{}, Classic: classic, Silent: true, Interface: "e0"}); !errors.Is(err, errFull) {
			t.Error(err)
		}
	}
}

func TestWriteNG(t *testing.T) {
	var file bytes.Buffer
	mustRun(t, mixed(t), Options{Write: &file, Silent: true})
	r, err := pcapng.NewReader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Section(); s.OS != "wick" || s.Hardware != "amd64" || s.Application != application {
		t.Errorf("%+v", s)
	}
	want, err := run(mixed(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, file.Bytes(), Options{}, strings.Split(strings.TrimSuffix(want, "\n"), "\n")...)
	// A filter keeps count of what the capture has missed, also before packets that don't pass.
	file.Reset()
	mustRun(t, mixed(t), Options{Write: &file, Silent: true, Filter: parse(t, "inbound")})
	got, err := run(file.Bytes(), Options{})
	if err != nil || strings.Count(got, "... 3 packets not captured\n") != 2 || strings.Count(got, "#") != 2 {
		t.Errorf("%v %s", err, got)
	}
}

func TestWriteClassic(t *testing.T) {
	var file bytes.Buffer
	mustRun(t, mixed(t), Options{Write: &file, Classic: true, Silent: true, Interface: "e0"})
	got, err := run(file.Bytes(), Options{})
	if err != nil || strings.Count(got, "\n") != 3 || strings.Contains(got, " e0 ") {
		t.Errorf("%v %s", err, got)
	}
	file.Reset()
	_, err = run(mixed(t), Options{Write: &file, Classic: true, Silent: true})
	if !errors.Is(err, ErrLinks) || err.Error() != "a classic capture can't hold packets of several link types: packet 3 has type 271, those before have 1" {
		t.Error(err)
	}
	if got, err := run(file.Bytes(), Options{}); err != nil || strings.Count(got, "\n") != 2 {
		t.Errorf("what came before: %v %s", err, got)
	}
	file.Reset()
	mustRun(t, classic(t, pcap.LinkRaw), Options{Write: &file, Classic: true})
	if r, err := pcap.NewReader(&file); err != nil || r.LinkType() != pcap.LinkRaw {
		t.Errorf("%+v %v", r, err)
	}
}

// TestOffloadsOfACapture: what a capture says of checksums and segments left to the card is told in the words of the dump, in JSON, and in
// another capture.
func TestOffloadsOfACapture(t *testing.T) {
	for _, c := range []struct {
		flags     pcapng.Flags
		checksum  packet.Checksum
		segmented bool
	}{
		{0, packet.ChecksumUnknown, false},
		{pcapng.FlagChecksumNotReady, packet.ChecksumOffload, false},
		{pcapng.FlagChecksumValid, packet.ChecksumVerified, false},
		{pcapng.FlagChecksumNotReady | pcapng.FlagSegmentation, packet.ChecksumOffload, true},
		{pcapng.FlagChecksumValid | pcapng.FlagSegmentation, packet.ChecksumVerified, true}, // put together by a card
		{pcapng.FlagSegmentation, packet.ChecksumOffload, true},                             // who cuts it fills the checksum in
	} {
		for _, ipv6 := range []bool{false, true} {
			segment, _ := packettest.TCPSegment(5000, 1000, ipv6)
			f := packet.Frame{Number: 1, Interface: "e0", Direction: packet.Transmit, WireLen: len(segment), Data: segment[:2000], Checksum: c.checksum, Segmented: c.segmented}
			live := strings.TrimSuffix(string(packet.Append(nil, &f, packet.Line)), "\n")
			b := pcapng.AppendSection(nil, &pcapng.Section{})
			b = pcapng.AppendInterface(b, &pcapng.Interface{Name: "e0", Link: pcap.LinkEthernet})
			b = pcapng.AppendPacket(b, 0, &pcapng.Packet{Time: epoch, WireLen: f.WireLen, Data: f.Data, Flags: c.flags | pcapng.FlagOutbound})
			var again bytes.Buffer
			mustRun(t, b, Options{Write: &again, Silent: true})
			mustRun(t, b, Options{}, live)
			mustRun(t, again.Bytes(), Options{}, live)
			out, err := run(b, Options{JSON: true})
			if err != nil || strings.Contains(out, `"segmented":true`) != c.segmented {
				t.Errorf("flags %#x: %v %s", uint32(c.flags), err, out)
			}
		}
	}
}

// TestJSON has the documented names, and every object is sound.
func TestJSON(t *testing.T) {
	syn := frame(t, "TCP SYN ACK")
	got, err := run(classic(t, pcap.LinkEthernet, syn), Options{JSON: true})
	want := `{"number":1,"time":"2023-11-14T22:13:20Z","seconds":0.000000000,"length":74,"captured":74,"layers":["ethernet","ipv4","tcp"],` +
		`"ethernet":{"source":"52:54:00:12:34:56","destination":"52:55:0a:00:02:02","type":2048},` +
		`"ip":{"version":4,"source":"10.0.2.15","destination":"10.0.2.2","ttl":64,"tos":0,"length":60,"id":4660,"dont_fragment":true,"protocol":6,"checksum":"ok"},` +
		`"tcp":{"source_port":80,"destination_port":40112,"seq":7,"ack":4294967281,"flags":["syn","ack"],"window":29200,"mss":1460,"window_scale":7,` +
		`"sack_permitted":true,"timestamp":16909060,"timestamp_echo":0,"payload":0,"checksum":"ok"},` +
		`"line":"#1 0.000000 - - 74 52:54:00:12:34:56>52:55:0a:00:02:02 IPv4 10.0.2.15:80>10.0.2.2:40112 ttl=64 DF TCP [S.] seq=7 ack=4294967281 win=29200 ` +
		`<mss 1460,sackOK,ts 16909060/0,ws 7> len=0 ck=ok"}` + "\n"
	if err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	got, err = run(mixed(t), Options{JSON: true, Filter: parse(t, "outbound or vsock")})
	want = `"interface":"e0","direction":"out","length":72,"captured":72,"layers":["ethernet","ipv4","udp","data"],`
	if err != nil || !strings.Contains(got, want) || !strings.Contains(got, `"lost_before":3,"dropped":"ring-full","comments":["look","here"],"anomalies":["dropped(ring-full)"],"line":`) {
		t.Errorf("%v %s", err, got)
	}
	if !strings.Contains(got, `"vsock":{"source_cid":3,"destination_cid":2,"source_port":0,"destination_port":0,"type":1,"op":1,"flags":0,"length":0,"buf_alloc":0,"fwd_cnt":0}`) {
		t.Error(got)
	}
}

func TestJSONIsSound(t *testing.T) {
	crafted, err := os.ReadFile("../testdata/crafted.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	generated := packettest.Generated(t)
	var damaged [][]byte
	for _, f := range append(generated, packettest.Damaged(generated, 4)...) {
		damaged = append(damaged, f.Data)
	}
	for _, c := range [][]byte{crafted, classic(t, pcap.LinkEthernet, damaged...), mixed(t)} {
		for _, o := range []Options{{JSON: true}, {JSON: true, Stats: true}} {
			out, err := run(c, o)
			if err != nil {
				t.Error(err)
			}
			for line := range strings.Lines(out) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not sound: %s", line)
				}
			}
			if o.Stats {
				continue
			}
			lines, err := run(c, Options{})
			if err != nil {
				t.Error(err)
			}
			var texts []string
			for line := range strings.Lines(out) {
				var o struct {
					Line      string
					Anomalies []string
					Number    int
				}
				if err := json.Unmarshal([]byte(line), &o); err != nil {
					t.Fatal(err)
				}
				texts = append(texts, o.Line)
				if (len(o.Anomalies) > 0) != (strings.Contains(o.Line, " !") || strings.Contains(o.Line, "=!bad(")) && !strings.Contains(o.Line, `"`) {
					t.Errorf("anomalies %q of %s", o.Anomalies, o.Line)
				}
			}
			shown := 0
			for line := range strings.Lines(lines) {
				if strings.HasPrefix(line, "#") {
					if texts[shown] != strings.TrimSuffix(line, "\n") {
						t.Errorf("%s, not %s", texts[shown], line)
					}
					shown++
				}
			}
			if shown != len(texts) {
				t.Errorf("%d lines, %d objects", shown, len(texts))
			}
		}
	}
}

func TestJSONString(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\\n\x00\x7f", "é€😀", "\xff\xfe broken \xc3"} {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && s[0] != '\xff' {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}

// lines sends each write to a channel.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestFollow lets a capture grow, byte by byte at the end, and has each packet printed when it is there.
func TestFollow(t *testing.T) {
	capture := classic(t, pcap.LinkEthernet, frame(t, "UDP 30"), frame(t, "UDP 1"), frame(t, "UDP 2"))
	path := filepath.Join(t.TempDir(), "growing.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reading, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	stop, out, ended := make(chan struct{}), make(lines), make(chan error)
	go func() { ended <- Run(Follow(reading, stop), out, &Options{}) }()
	const first = 24 + 16 + 72
	for _, cut := range []struct{ from, to int }{{0, 10}, {10, first}} {
		if _, err := file.Write(capture[cut.from:cut.to]); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-out; !strings.HasPrefix(got, "#1 ") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
	if _, err := file.Write(capture[first:]); err != nil {
		t.Fatal(err)
	}
	got := <-out
	if !strings.Contains(got, "\n#3 ") {
		got += <-out
	}
	if !strings.HasPrefix(got, "#2 ") || !strings.Contains(got, "\n#3 ") {
		t.Errorf("%q", got)
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFollowShorter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shrinking.pcap")
	if err := os.WriteFile(path, classic(t, pcap.LinkEthernet, frame(t, "UDP 30")), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out, ended := make(lines), make(chan error)
	go func() { ended <- Run(Follow(file, nil), out, &Options{}) }()
	<-out
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "has become shorter: 10 bytes, of which 112 have been read") {
		t.Error(err)
	}
}

// TestAllLinks prints the test corpus, which has every link type, and finds the name of each frame in its comment.
func TestAllLinks(t *testing.T) {
	crafted, err := os.ReadFile("../testdata/crafted.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(crafted, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" raw0 < ", " any < ", " any2 < ", " v0 < ", " e0 < ", `comment="ARP/`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	var frames [][]byte
	for range 200 {
		for _, f := range packettest.Generated(b) {
			frames = append(frames, f.Data)
		}
	}
	capture := classic(b, pcap.LinkEthernet, frames...)
	for _, bb := range []struct {
		name string
		o    Options
	}{{"line", Options{}}, {"color", Options{Color: true}}, {"full", Options{Mode: packet.Full}}, {"json", Options{JSON: true}}, {"stats", Options{Stats: true}}} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(capture)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Run(bytes.NewReader(capture), io.Discard, &bb.o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/packet")
		})
	}
}

// TestUnknownInterface: that there are no packets because the name is wrong is said.
func TestUnknownInterface(t *testing.T) {
	if out, err := run(mixed(t), Options{Interface: "nosuch"}); err == nil || !strings.HasPrefix(err.Error(), `no interface "nosuch", only: e0, `) || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	b := pcapng.AppendSection(nil, &pcapng.Section{})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "quiet"})
	if out, err := run(b, Options{Interface: "quiet"}); err != nil || out != "" {
		t.Errorf("one without packets: %q, %v", out, err)
	}
}

// TestBeginningIsNoCount: that a capture tells when it began is no line of the statistics.
func TestBeginningIsNoCount(t *testing.T) {
	began := time.Unix(1700000000, 0)
	b := pcapng.AppendSection(nil, &pcapng.Section{})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0"})
	b = pcapng.AppendStatistics(b, 0, &pcapng.Statistics{Time: began, Start: began})
	b = pcapng.AppendPacket(b, 0, &pcapng.Packet{Time: began.Add(1500 * time.Millisecond), WireLen: 60, Data: frame(t, "UDP 30")})
	if out, err := run(b, Options{Stats: true}); err != nil || strings.Contains(out, "interface") {
		t.Errorf("%v, %s", err, out)
	}
	if out, err := run(b, Options{}); err != nil || !strings.HasPrefix(out, "#1 1.500000 e0 ") {
		t.Errorf("%v, %s", err, out)
	}
}

// TestCenturiesBetweenPackets: times that no duration holds are printed as the longest, in lines, JSON and statistics.
func TestCenturiesBetweenPackets(t *testing.T) {
	b := pcapng.AppendSection(nil, &pcapng.Section{})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0"})
	for _, year := range []int{2300, 1971, 2550, 2300} {
		b = pcapng.AppendPacket(b, 0, &pcapng.Packet{Time: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), WireLen: 60, Data: frame(t, "UDP 30")})
	}
	for _, o := range []Options{{JSON: true}, {JSON: true, Stats: true}} {
		out, err := run(b, o)
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("not sound: %q", line)
			}
		}
		if longest := "9223372036.854775807"; o.Stats && !strings.Contains(out, longest) || !o.Stats && !strings.Contains(out, "-9223372036.854775808") {
			t.Errorf("got %s", out)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add(mixed(f))
	f.Add(zip(f, mixed(f)))
	f.Add(classic(f, pcap.LinkEthernet, frame(f, "UDP 30"), frame(f, "TCP SYN")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range []Options{{}, {JSON: true}, {Stats: true}, {Color: true, Mode: packet.Full}, {Write: io.Discard}, {Write: io.Discard, Classic: true}, {Stats: true, JSON: true}} {
			o.connections = 4
			out, err := run(b, o)
			if err != nil && fmt.Sprint(err) == "" {
				t.Error("an error without words")
			}
			if !o.JSON {
				continue
			}
			for line := range strings.Lines(out) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not sound: %q", line)
				}
			}
		}
	})
}
