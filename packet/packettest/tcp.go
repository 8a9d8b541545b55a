package packettest

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"wick/packet/pcap"
)

// TCP makes captures of one TCP connection, from 10.0.2.15 to 10.0.2.2:80.
type TCP struct {
	t       testing.TB
	file    bytes.Buffer
	w       *pcap.Writer
	now     time.Time
	port    layers.TCPPort
	Packets int
}

// NewTCP starts a capture of a connection from a port.
func NewTCP(t testing.TB, port uint16) *TCP {
	c := &TCP{t: t, now: time.Unix(1700000000, 0), port: layers.TCPPort(port)}
	var err error
	if c.w, err = pcap.NewWriter(&c.file, pcap.LinkEthernet, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

// After lets time pass.
func (c *TCP) After(d time.Duration) *TCP {
	c.now = c.now.Add(d)
	return c
}

// Client and Server send a segment; flags are letters as in the dump.
func (c *TCP) Client(flags string, seq, ack uint32, window uint16, payload int) *TCP {
	return c.send(true, flags, seq, ack, window, payload)
}

// Server is the answer to Client.
func (c *TCP) Server(flags string, seq, ack uint32, window uint16, payload int) *TCP {
	return c.send(false, flags, seq, ack, window, payload)
}

func (c *TCP) send(client bool, flags string, seq, ack uint32, window uint16, payload int) *TCP {
	ip, eth := ipv4(layers.IPProtocolTCP), ethernet(layers.EthernetTypeIPv4)
	h := layers.TCP{SrcPort: c.port, DstPort: 80, Seq: seq, Ack: ack, Window: window}
	if !client {
		ip.SrcIP, ip.DstIP, eth.SrcMAC, eth.DstMAC = ip.DstIP, ip.SrcIP, eth.DstMAC, eth.SrcMAC
		h.SrcPort, h.DstPort = h.DstPort, h.SrcPort
	}
	for _, f := range flags {
		switch f {
		case 'S':
			h.SYN = true
		case 'F':
			h.FIN = true
		case 'R':
			h.RST = true
		case 'P':
			h.PSH = true
		case '.':
			h.ACK = true
		}
	}
	b := &builder{t: c.t}
	b.add("segment", eth, ip, tcp(ip, h), gopacket.Payload(text(payload)))
	data := b.frames[0].Data
	if err := c.w.Write(c.now, len(data), data); err != nil {
		c.t.Fatal(err)
	}
	c.Packets++
	return c
}

// Capture returns the capture so far, a classic one.
func (c *TCP) Capture() []byte { return bytes.Clone(c.file.Bytes()) }
