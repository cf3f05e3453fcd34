package mel

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/kernels"
)

// Params describe a spectrogram with the names and defaults of librosa 0.11's
// feature.melspectrogram, power_to_db and feature.mfcc.
type Params struct {
	Rate   int    // samples a second
	FFT    int    // samples of a transform, n_fft
	Window int    // samples of the window within it, win_length; 0: all
	Hop    int    // samples from one frame to the next, hop_length
	Shape  string // of the window: "hann", "hamming" or "ones"
	Center bool   // frames are centred on multiples of Hop, the ends padded
	Pad    string // with "constant" zeros or a "reflect"ion

	Power float64 // of the magnitudes: 1 or 2
	Mels  int     // bands; 0: the spectrum itself
	Low   float64 // Hz
	High  float64 // Hz; 0: half the rate
	HTK   bool    // the mel scale of HTK, not Slaney's
	Norm  bool    // Slaney's: the area of each band is the same

	Log   string  // "none", "db", "ln" or "log10"
	Add   float64 // ln and log10: added before the logarithm
	Floor float64 // the least value under the logarithm, amin; default 1e-10
	Ref   float64 // db: the value of 0 dB; 0: the largest
	Range float64 // db: what is that far below the largest is raised, top_db; 0: off

	MFCC   int     // coefficients; 0: none
	Lifter float64 // 0: none
}

// A Spectrogram computes the frames that Params describe. It is immutable and
// safe for concurrent use.
type Spectrogram struct {
	p      Params
	fft    *FFT
	window []float64
	bands  []band
	dct    [][]float64 // [coefficient][band]
}

// A band is a row of the filter bank: its weights from bin first on.
type band struct {
	first  int
	weight []float64
}

// New checks the parameters and prepares the tables.
func New(p Params) (*Spectrogram, error) {
	if p.Window == 0 {
		p.Window = p.FFT
	}
	if p.High == 0 {
		p.High = float64(p.Rate) / 2
	}
	if p.Floor == 0 {
		p.Floor = 1e-10
	}
	const most = 1 << 16
	switch {
	case p.Rate <= 0 || p.Rate > 1<<20, p.FFT <= 1 || p.FFT > most, p.Window < 1 || p.Window > p.FFT, p.Hop < 1 || p.Hop > most:
		return nil, fmt.Errorf("rate %d, fft %d, window %d, hop %d: out of range", p.Rate, p.FFT, p.Window, p.Hop)
	case !slices.Contains([]string{"hann", "hamming", "ones"}, p.Shape):
		return nil, fmt.Errorf("shape %q: hann, hamming and ones are known", p.Shape)
	case p.Pad != "constant" && p.Pad != "reflect":
		return nil, fmt.Errorf("pad %q: constant and reflect are known", p.Pad)
	case p.Power != 1 && p.Power != 2:
		return nil, fmt.Errorf("power %v: 1 and 2 are known", p.Power)
	case p.Mels < 0 || p.Mels > 1024, !(p.Low >= 0 && p.Low < p.High && p.High <= float64(p.Rate)):
		return nil, fmt.Errorf("%d bands from %v to %v Hz: out of range", p.Mels, p.Low, p.High)
	case !slices.Contains([]string{"none", "db", "ln", "log10"}, p.Log):
		return nil, fmt.Errorf("log %q: none, db, ln and log10 are known", p.Log)
	case !(p.Floor > 0) || !(p.Ref >= 0) || !(p.Range >= 0) || !(p.Add >= 0):
		return nil, fmt.Errorf("floor %v, ref %v, range %v, add %v: out of range", p.Floor, p.Ref, p.Range, p.Add)
	}
	s := &Spectrogram{p: p, fft: NewFFT(p.FFT), window: window(p.Shape, p.Window, p.FFT)}
	if p.Mels > 0 {
		s.bands = bands(&p)
	}
	if p.MFCC < 0 || p.MFCC > s.bins() || p.MFCC > 0 && p.Mels == 0 {
		return nil, fmt.Errorf("%d coefficients of %d bands", p.MFCC, p.Mels)
	}
	s.dct = dct(p.MFCC, s.bins(), p.Lifter)
	return s, nil
}

// window is periodic, as scipy.signal.get_window makes it, in the middle of n.
func window(shape string, size, n int) []float64 {
	a := map[string]float64{"hann": 0.5, "hamming": 0.54, "ones": 1}[shape]
	w := make([]float64, n)
	for i := range size {
		w[(n-size)/2+i] = a - float64((1-a)*real(unit(i, size)))
	}
	return w
}

// hertz and mels convert to and from the scale: HTK's 2595 log10(1 + f/700), or
// Slaney's, which is linear up to 1 kHz and logarithmic above.
func hertz(m float64, htk bool) float64 {
	switch {
	case htk:
		return 700 * kernels.Expm1(m/htkFactor)
	case m < slaneyKnee:
		return m * slaneyStep
	}
	return 1000 * kernels.Exp(float64((m-slaneyKnee)*slaneyLog))
}

func mels(f float64, htk bool) float64 {
	switch {
	case htk:
		return htkFactor * kernels.Log(1+f/700)
	case f < 1000:
		return f / slaneyStep
	}
	return slaneyKnee + kernels.Log(f/1000)/slaneyLog
}

const (
	htkFactor  = 2595 / math.Ln10
	slaneyStep = 200.0 / 3
	slaneyKnee = 1000 / slaneyStep
)

var slaneyLog = kernels.Log(6.4) / 27

