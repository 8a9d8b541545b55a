package ground

import "testing"

func TestMissedTick(t *testing.T) {
	for _, c := range []struct {
		before, now uint64
		missed      bool
	}{{5, 5, false}, {5, 6, false}, {59, 0, false}, {5, 7, true}, {58, 0, true}, {59, 1, true}, {5, 4, true}} {
		if missedTick(c.before, c.now) != c.missed {
			t.Errorf("%d, then %d: missed is %v", c.before, c.now, !c.missed)
		}
	}
}
