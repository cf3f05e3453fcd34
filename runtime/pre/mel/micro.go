package mel

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/whet-edge/whet/kernels"
)

// MicroParams describe TensorFlow Lite Micro's audio front end ("microfrontend"),
// which micro_speech and microWakeWord models were trained with. The zero value
// of a field stands for the default of those models.
type MicroParams struct {
	Rate     int     // samples a second; 16000
	Window   int     // milliseconds of a frame; 30
	Step     int     // milliseconds from one frame to the next; 20 (microWakeWord: 10)
	Channels int     // 40
	Low      float64 // Hz; 125
	High     float64 // Hz; 7500
}

// Micro is that front end: a fixed-point pipeline of window, FFT, mel filter
// bank, square root, noise reduction, per-channel gain control (PCAN) and
// logarithm. It carries the noise estimate from frame to frame, so one Micro
// serves one sound, and only one goroutine.
type Micro struct {
	size, step int
	window     []int32
	fft        *fixedFFT
	channels   int
	first      int          // of the bins that count
	weights    [][][2]int64 // of each channel's rise and of the fall of the one before; its bins follow that one's
	gains      [125]int16
	noise      []uint32
	pending    []int16
}

const (
	windowBits    = 12
	filterBits    = 12
	noiseBits     = 14
	smoothingBits = 10
	gainBits      = 21
	snrBits       = 12
	outputBits    = 6
	logScaleBits  = 16
	logSegments   = 7 // as a power of two
	logShift      = 6
)

// NewMicro prepares the front end.
func NewMicro(p MicroParams) (*Micro, error) {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&p.Rate, 16000)
	def(&p.Window, 30)
	def(&p.Step, 20)
	def(&p.Channels, 40)
	if p.Low == 0 {
		p.Low = 125
	}
	if p.High == 0 {
		p.High = 7500
	}
	m := &Micro{size: p.Rate * p.Window / 1000, step: p.Rate * p.Step / 1000, channels: p.Channels}
	if p.Rate < 1000 || p.Rate > 1<<20 || p.Window < 1 || p.Window > 1000 || m.step < 1 || m.step > m.size || p.Channels < 1 || p.Channels > 256 ||
		!(p.Low >= 0 && p.Low < p.High && p.High <= float64(p.Rate)/2) {
		return nil, fmt.Errorf("rate %d, window %d ms, step %d ms, %d channels from %v to %v Hz: out of range", p.Rate, p.Window, p.Step, p.Channels, p.Low, p.High)
	}
	n := 4
	for n < m.size {
		n *= 2
	}
	m.fft = newFixedFFT(n)
	m.window = make([]int32, m.size)
	step := 2 * float32(math.Pi) / float32(m.size)
	for i := range m.window {
		// Hann's window at the middle of the sample. Rounded to 12 bits, it is the
		// same on machines whose cosines are not.
		w := 0.5 - 0.5*float32(math.Cos(float64(step*(float32(i)+0.5))))
		m.window[i] = int32(math.Floor(float64(w*(1<<windowBits) + 0.5)))
	}
	m.filters(p)
	m.noise = make([]uint32, p.Channels)
	m.setGains()
	return m, nil
}

// filters lays out the bank: channel c rises from centre c-1 to centre c and
// falls to centre c+1; the falling weight is one less the rising one of the next
// channel, rounded by itself. The arithmetic is float32, as in the original.
func (m *Micro) filters(p MicroParams) {
	mel := func(f float32) float32 { return 1127 * float32(kernels.Log(1+float64(f/700))) }
	fixed := func(w float32) int64 { return int64(math.Floor(float64(w*(1<<filterBits) + 0.5))) }
	perBin := float32(0.5*float64(p.Rate)) / float32(len(m.fft.bins())-1)
	m.first = int(1.5 + float32(p.Low)/perBin)
	lo, hi := mel(float32(p.Low)), mel(float32(p.High))
	spacing := (hi - lo) / float32(p.Channels+1)
	bin, before := m.first, lo
	for c := range p.Channels + 1 {
		centre := lo + float32(spacing*float32(c+1))
		var w [][2]int64
		for mel(float32(bin)*perBin) <= centre {
			rise := (centre - mel(float32(bin)*perBin)) / (centre - before)
			w = append(w, [2]int64{fixed(rise), fixed(1 - rise)})
			bin++
		}
		m.weights = append(m.weights, w)
		before = centre
	}
}

// correction is by how many bits a channel's value is smaller than its spectrum.
func (m *Micro) correction() int { return bits.Len(uint(m.fft.n)) - 1 - filterBits/2 }

// setGains tabulates 2^21 (x+80)^-0.95 over powers of two, with the coefficients
// of a parabola through three points of each.
func (m *Micro) setGains() {
	inputBits := smoothingBits - m.correction()
	strength := float64(float32(0.95))
	at := func(x uint32) int32 {
		v := float32(x)/float32(int64(1)<<inputBits) + 80
		g := float32(1<<gainBits) * float32(kernels.Exp(float64(-strength*kernels.Log(float64(v)))))
		return int32(min(g, math.MaxInt16) + 0.5)
	}
	m.gains[0], m.gains[1] = int16(min(at(0), math.MaxInt16)), int16(min(at(1), math.MaxInt16))
	for i := 2; i <= 32; i++ {
		x0 := uint32(1) << (i - 1)
		x2 := 2 * x0
		if i == 32 {
			x2 = math.MaxUint32
		}
		y0, y1, y2 := at(x0), at(x0+x0/2), at(x2)
		a1 := 4*(y1-y0) - (y2 - y0)
		if k := 4*i - 6; k+2 < len(m.gains) {
			m.gains[k], m.gains[k+1], m.gains[k+2] = int16(y0), int16(a1), int16(y2-y0-a1)
		}
	}
}

