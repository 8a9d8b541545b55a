package report

import "slices"

// Median is a median with an interval that holds the true one with a probability of at least Confidence, if there are
// enough values.
type Median struct {
	Value, Low, High float64
	N                int // values
}

// Confidence is the least probability of an interval.
const Confidence = 0.95

// fewest is the least number of values that have an interval: with fewer, even the smallest and the largest value enclose
// the median too rarely.
const fewest = 6

// medianOf returns the median of values, which must not be empty. The interval lies between two of the values: the k-th
// smallest and the k-th largest enclose the median unless fewer than k of n values fall on one side of it, which is as
// likely as fewer than k heads in n throws of a coin. No distribution is assumed. With fewer than fewest values the
// interval is their range.
func medianOf(values []float64) Median {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	k := rank(n)
	return Median{Value: (s[(n-1)/2] + s[n/2]) / 2, Low: s[k-1], High: s[n-k], N: n}
}

// rank is the largest k whose interval has the confidence, at least 1.
func rank(n int) int {
	// outside is the probability of fewer than k heads, or fewer than k tails; ways are the binomial coefficients of n.
	outside, ways, all := 0.0, 1.0, 1.0
	for range n {
		all *= 2
	}
	k := 1
	for ; k <= n/2; k++ {
		outside += 2 * ways / all // k-1 heads or tails
		if outside > 1-Confidence {
			break
		}
		ways = ways * float64(n-k+1) / float64(k)
	}
	return max(1, k-1)
}
