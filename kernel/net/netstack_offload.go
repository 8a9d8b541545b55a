package net

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"wick/packet"
)

// What a link can take off the engine: the checksums of TCP, and TCP segments of up to 64 KiB, which are one way through the engine and
// one exit to the hypervisor instead of many. UDP and ICMP are summed here.

// maxSegmented is the size of the longest TCP packet that is left to a link to be cut, in bytes; the engine stays below it by
// the headers.
const maxSegmented = 1 << 16

// SupportedGSO implements stack.GSOEndpoint.
func (e *linkEndpoint) SupportedGSO() stack.SupportedGSO {
	if e.offload != nil {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

// GSOMaxSize implements stack.GSOEndpoint.
func (e *linkEndpoint) GSOMaxSize() uint32 { return maxSegmented }

// Capabilities implements stack.NetworkLinkEndpoint.
//
// The engine asks for CapabilityRXChecksumOffload once for each received packet, while it is delivered, and believes in its
// checksums if it is there. No other packet is delivered meanwhile: so it is there for one packet and not for the next.
// TestChecksumStates checks that.
func (e *linkEndpoint) Capabilities() stack.LinkEndpointCapabilities {
	if e.verified.Load() {
		return stack.CapabilityResolutionRequired | stack.CapabilityRXChecksumOffload
	}
	return stack.CapabilityResolutionRequired
}

// checksummed tells whether the checksum that cards know about is the only one of a frame that has not been verified: it is TCP
// or UDP, no fragment, behind an IP header that is right. (The engine would believe in that one too, and in what a
// fragment is part of.)
func checksummed(frame []byte) bool {
	ip := frame[header.EthernetMinimumSize:]
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(ip)
		return h.IsValid(len(ip)) && h.IsChecksumValid() && !h.More() && h.FragmentOffset() == 0 && isTransport(h.Protocol())
	case header.IPv6ProtocolNumber:
		h := parseHeaders(frame) // extension headers have no checksums
		return isTransport(h.transport) && !h.isFragment()
	}
	return false
}

func isTransport(protocol uint8) bool {
	return protocol == uint8(header.TCPProtocolNumber) || protocol == uint8(header.UDPProtocolNumber)
}

// offloadOf says what is left to the card of a packet with a link header, by the engine's options.
func offloadOf(pkt *stack.PacketBuffer) packet.Offload {
	g := &pkt.GSOOptions
	o := packet.Offload{
		Checksum:       true,
		ChecksumStart:  len(pkt.LinkHeader().Slice()) + len(pkt.NetworkHeader().Slice()),
		ChecksumOffset: int(g.CsumOffset),
	}
	if pkt.Data().Size() > int(g.MSS) {
		o.SegmentSize, o.HeaderLen, o.IPv6 = int(g.MSS), pkt.HeaderSize(), g.Type == stack.GSOTCPv6
	}
	return o
}
