package packettest

import (
	"bufio"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"wick/packet/pcap"
)

// Traffic writes a classic capture of about so many bytes: TCP connections of both versions of IP with bulk data, requests
// and acknowledgments, DNS, pings and ARP, the same in every run.
func Traffic(t testing.TB, out io.Writer, size int) {
	t.Helper()
	buf := bufio.NewWriterSize(out, 1<<20)
	w, err := pcap.NewWriter(buf, pcap.LinkEthernet, 0)
	if err != nil {
		t.Fatal(err)
	}
	g := &traffic{t: t, random: rand.New(rand.NewPCG(1, 2)), buf: gopacket.NewSerializeBuffer()}
	others := Generated(t)
	now := time.Unix(1700000000, 0)
	for written := 0; written < size; {
		var data []byte
		if n := g.random.IntN(100); n < 90 {
			data = g.segment()
		} else {
			data = others[g.random.IntN(len(others))].Data
		}
		now = now.Add(time.Duration(g.random.IntN(200)) * time.Microsecond)
		if err := w.Write(now, len(data), data); err != nil {
			t.Fatal(err)
		}
		written += 16 + len(data)
	}
	if err := buf.Flush(); err != nil {
		t.Fatal(err)
	}
}

// traffic is the state of the connections.
type traffic struct {
	t      testing.TB
	random *rand.Rand
	buf    gopacket.SerializeBuffer
	flows  [64]struct{ seq [2]uint32 }
}

// segment makes the next segment of some connection: two of three with data, most of them full.
func (g *traffic) segment() []byte {
	n := g.random.IntN(len(g.flows))
	f := &g.flows[n]
	from := g.random.IntN(2)
	size := 0
	if from == 0 {
		size = []int{1448, 1448, 1448, 512, 60}[g.random.IntN(5)]
	}
	h := layers.TCP{SrcPort: layers.TCPPort(40000 + n), DstPort: 443, Seq: f.seq[from], Ack: f.seq[1-from], ACK: true, PSH: size > 0 && size < 1448, Window: 502,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{0, 1, 2, byte(n), 3, 4, 5, 6}}}}
	f.seq[from] += uint32(size)
	eth, ip4, ip6 := ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolTCP), ipv6(layers.IPProtocolTCP)
	if from == 1 {
		h.SrcPort, h.DstPort = h.DstPort, h.SrcPort
		eth.SrcMAC, eth.DstMAC = eth.DstMAC, eth.SrcMAC
		ip4.SrcIP, ip4.DstIP = ip4.DstIP, ip4.SrcIP
		ip6.SrcIP, ip6.DstIP = ip6.DstIP, ip6.SrcIP
	}
	parts := []gopacket.SerializableLayer{eth, ip4, tcp(ip4, h), text(size)}
	if n%4 == 0 {
		eth.EthernetType = layers.EthernetTypeIPv6
		parts = []gopacket.SerializableLayer{eth, ip6, tcp(ip6, h), text(min(size, 1428))}
	}
	if err := gopacket.SerializeLayers(g.buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		g.t.Fatal(err)
	}
	return g.buf.Bytes()
}
