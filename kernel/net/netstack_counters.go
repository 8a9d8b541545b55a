package net

// linkCounters implements engine.
func (n *netstack) linkCounters(index uint32, visit func(name string, value uint64)) {
	s := n.linkStats(index)
	visit("rx-packets", s.rxPackets)
	visit("rx-bytes", s.rxBytes)
	visit("tx-packets", s.txPackets)
	visit("tx-bytes", s.txBytes)
	n.mu.Lock()
	ep := n.links[index]
	n.mu.Unlock()
	if ep != nil {
		visit("rx-dropped-runt", ep.drops.runt.Load())
		visit("rx-dropped-other-host", ep.drops.otherHost.Load())
		visit("rx-dropped-no-memory", ep.drops.memory.Load())
		visit("tx-dropped-by-card", ep.drops.transmit.Load())
	}
}

// counters implements engine.
func (n *netstack) counters(visit func(name string, value uint64)) {
	visit("lo.dropped-no-memory", n.loopback.dropped.Load())
	s := n.stack.Stats()
	visit("ip.received", s.IP.PacketsReceived.Value())
	visit("ip.sent", s.IP.PacketsSent.Value())
	visit("ip.dropped-malformed", s.IP.MalformedPacketsReceived.Value())
	visit("ip.dropped-destination", s.IP.InvalidDestinationAddressesReceived.Value())
	visit("ip.dropped-source", s.IP.InvalidSourceAddressesReceived.Value())
	visit("ip.dropped-fragments", s.IP.MalformedFragmentsReceived.Value())
	visit("ip.send-errors", s.IP.OutgoingPacketErrors.Value())
	visit("arp.received", s.ARP.PacketsReceived.Value())
	visit("arp.dropped-malformed", s.ARP.MalformedPacketsReceived.Value())
	visit("udp.received", s.UDP.PacketsReceived.Value())
	visit("udp.dropped-no-port", s.UDP.UnknownPortErrors.Value())
	visit("udp.dropped-malformed", s.UDP.MalformedPacketsReceived.Value())
	visit("udp.dropped-checksum", s.UDP.ChecksumErrors.Value())
	visit("tcp.received", s.TCP.ValidSegmentsReceived.Value())
	visit("tcp.sent", s.TCP.SegmentsSent.Value())
	visit("tcp.retransmitted", s.TCP.Retransmits.Value())
	visit("tcp.resets-received", s.TCP.ResetsReceived.Value())
	visit("tcp.resets-sent", s.TCP.ResetsSent.Value())
	visit("tcp.dropped-malformed", s.TCP.InvalidSegmentsReceived.Value())
	visit("tcp.dropped-checksum", s.TCP.ChecksumErrors.Value())
	visit("tcp.dropped-listen-queue-full", s.TCP.ListenOverflowSynDrop.Value()+s.TCP.ListenOverflowAckDrop.Value())
	visit("tcp.opened-active", s.TCP.ActiveConnectionOpenings.Value())
	visit("tcp.opened-passive", s.TCP.PassiveConnectionOpenings.Value())
	visit("tcp.connections", s.TCP.CurrentConnected.Value())
	there := make(map[string]uint64)
	for _, c := range n.connections() {
		there[c.protocol]++
	}
	visit("tcp.endpoints", there["tcp"]) // listeners and connections, with those that are only remembered
	visit("udp.endpoints", there["udp"])
}
