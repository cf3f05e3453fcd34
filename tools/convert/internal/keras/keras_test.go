package keras

import (
	"bytes"
	"context"
	"math"
	"path/filepath"
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

// archive returns the files of testdata/models.zip, which testdata/make.py made
// with Keras.
func archive(t testing.TB) map[string][]byte { return ziptest.Files(t, "testdata/models.zip") }

// vectors returns NAME.in0.npy and so on.
func vectors(t *testing.T, files map[string][]byte, stem string) (list []*format.Tensor) {
	for i := 0; ; i++ {
		b, ok := files[stem+strconv.Itoa(i)+".npy"]
		if !ok {
			return list
		}
		a, err := pre.ReadNPY(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, &format.Tensor{Type: a.Type, Shape: a.Shape, Data: a.Data})
	}
}

// TestModels runs every model and compares it with what Keras computed: the
// greatest difference must be within 1e-5 of the greatest number.
func TestModels(t *testing.T) {
	files := archive(t)
	models := 0
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range files {
			if !yield(name) {
				return
			}
		}
	}) {
		ext := filepath.Ext(name)
		if ext == ".npy" {
			continue
		}
		models++
		t.Run(name, func(t *testing.T) {
			stem := strings.TrimSuffix(name, ext)
			compare(t, name, files[name], vectors(t, files, stem+".in"), vectors(t, files, stem+".out"))
		})
	}
	if models < 300 {
		t.Errorf("%d models", models)
	}
}

func compare(t *testing.T, name string, b []byte, in, out []*format.Tensor) {
	m, err := Import(name, b, Options{})
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
	if len(in) != len(p.Inputs()) || len(out) != len(p.Outputs()) || len(out) == 0 {
		t.Fatalf("%d inputs and %d outputs, want %d and %d", len(p.Inputs()), len(p.Outputs()), len(in), len(out))
	}
	for run := range in[0].Shape[0] { // several runs of a model with state
		for i, x := range in {
			n := len(s.Input(i).Bytes())
			if len(x.Data) != n*in[0].Shape[0] {
				t.Fatalf("input %d takes %d bytes, not %d", i, n, len(x.Data))
			}
			copy(s.Input(i).Bytes(), x.Data[run*n:])
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i, y := range out {
			got := s.Output(i)
			if want := slices.Concat(format.Shape{y.Shape[0] / in[0].Shape[0]}, y.Shape[1:]); !got.Shape.Equal(want) {
				t.Errorf("output %d is of shape %v, want %v", i, got.Shape, want)
				continue
			}
			n := got.Shape.Elems()
			diff, most := 0.0, 0.0
			for k, v := range got.Float32() {
				want := math.Float32frombits(uint32(y.Data[4*(run*n+k)]) | uint32(y.Data[4*(run*n+k)+1])<<8 | uint32(y.Data[4*(run*n+k)+2])<<16 | uint32(y.Data[4*(run*n+k)+3])<<24)
				diff, most = max(diff, math.Abs(float64(v-want))), max(most, math.Abs(float64(want)))
			}
			if !(diff <= 1e-5*most) {
				t.Errorf("output %d differs by %g of at most %g", i, diff, most)
			}
		}
	}
}