// Push takes samples of 16 bits and returns the frames that they complete, each
// of Width values in 0 to about 670.
func (m *Micro) Push(samples []int16) [][]uint16 {
	m.pending = append(m.pending, samples...)
	var out [][]uint16
	for len(m.pending) >= m.size {
		out = append(out, m.frame(m.pending[:m.size]))
		m.pending = append(m.pending[:0], m.pending[m.step:]...)
	}
	return out
}

// Width returns the number of values of a frame.
func (m *Micro) Width() int { return m.channels }

func (m *Micro) frame(samples []int16) []uint16 {
	x := make([]int16, m.fft.n)
	largest := int16(0)
	for i, s := range samples {
		x[i] = int16(int32(s) * m.window[i] >> windowBits)
		largest = max(largest, x[i], -x[i])
	}
	shift := 15 - bits.Len16(uint16(largest))
	for i := range x {
		x[i] <<= shift
	}
	values := m.channelValues(m.fft.transform(x), shift)
	out := make([]uint16, m.channels)
	for c, v := range values {
		v = m.denoise(c, v)
		v = shrink(uint32(uint64(v) * uint64(uint32(m.gain(m.noise[c]))) >> (gainBits - m.correction() - snrBits)))
		if k := m.correction(); k < 0 {
			v >>= -k
		} else {
			v <<= k
		}
		if v > 1 {
			v = logarithm(v)
		} else {
			v = 0
		}
		out[c] = uint16(min(v, math.MaxUint16))
	}
	return out
}

// channelValues returns the square roots of the energies of the channels.
func (m *Micro) channelValues(bins [][2]int16, shift int) []uint32 {
	out := make([]uint32, 0, m.channels)
	var falling uint64
	bin := m.first
	for c, weights := range m.weights {
		sum, next := falling, uint64(0)
		for _, w := range weights {
			re, im := int32(bins[bin][0]), int32(bins[bin][1])
			energy := uint64(uint32(re*re) + uint32(im*im))
			sum += uint64(w[0]) * energy
			next += uint64(w[1]) * energy
			bin++
		}
		falling = next
		if c > 0 {
			out = append(out, root(sum)>>shift)
		}
	}
	return out
}

// root is the square root rounded to the nearest; within 32 bits it saturates at
// 16, as the original does.
func root(v uint64) uint32 {
	r := uint64(math.Sqrt(float64(v)))
	for r*r > v {
		r--
	}
	for (r+1)*(r+1) <= v {
		r++
	}
	if v-r*r > r && !(v>>32 == 0 && r == math.MaxUint16) && r != math.MaxUint32 {
		r++
	}
	return uint32(r)
}

// denoise subtracts the running estimate of a channel's noise, down to a
// twentieth of the signal.
func (m *Micro) denoise(c int, v uint32) uint32 {
	const even, odd, least = 409, 983, 819 // 0.025, 0.06 and 0.05 of 2^14
	smoothing := uint64(even)
	if c%2 == 1 {
		smoothing = odd
	}
	scaled := v << smoothingBits
	estimate := uint32((uint64(scaled)*smoothing + uint64(m.noise[c])*(1<<noiseBits-smoothing)) >> noiseBits)
	m.noise[c] = estimate
	estimate = min(estimate, scaled)
	return max((scaled-estimate)>>smoothingBits, uint32(uint64(v)*least>>noiseBits))
}

// gain interpolates the table.
func (m *Micro) gain(x uint32) int16 {
	if x <= 2 {
		return m.gains[x]
	}
	k := bits.Len32(x)
	y := m.gains[4*k-6:]
	frac := int32(x >> max(k-11, 0) << max(11-k, 0) & 0x3ff)
	v := int32(y[2])*frac>>5 + int32(uint32(int32(y[1]))<<5)
	return int16((v*frac+1<<14)>>15 + int32(y[0]))
}

// shrink is quadratic for small values and linear for large ones.
func shrink(x uint32) uint32 {
	if x < 2<<snrBits {
		return x * x >> (2 + 2*snrBits - outputBits)
	}
	return x>>(snrBits-outputBits) - 1<<outputBits
}

// logTable holds log2(1+x) - x at 128 places, in 2^-16.
var logTable = func() (t [1<<logSegments + 2]int32) {
	for i := range 1 << logSegments {
		x := float64(i) / (1 << logSegments)
		t[i] = int32(math.Round((kernels.Log(1+x)/math.Ln2 - x) * (1 << logScaleBits)))
	}
	return t
}()

// logarithm is ln(x) in 2^-6.
func logarithm(x uint32) uint32 {
	const lnTwo = 45426 // ln 2 in 2^-16
	whole := bits.Len32(x) - 1
	frac := int32(int64(x) - int64(1)<<whole)
	if whole < logScaleBits {
		frac <<= logScaleBits - whole
	} else {
		frac >>= whole - logScaleBits
	}
	seg := frac >> (logScaleBits - logSegments)
	a, b := logTable[seg], logTable[seg+1]
	frac += a + (b-a)*(frac-seg<<(logScaleBits-logSegments))>>logScaleBits
	const half = 1 << (logScaleBits - 1)
	log2 := uint64(whole)<<logScaleBits + uint64(frac)
	ln := uint32((lnTwo*log2 + half) >> logScaleBits)
	return (ln<<logShift + half) >> logScaleBits
}
