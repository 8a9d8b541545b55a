package main

import (
	"testing"
	"time"
)

// fakeRTC is a real-time clock behind its two ports. It is in an update at first.
type fakeRTC struct {
	registers [16]uint8
	index     uint8
	updating  int
}

func (f *fakeRTC) Out8(port uint16, v uint8) {
	if port == rtcIndex {
		f.index = v
	}
}

func (f *fakeRTC) In8(port uint16) uint8 {
	if f.index == rtcStatusA && f.updating > 0 {
		f.updating--
		return statusAUpdating
	}
	return f.registers[f.index]
}

func (f *fakeRTC) In16(uint16) uint16   { return 0xffff }
func (f *fakeRTC) In32(uint16) uint32   { return 0xffffffff }
func (f *fakeRTC) Out16(uint16, uint16) {}
func (f *fakeRTC) Out32(uint16, uint32) {}

func TestReadRTC(t *testing.T) {
	want := time.Date(2026, time.November, 22, 23, 59, 8, 0, time.UTC)
	for _, c := range []struct {
		name                                           string
		second, minute, hour, day, month, year, format uint8
	}{
		{"BCD, 24 hours", 0x08, 0x59, 0x23, 0x22, 0x11, 0x26, statusB24Hours},
		{"binary, 24 hours", 8, 59, 23, 22, 11, 26, statusB24Hours | statusBBinary},
		{"BCD, 12 hours", 0x08, 0x59, 0x80 | 0x11, 0x22, 0x11, 0x26, 0},
		{"binary, 12 hours", 8, 59, 0x80 | 11, 22, 11, 26, statusBBinary},
	} {
		f := &fakeRTC{updating: 2}
		f.registers = [16]uint8{rtcSeconds: c.second, rtcMinutes: c.minute, rtcHours: c.hour,
			rtcDay: c.day, rtcMonth: c.month, rtcYear: c.year, rtcStatusB: c.format}
		if got := readRTC(f); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
}

// TestReadRTCWithoutOne checks that a machine whose ports answer nothing gets some time, and doesn't hang.
func TestReadRTCWithoutOne(t *testing.T) {
	f := &fakeRTC{updating: 1 << 30}
	if got := readRTC(f); got.After(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v of a clock that never answers", got)
	}
}
