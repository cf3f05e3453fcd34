package tflite

import (
	"bytes"
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/tools/convert/internal/ziptest"
)

// archive returns the files of testdata/ops.zip, which testdata/make.py made with
// TensorFlow's converter and LiteRT.
func archive(t testing.TB) map[string][]byte { return ziptest.Files(t, "testdata/ops.zip") }

// TestAgainstLiteRT compares each model with LiteRT: floats within 1e-5 of the greatest
// number, codes within one, other numbers exactly.
func TestAgainstLiteRT(t *testing.T) {
	files := archive(t)
	models := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		stem, ok := strings.CutSuffix(name, ".tflite")
		if !ok {
			continue
		}
		models++
		t.Run(stem, func(t *testing.T) {
			arrays := func(kind string) (list []*pre.Array) {
				for i := 0; files[stem+kind+strconv.Itoa(i)+".npy"] != nil; i++ {
					a, err := pre.ReadNPY(bytes.NewReader(files[stem+kind+strconv.Itoa(i)+".npy"]))
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, a)
				}
				return list
			}
			m, err := Import(name, files[name], Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := format.Check(m); err != nil {
				t.Fatal(err)
			}
			p, err := runtime.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			s := p.NewSession()
			for i, x := range arrays(".in") {
				copy(s.Input(i).Bytes(), x.Data)
			}
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			want := arrays(".out")
			if len(want) != len(p.Outputs()) {
				t.Fatalf("%d outputs, want %d", len(p.Outputs()), len(want))
			}
			for i, w := range want {
				differ(t, s.Output(i), w)
			}
		})
	}
	if models < 60 {
		t.Errorf("%d models", models)
	}
}

func differ(t *testing.T, got *runtime.Tensor, want *pre.Array) {
	if got.Type != want.Type || !got.Shape.Equal(want.Shape) {
		t.Errorf("%s is %v %v, want %v %v", got.Name, got.Type, got.Shape, want.Type, want.Shape)
		return
	}
	a := &pre.Array{Type: got.Type, Shape: got.Shape, Data: got.Bytes()}
	numbers := func(a *pre.Array) (list []float64) {
		if a.Type == format.Float32 {
			v, err := a.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				list = append(list, float64(x))
			}
			return list
		}
		if a.Type == format.Bool {
			for _, x := range a.Data {
				list = append(list, float64(x))
			}
			return list
		}
		v, err := a.Ints()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range v {
			list = append(list, float64(x))
		}
		return list
	}
	g, w := numbers(a), numbers(want)
	diff, most := 0.0, 0.0
	for i := range g {
		diff, most = max(diff, math.Abs(g[i]-w[i])), max(most, math.Abs(w[i]))
	}
	limit := 0.0
	switch {
	case got.Type == format.Float32:
		limit = 1e-5 * most
	case got.Quant != nil:
		limit = 1
	}
	if !(diff <= limit) {
		t.Errorf("%s differs by %g of at most %g: %v, want %v", got.Name, diff, most, g[:min(8, len(g))], w[:min(8, len(w))])
	}
}

func TestSignatures(t *testing.T) {
	b := archive(t)["signatures.tflite"]
	for signature, op := range map[string]string{"": "Mul", "double": "Mul", "negate": "Neg"} {
		m, err := Import("f", b, Options{Signature: signature})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Main().Nodes[0].Op; got != op {
			t.Errorf("signature %q is %s", signature, got)
		}
	}
	if _, err := Import("f", b, Options{Signature: "halve"}); err == nil || !strings.Contains(err.Error(), `["double" "negate"]`) {
		t.Errorf("error %v", err)
	}
}

// Damaged sparse weights and options of custom operators give errors, or other
// numbers.
func TestDamagedParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	files := archive(t)
	refused := 0
	for _, name := range []string{"sparse.tflite", "detection.tflite", "while.tflite"} {
		for range 400 {
			b := slices.Clone(files[name])
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			if _, err := importBytes(b, Options{}); err != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("no damage is found")
	}
	for range 5000 {
		b := make([]byte, rnd.IntN(40))
		for i := range b {
			b[i] = byte(rnd.IntN(40))
		}
		if n := len(b); n > 2 {
			b[n-2] = kindMap<<2 | byte(rnd.IntN(4))
		}
		_, _ = flexMap(b)
	}
}
