package health

import "math"

// tail is the chance of at least k failures in n payments that each fail with chance p.
func tail(n, k int, p float64) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	// From the term of k upwards: above the mean, where it is asked for, each term is smaller than the one before.
	lgN, _ := math.Lgamma(float64(n + 1))
	lgK, _ := math.Lgamma(float64(k + 1))
	lgR, _ := math.Lgamma(float64(n - k + 1))
	term := math.Exp(lgN - lgK - lgR + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	sum := 0.0
	for i := k; i <= n; i++ {
		sum += term
		term *= float64(n-i) / float64(i+1) * p / (1 - p)
	}
	return min(sum, 1)
}

// limits lists, for every number of payments up to n, how many failures among them are too many to come by chance alpha at rate p. A number
// above its index says that so few payments cannot prove it.
func limits(n int, p, alpha float64) []int {
	out := make([]int, n+1)
	k := 1
	for i := range out {
		for k <= i && tail(i, k, p) >= alpha {
			k++
		}
		out[i] = k // it never falls as i grows
	}
	return out
}
