package main

import (
	"time"

	"wick/bundle"
	"wick/kernel/ground"
	"wick/kernel/hw"
)

// setClock sets the wall clock: to what the host said, else to the real-time clock.
func setClock(c *bundle.Config) {
	now := c.Now
	if now.IsZero() {
		now = readRTC(machine{})
	}
	ground.SetWallClock(now.UnixNano())
}

// Registers of the real-time clock [MC146818], by way of ports 0x70 and 0x71.
const (
	rtcIndex = 0x70
	rtcData  = 0x71

	rtcSeconds = 0x00
	rtcMinutes = 0x02
	rtcHours   = 0x04
	rtcDay     = 0x07
	rtcMonth   = 0x08
	rtcYear    = 0x09
	rtcStatusA = 0x0a
	rtcStatusB = 0x0b

	statusAUpdating = 0x80
	statusBBinary   = 0x04
	statusB24Hours  = 0x02
)

// readRTC reads the date, in UTC as QEMU keeps it. It is read until two readings agree, so that none is torn by an update.
func readRTC(ports hw.Ports) time.Time {
	read := func(register uint8) int {
		ports.Out8(rtcIndex, register)
		return int(ports.In8(rtcData))
	}
	var last [6]int
	for range 100 {
		if read(rtcStatusA)&statusAUpdating != 0 {
			continue
		}
		r := [6]int{read(rtcSeconds), read(rtcMinutes), read(rtcHours), read(rtcDay), read(rtcMonth), read(rtcYear)}
		if r == last {
			break
		}
		last = r
	}
	return decodeRTC(last, uint8(read(rtcStatusB)))
}

// decodeRTC makes a time of seconds, minutes, hours, day, month and year of the century, in the format that status B tells.
func decodeRTC(r [6]int, statusB uint8) time.Time {
	pm := r[2]&0x80 != 0
	r[2] &= 0x7f
	if statusB&statusBBinary == 0 {
		for i, v := range r {
			r[i] = v>>4*10 + v&15
		}
	}
	if statusB&statusB24Hours == 0 {
		r[2] %= 12
		if pm {
			r[2] += 12
		}
	}
	return time.Date(2000+r[5], time.Month(r[4]), r[3], r[2], r[1], r[0], 0, time.UTC)
}
