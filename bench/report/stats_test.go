package report

import (
	"math/rand/v2"
	"testing"
)

// The ranks of the usual tables of distribution-free intervals of the median.
func TestRankOfInterval(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 5: 1, 6: 1, 8: 1, 9: 2, 10: 2, 11: 2, 12: 3, 15: 4, 20: 6, 30: 10, 100: 40} {
		if got := rank(n); got != want {
			t.Errorf("rank(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	if got, want := medianOf([]float64{3, 1, 2}), (Median{2, 1, 3, 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	ten := []float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	if got, want := medianOf(ten), (Median{5.5, 2, 9, 10}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if ten[0] != 10 {
		t.Error("the values were sorted in place")
	}
}

// The interval of a skewed distribution holds its median as often as promised.
func TestIntervalHoldsTheMedian(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const median = 0.6931471805599453 // of the exponential distribution
	const times = 10_000
	held := 0
	for range times {
		values := make([]float64, 10)
		for i := range values {
			values[i] = r.ExpFloat64()
		}
		if m := medianOf(values); m.Low <= median && median <= m.High {
			held++
		}
	}
	if share := float64(held) / times; share < 0.97 || share > 0.99 { // 1002/1024 for n = 10, k = 2
		t.Errorf("the interval of 10 values holds the median in %.3f of all cases, want 0.979", share)
	}
}
