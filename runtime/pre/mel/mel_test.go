package mel

import (
	_ "embed"
	"encoding/json"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/golden.json
var goldenJSON []byte

// sound is that of testdata/golden.py.
func sound() []int {
	s := make([]int, 2048)
	for i := range s {
		s[i] = (i*i*31+i*7)%2001 - 1000
	}
	return s
}

func golden(t *testing.T) (g struct {
	Mel, MFCC []float64
	Micro     [][]uint16
}) {
	t.Helper()
	if err := json.Unmarshal(goldenJSON, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestLibrosa(t *testing.T) {
	var y []float32
	for _, v := range sound() {
		y = append(y, float32(v)/1024)
	}
	g := golden(t)
	base := Params{Rate: 16000, FFT: 400, Hop: 256, Shape: "hann", Center: true, Pad: "reflect", Power: 2, Mels: 20, Norm: true, Log: "none"}
	mfcc := base
	mfcc.HTK, mfcc.Norm, mfcc.Low, mfcc.High = true, false, 100, 7000
	mfcc.Log, mfcc.Range, mfcc.MFCC, mfcc.Lifter = "db", 80, 13, 22
	for name, c := range map[string]struct {
		p    Params
		want []float64
	}{"mel": {base, g.Mel}, "mfcc": {mfcc, g.MFCC}} {
		s, err := New(c.p)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Compute(y)
		if len(got) != len(c.want) || len(got) != s.Frames(len(y))*s.Width() {
			t.Fatalf("%s: %d values, want %d", name, len(got), len(c.want))
		}
		most := slices.Max(c.want)
		for i, w := range c.want {
			if d := math.Abs(float64(got[i]) - w); !(d <= 1e-5*most) {
				t.Fatalf("%s: value %d is %v, want %v", name, i, got[i], w)
			}
		}
	}
}

func TestMicro(t *testing.T) {
	m, err := NewMicro(MicroParams{Step: 10})
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]uint16
	for _, v := range sound() { // sample by sample: a frame comes when it is full
		frames = append(frames, m.Push([]int16{int16(30 * v)})...)
	}
	if d := cmp.Diff(golden(t).Micro, frames); d != "" {
		t.Error(d)
	}
}

func TestFFT(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 30, 64, 400} {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(i*i%11) - 5
		}
		got := make([]float64, n/2+1)
		NewFFT(n).Power(got, x)
		for k := range got {
			var sum complex128
			for i, v := range x {
				sum += complex(v, 0) * cmplx.Rect(1, -2*math.Pi*float64(i*k%n)/float64(n))
			}
			want := real(sum)*real(sum) + imag(sum)*imag(sum)
			if math.Abs(got[k]-want) > 1e-10*float64(n*n) {
				t.Errorf("%d points, bin %d: %v, want %v", n, k, got[k], want)
			}
		}
	}
}

func TestUnit(t *testing.T) {
	for n := 1; n < 40; n++ {
		for k := -n; k <= 2*n; k++ {
			if d := cmplx.Abs(unit(k, n) - cmplx.Rect(1, 2*math.Pi*float64(k)/float64(n))); d > 1e-14 {
				t.Errorf("unit(%d, %d) is %v, off by %g", k, n, unit(k, n), d)
			}
		}
	}
}

// A tone keeps its pitch and loudness; one that the lower rate cannot hold goes.
func TestResample(t *testing.T) {
	tone := func(hz float64, rate, n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / float64(rate)))
		}
		return s
	}
	for _, to := range []int{8000, 22050, 48000} {
		got := Resample(tone(440, 16000, 4000), 16000, to)
		want := tone(440, to, len(got))
		if len(got) != (4000*to+15999)/16000 {
			t.Errorf("%d Hz: %d samples", to, len(got))
		}
		for i := len(got) / 4; i < len(got)*3/4; i++ {
			if math.Abs(float64(got[i]-want[i])) > 1e-3 {
				t.Fatalf("%d Hz: sample %d is %v, want %v", to, i, got[i], want[i])
			}
		}
	}
	high := Resample(tone(6000, 16000, 4000), 16000, 8000)
	for _, v := range high[500:1500] {
		if math.Abs(float64(v)) > 1e-3 {
			t.Fatalf("6 kHz at 8000 samples a second: %v is left", v)
		}
	}
}

func TestParams(t *testing.T) {
	good := Params{Rate: 16000, FFT: 512, Hop: 160, Shape: "hann", Pad: "constant", Power: 2, Mels: 40, Log: "none"}
	for name, change := range map[string]func(*Params){
		"rate": func(p *Params) { p.Rate = 0 }, "fft": func(p *Params) { p.FFT = 1 }, "window": func(p *Params) { p.Window = 513 },
		"hop": func(p *Params) { p.Hop = 0 }, "shape": func(p *Params) { p.Shape = "x" }, "pad": func(p *Params) { p.Pad = "x" },
		"power": func(p *Params) { p.Power = 3 }, "bands": func(p *Params) { p.Low = 9000 }, "log": func(p *Params) { p.Log = "x" },
		"coefficients": func(p *Params) { p.MFCC = 41 }, "floor": func(p *Params) { p.Floor = math.NaN() },
	} {
		p := good
		change(&p)
		if _, err := New(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewMicro(MicroParams{Rate: 1}); err == nil {
		t.Error("a rate of 1 is accepted")
	}
	s, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Compute(make([]float32, 511)); len(got) != 0 {
		t.Errorf("%d values of a sound shorter than a frame", len(got))
	}
}
