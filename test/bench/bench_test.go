// Package bench times whole models and checks what the profile says of them.
// It needs real .tflite models: WHET_MATERIAL names the folder that holds them.
//
//	WHET_MATERIAL=DIR go test -bench . ./test/bench
package bench

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert"
)

// benched are the models that the benchmarks run.
var benched = []struct{ name, path string }{
	{"MobileNetV2_1.0_224_uint8", "coral/mobilenet_v2_1.0_224_quant.tflite"},
	{"MobileNetV1_0.25_128_uint8", "coral/mobilenet_v1_0.25_128_quant.tflite"},
	{"ResNet8_int8", "mlperf-tiny/models/image_classification__pretrainedResnet_quant.tflite"},
	{"ResNet8_float32", "mlperf-tiny/models/image_classification__pretrainedResnet.tflite"},
	{"KWS_int8", "mlperf-tiny/models/keyword_spotting__kws_ref_model.tflite"},
	{"VWW_int8", "mlperf-tiny/models/visual_wake_words__vww_96_int8.tflite"},
	{"VWW_float32", "mlperf-tiny/models/visual_wake_words__vww_96_float.tflite"},
	{"AD_int8", "mlperf-tiny/models/anomaly_detection__ad01_int8.tflite"},
}

func material(tb testing.TB) string {
	dir := os.Getenv("WHET_MATERIAL")
	if dir == "" {
		tb.Skip("SKIPPED: WHET_MATERIAL names no folder of real models")
	}
	return dir
}

func compile(tb testing.TB, path string, opts ...runtime.Option) *runtime.Program {
	tb.Helper()
	m, err := convert.Import(path)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := runtime.Compile(m, opts...)
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return p
}

func BenchmarkModel(b *testing.B) {
	dir := material(b)
	for _, m := range benched {
		b.Run(m.name, func(b *testing.B) {
			p := compile(b, filepath.Join(dir, m.path), runtime.WithThreads(1))
			s := p.NewSession()
			ctx := context.Background()
			var macs int64
			for _, st := range p.Steps() {
				macs += st.MACs
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Run(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(macs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}

// BenchmarkOpen times the two halves of a start: reading and checking the file,
// and compiling, most of which is packing weights.
func BenchmarkOpen(b *testing.B) {
	dir := material(b)
	for _, m := range benched {
		model, err := convert.Import(filepath.Join(dir, m.path))
		if err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(b.TempDir(), "m.whet")
		if err := format.WriteFile(path, model); err != nil {
			b.Fatal(err)
		}
		b.Run(m.name+"/open", func(b *testing.B) {
			for b.Loop() {
				m, err := format.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				m.Close()
			}
		})
		b.Run(m.name+"/compile", func(b *testing.B) {
			for b.Loop() {
				if _, err := runtime.Compile(model, runtime.WithThreads(1)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestNoAllocation holds Run to its word on every model.
func TestNoAllocation(t *testing.T) {
	forEachModel(t, func(t *testing.T, path string) {
		for _, threads := range []int{1, 2} {
			s := compile(t, path, runtime.WithThreads(threads)).NewSession()
			ctx := context.Background()
			if n := testing.AllocsPerRun(5, func() {
				if err := s.Run(ctx); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%d threads: %v allocations a run", threads, n)
			}
		}
	})
}

// TestAssemblyShare asks that at least 95 % of the multiply-accumulates of
// every convolutional model run in assembly, at every level above the portable one.
func TestAssemblyShare(t *testing.T) {
	forEachModel(t, func(t *testing.T, path string) {
		for _, l := range kernels.Levels() {
			if l == kernels.Generic {
				continue
			}
			var asm, all int64
			conv := false
			for _, st := range compile(t, path, runtime.WithLevel(l)).Steps() {
				all += st.MACs
				if st.Asm {
					asm += st.MACs
				}
				conv = conv || strings.HasPrefix(st.Op, "Conv")
			}
			if !conv {
				continue
			}
			share := float64(asm) / float64(all)
			t.Logf("%v: %.2f %% of %.1f MMAC", l, 100*share, float64(all)/1e6)
			if share < 0.95 {
				t.Errorf("%v: only %.1f %% of the MACs run in assembly", l, 100*share)
			}
		}
	})
}

func forEachModel(t *testing.T, f func(t *testing.T, path string)) {
	dir := material(t)
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".tflite" {
			return err
		}
		n++
		t.Run(filepath.Base(path), func(t *testing.T) { f(t, path) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatalf("%s holds no .tflite", dir)
	}
}
