package ground

import "testing"

// TestScales: a TSC of 2.5 GHz has 0.4 ns a tick, whoever tells so.
func TestScales(t *testing.T) {
	const want = 1 << 32 * 4 / 10
	for _, c := range []struct {
		name string
		got  uint64
	}{
		{"1 ms of the PIT", scaleOf(2_500_000*1194/1193, 1194)},
		{"KVM's clock, shifted right", clockScale(0xcccccccc, -1)},
		{"KVM's clock, not shifted", clockScale(0x66666666, 0)},
		{"KVM's clock, shifted left", clockScale(0x33333333, 1)},
	} {
		if d := float64(c.got)/want - 1; d > 0.0002 || d < -0.0002 {
			t.Errorf("%s: %d, want %d", c.name, c.got, uint64(want))
		}
	}
	if got := scaleOf(0, 1194); got != 0 {
		t.Errorf("a TSC that stands: %d", got)
	}
}

// TestWindowsAgree: two windows end the measurement unless the host has interrupted one of them.
func TestWindowsAgree(t *testing.T) {
	const tsc, pit = 2_500_000, 1194
	for _, c := range []struct {
		name     string
		tsc, pit uint64
		want     bool
	}{
		{"the same", tsc, pit, true},
		{"a tick of the PIT more", tsc, pit + 1, true},
		{"a tick of the PIT less", tsc, pit - 1, true},
		{"twice as long", 2 * tsc, 2 * pit, true},
		{"interrupted for 10 µs where the PIT doesn't see it", tsc + 25_000, pit, false},
		{"interrupted for so long that the PIT has wrapped around", 60 * tsc, 60*pit - 1<<16, false},
	} {
		if agree(tsc, pit, c.tsc, c.pit) != c.want || agree(c.tsc, c.pit, tsc, pit) != c.want {
			t.Errorf("%s: want %v", c.name, c.want)
		}
	}
}
