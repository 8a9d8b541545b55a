package main

import (
	"time"

	"wick/kernel/driver/e1000"
	"wick/kernel/ground/record"
	"wick/packet"
)

// keepPackets returns the tap of a network card, that keeps the last packets for reports, and gives them to the next, if there
// is one.
func keepPackets(next e1000.Tap) e1000.Tap {
	start := time.Now()
	return func(dir packet.Direction, wireLen int, data []byte, rxErrors uint8, drop string) {
		record.AddPacket(int64(time.Since(start)), dir == packet.Transmit, drop != "", wireLen, data)
		if next != nil {
			next(dir, wireLen, data, rxErrors, drop)
		}
	}
}
