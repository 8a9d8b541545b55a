package main

import (
	"time"

	"wick/kernel/ground/record"
	"wick/packet"
)

// keepPackets returns the tap of a network card, that keeps the last packets for reports, and gives them to the next, if there
// is one.
func keepPackets(next func(packet.Frame)) func(packet.Frame) {
	start := time.Now()
	return func(f packet.Frame) {
		record.AddPacket(int64(time.Since(start)), f.Direction == packet.Transmit, f.Drop != "", f.WireLen, f.Data)
		if next != nil {
			next(f)
		}
	}
}
