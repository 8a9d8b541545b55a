package dump

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// late builds a capture in which packet 1, of UDP, and packet 5, of TCP, turn out later to have been dropped: the one is told with
// packet 4, the other at the end. Packets 2 and 3 are missing.
func late(t testing.TB, application string) []byte {
	t.Helper()
	b := pcapng.AppendSection(nil, &pcapng.Section{Application: application})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0"})
	udp, tcp := frame(t, "UDP 30"), frame(t, "TCP data")
	for _, p := range []pcapng.Packet{
		{Time: epoch, WireLen: len(udp), Data: udp, ID: pcapng.Known(1)},
		{Time: epoch, WireLen: len(tcp), Data: tcp, ID: pcapng.Known(4), Lost: pcapng.Known(2),
			Comments: []string{"look", "dropped: at-once", pcapng.LateDrop(1, "ip-not-reassembled")}},
		{Time: epoch, WireLen: len(tcp), Data: tcp, ID: pcapng.Known(5)},
	} {
		b = pcapng.AppendPacket(b, 0, &p)
	}
	return pcapng.AppendStatistics(b, 0, &pcapng.Statistics{Time: epoch.Add(time.Second), OSDropped: pcapng.Known(2),
		Comments: []string{pcapng.LateDrop(5, "tcp-listen-queue-full"), "well"}})
}

// skeleton leaves of each line what these tests are about.
func skeleton(text string) (out []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			number, rest, _ := strings.Cut(line, " ")
			_, drop, _ := strings.Cut(rest, " !dropped")
			line = number + drop
		}
		out = append(out, line)
	}
	return out
}

func TestLateDrops(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{"", `#1|... #1 !dropped(ip-not-reassembled)|... 2 packets not captured|#4(at-once) comment="look"|#5|... #5 !dropped(tcp-listen-queue-full)`},
		{"udp", `#1|... #1 !dropped(ip-not-reassembled)|... 2 packets not captured`},
		{"tcp", `... 2 packets not captured|#4(at-once) comment="look"|#5|... #5 !dropped(tcp-listen-queue-full)`},
	} {
		o := Options{}
		if c.filter != "" {
			o.Filter = parse(t, c.filter)
		}
		text, err := run(late(t, "wick"), o)
		if got := strings.Join(skeleton(text), "|"); err != nil || got != c.want {
			t.Errorf("%q: %v\n got %s\nwant %s", c.filter, err, got, c.want)
		}
		// The same of what is written to another capture.
		var b bytes.Buffer
		if _, err := run(late(t, "wick"), Options{Write: &b, Silent: true, Filter: o.Filter}); err != nil {
			t.Fatal(err)
		}
		text, err = run(b.Bytes(), Options{})
		if got := strings.Join(skeleton(text), "|"); err != nil || got != c.want {
			t.Errorf("%q, written: %v\n got %s\nwant %s", c.filter, err, got, c.want)
		}
	}
}

// TestLateDropsAreCounted: statistics and JSON have them.
func TestLateDropsAreCounted(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Stats: true}, "dropped at-once packets=1 bytes=154\ndropped ip-not-reassembled packets=1 bytes=72\ndropped tcp-listen-queue-full packets=1 bytes=154\n"},
		{Options{JSON: true}, `}` + "\n" + `{"record":"dropped","number":1,"reason":"ip-not-reassembled"}` + "\n" + `{"number":4,`},
		{Options{JSON: true}, `}` + "\n" + `{"record":"dropped","number":5,"reason":"tcp-listen-queue-full"}` + "\n"},
	} {
		if text, err := run(late(t, "wick"), c.o); err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%v\n got %s\nwant %s", err, text, c.want)
		}
	}
	// Not what comes behind the last packet that was wanted.
	text, err := run(late(t, "wick"), Options{Count: 3})
	if err != nil || strings.Contains(text, "#5 !dropped") {
		t.Errorf("%v %s", err, text)
	}
}

// TestOtherNumbers: only our captures' numbers are taken over; those of others may be anything.
func TestOtherNumbers(t *testing.T) {
	text, err := run(late(t, "dumpcap"), Options{})
	if err != nil || !strings.Contains(text, "\n#2 ") || !strings.Contains(text, "\n#3 ") {
		t.Errorf("%v %s", err, text)
	}
}