// bands are triangles between neighbouring centres, as librosa.filters.mel.
func bands(p *Params) []band {
	lo, hi := mels(p.Low, p.HTK), mels(p.High, p.HTK)
	at := make([]float64, p.Mels+2)
	for i := range at {
		at[i] = hertz(lo+float64((hi-lo)*float64(i))/float64(p.Mels+1), p.HTK)
	}
	out := make([]band, p.Mels)
	for b := range out {
		left, mid, right := at[b], at[b+1], at[b+2]
		for k := range p.FFT/2 + 1 {
			f := float64(k) * float64(p.Rate) / float64(p.FFT)
			w := max(0, min((f-left)/(mid-left), (right-f)/(right-mid)))
			if p.Norm {
				w *= 2 / (right - left)
			}
			if w == 0 && len(out[b].weight) == 0 {
				out[b].first = k + 1
			} else if w > 0 {
				out[b].weight = append(out[b].weight, w)
			}
		}
	}
	return out
}

// dct is the orthonormal DCT-II, with HTK's liftering.
func dct(count, n int, lifter float64) [][]float64 {
	rows := make([][]float64, count)
	for k := range rows {
		rows[k] = make([]float64, n)
		scale := math.Sqrt(2 / float64(n))
		if k == 0 {
			scale = math.Sqrt(1 / float64(n))
		}
		if lifter > 0 {
			// librosa: 1 + lifter/2 sin(π(k+1)/lifter).
			scale *= 1 + float64(lifter/2*sin(math.Pi*float64(k+1)/lifter))
		}
		for i := range rows[k] {
			rows[k][i] = scale * real(unit(k*(2*i+1), 4*n))
		}
	}
	return rows
}

// sin is within 1e-9, which is what a factor of float32 features needs.
func sin(x float64) float64 {
	const steps = 1 << 30
	return imag(unit(int(int64(math.Round(x/(2*math.Pi)*steps))%steps), steps))
}

func (s *Spectrogram) bins() int {
	if s.p.Mels > 0 {
		return s.p.Mels
	}
	return s.p.FFT/2 + 1
}

// Width returns the number of values of a frame.
func (s *Spectrogram) Width() int {
	if s.p.MFCC > 0 {
		return s.p.MFCC
	}
	return s.bins()
}

// Frames returns the number of frames of a sound of n samples.
func (s *Spectrogram) Frames(n int) int {
	if s.p.Center {
		n += s.p.FFT / 2 * 2
	}
	if n < s.p.FFT {
		return 0
	}
	return (n-s.p.FFT)/s.p.Hop + 1
}

// Compute returns the frames of a sound, one after the other.
func (s *Spectrogram) Compute(sound []float32) []float32 {
	p := &s.p
	n := s.Frames(len(sound))
	bins := s.bins()
	rows := make([]float64, n*bins)
	frame := make([]float64, p.FFT)
	power := make([]float64, p.FFT/2+1)
	first := 0
	if p.Center {
		first = -(p.FFT / 2)
	}
	for t := range n {
		for i := range frame {
			frame[i] = float64(s.window[i] * s.sample(sound, first+t*p.Hop+i))
		}
		s.fft.Power(power, frame)
		if p.Power == 1 {
			for i, v := range power {
				power[i] = math.Sqrt(v)
			}
		}
		row := rows[t*bins : (t+1)*bins]
		if p.Mels == 0 {
			copy(row, power)
			continue
		}
		for b, f := range s.bands {
			sum := 0.0
			for k, w := range f.weight {
				sum += float64(w * power[f.first+k])
			}
			row[b] = sum
		}
	}
	s.logarithm(rows)
	return s.cepstrum(rows)
}

// sample returns a sample of the padded sound.
func (s *Spectrogram) sample(sound []float32, i int) float64 {
	n := len(sound)
	if i >= 0 && i < n {
		return float64(sound[i])
	}
	if s.p.Pad == "constant" || n < 2 {
		return 0
	}
	i = (i%(2*n-2) + 2*n - 2) % (2*n - 2) // the ends are not repeated
	return float64(sound[min(i, 2*n-2-i)])
}

func (s *Spectrogram) logarithm(v []float64) {
	p := &s.p
	if p.Log == "none" || len(v) == 0 {
		return
	}
	factor := 1.0
	switch p.Log {
	case "db":
		factor = 10 / math.Ln10
	case "log10":
		factor = 1 / math.Ln10
	}
	for i, x := range v {
		v[i] = factor * kernels.Log(max(p.Floor, x+p.Add))
	}
	if p.Log != "db" {
		return
	}
	top := slices.Max(v)
	ref := factor * kernels.Log(max(p.Floor, p.Ref))
	if p.Ref == 0 {
		ref = top
	}
	for i := range v {
		v[i] -= ref
	}
	if p.Range > 0 {
		for i := range v {
			v[i] = max(v[i], top-ref-p.Range)
		}
	}
}

// cepstrum takes the cosine transform of each row, if asked to, and rounds.
func (s *Spectrogram) cepstrum(rows []float64) []float32 {
	bins, width := s.bins(), s.Width()
	out := make([]float32, len(rows)/bins*width)
	for i := range out {
		row := rows[i/width*bins:][:bins]
		if s.p.MFCC == 0 {
			out[i] = float32(row[i%width])
			continue
		}
		sum := 0.0
		for b, c := range s.dct[i%width] {
			sum += float64(c * row[b])
		}
		out[i] = float32(sum)
	}
	return out
}
