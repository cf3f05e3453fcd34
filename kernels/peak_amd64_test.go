//go:build amd64 && !purego

package kernels

import (
	"testing"

	"github.com/whet-edge/whet/kernels/internal/peak"
)

// BenchmarkPeak gives the multiply-adds a second that the other benchmarks are
// to be measured against.
func BenchmarkPeak(b *testing.B) {
	for _, c := range []struct {
		level  Level
		name   string
		rounds func(int)
		macs   int
	}{
		{AVX2, "avx2/int8", peak.RoundsMADD256, 192},
		{AVX2, "avx2/float32", peak.RoundsFMA256, 96},
		{AVX512, "avx512/float32", peak.RoundsFMA512, 384},
		{AVX512VNNI, "avx512vnni/int8", peak.RoundsVNNI512, 1536},
	} {
		if !Has(c.level) {
			continue
		}
		b.Run(c.name, func(b *testing.B) {
			const n = 1000
			for b.Loop() {
				c.rounds(n)
			}
			b.ReportMetric(float64(n*c.macs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
