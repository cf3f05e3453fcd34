package pre

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime/pre/mel"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// A Pipeline fills one input tensor of a model from samples. It is immutable
// and safe for concurrent use.
type Pipeline struct {
	in    *format.Tensor
	elems int // of the input
	steps []step

	// picture is the implied step of a model without steps, or nil.
	picture step

	planar    bool             // the input is [1,c,h,w] or [c,h,w]
	tokens    *token.Tokenizer // the model's, or nil
	takesText bool             // there is a step tokens or bytes
	columns   *Columns         // of the step columns, or nil
	geometry  func(h, w int) Placement
	hop, lead int // of the step stream; hop 0: there is none
}

// A step changes the sample's values on their way.
type step func(v *values) error

// values is a sample between two steps.
type values struct {
	plane        // pictures; other samples are h=1, c=1
	image bool   // pixels: no step has made them real numbers yet
	rate  int    // of sounds
	what  string // "picture", "sound", "vector" or "array", for errors

	text   string // of a sample that is text, until a step takes it
	isText bool
	whole  bool // sounds are not cut to the length of the input: it is fed piece by piece
}

// New prepares the steps of a model's header for one of its inputs; first says
// whether it is the model's first input.
func New(steps []format.Transform, in *format.Tensor, first bool) (*Pipeline, error) {
	k, err := tokenizer(steps)
	if err != nil {
		return nil, err
	}
	return forInput(steps, in, first, k)
}

// tokenizer returns the one among the steps, or nil.
func tokenizer(steps []format.Transform) (*token.Tokenizer, error) {
	for _, t := range steps {
		if t.Op == token.Op {
			return token.FromTransform(t)
		}
	}
	return nil, nil
}

func forInput(steps []format.Transform, in *format.Tensor, first bool, k *token.Tokenizer) (*Pipeline, error) {
	p := &Pipeline{in: in, elems: in.Shape.Elems(), tokens: k}
	if p.elems < 0 {
		return nil, fmt.Errorf("input %q has no fixed shape", in.Name)
	}
	var own []format.Transform
	for _, t := range steps {
		if t.Op == token.Op {
			continue
		}
		p.takesText = p.takesText || t.Tensor == in.Name && (t.Op == "tokens" || t.Op == "bytes")
		if t.Tensor == in.Name || t.Tensor == "" && first {
			own = append(own, t)
		}
	}
	if len(own) == 0 && p.takesPixels() {
		var err error
		if p.picture, err = p.imageStep(nil); err != nil {
			return nil, fmt.Errorf("input %q as a picture: %w", in.Name, err)
		}
	}
	for i, t := range own {
		s, err := p.step(t)
		if err != nil {
			return nil, fmt.Errorf("preprocessing step %d (%s) of input %q: %w", i, t.Op, in.Name, err)
		}
		if s != nil {
			p.steps = append(p.steps, s)
		}
	}
	return p, nil
}

// ForModel prepares the steps for all inputs of a model's main graph.
func ForModel(m *format.Model) ([]*Pipeline, error) {
	k, err := tokenizer(m.Header.Pre)
	if err != nil {
		return nil, err
	}
	var out []*Pipeline
	for i, in := range m.Main().Inputs {
		p, err := forInput(m.Header.Pre, m.Tensor(in.Tensor), i == 0, k)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// takesPixels reports whether the input looks like the pixels of a picture.
func (p *Pipeline) takesPixels() bool {
	s := p.in.Shape
	return p.in.Type.Bits() == 8 && len(s) == 4 && s[0] == 1 && (s[3] == 1 || s[3] == 3)
}

// pixels returns the size of the picture that the input's shape is, zeros if it
// is none, and notes whether its channels come first.
func (p *Pipeline) pixels() (h, w, c int) {
	s := p.in.Shape
	if len(s) == 4 && s[0] == 1 {
		s = s[1:]
	}
	colours := func(n int) bool { return n == 1 || n == 3 }
	switch {
	case len(s) == 3 && !colours(s[2]) && colours(s[0]):
		p.planar = true
		return s[1], s[2], s[0]
	case len(s) == 3:
		return s[0], s[1], s[2]
	case len(s) == 2:
		return s[0], s[1], 1
	}
	return 0, 0, 0
}

// Input returns the tensor that the pipeline fills.
func (p *Pipeline) Input() *format.Tensor { return p.in }

// Size returns the bytes of the input tensor.
func (p *Pipeline) Size() int { return p.in.Type.Bytes(p.elems) }

func (p *Pipeline) step(t format.Transform) (step, error) {
	spec, ok := stepSpecs[t.Op]
	if !ok {
		return nil, fmt.Errorf("this version has no such step")
	}
	if t.Op != token.Op {
		if err := spec.attrs.Check(t.Attrs); err != nil {
			return nil, err
		}
	}
	return spec.build(p, t.Attrs)
}

func (p *Pipeline) imageStep(a format.Attrs) (step, error) {
	h, w, c := p.pixels()
	if size := a.Ints("size"); len(size) == 2 {
		h, w = int(size[0]), int(size[1])
	} else if a["size"] != nil {
		return nil, fmt.Errorf("size must be [height, width]")
	}
	if h <= 0 || w <= 0 || h > maxPixels/w {
		return nil, fmt.Errorf("size %dx%d", h, w)
	}
	fit, filter, fill := a.Str("fit", "stretch"), a.Str("filter", "bilinear"), a.Int("fill", 0)
	order := "rgb"
	if c == 1 {
		order = "gray"
	}
	order = a.Str("order", order)
	if !slices.Contains([]string{"stretch", "crop", "pad", "corner"}, fit) || fill < 0 || fill > 255 || filter != "bilinear" && filter != "antialias" ||
		order != "rgb" && order != "bgr" && order != "gray" {
		return nil, fmt.Errorf("fit %q, filter %q, order %q, fill %d: one is unknown", fit, filter, order, fill)
	}
	p.geometry = func(sh, sw int) Placement { return place(fit, sh, sw, h, w) }
	return func(v *values) error {
		if v.what == "vector" && (v.w == h*w || v.w == 3*h*w) { // pixels of the right size without their shape
			v.h, v.w, v.c, v.what = h, w, v.w/(h*w), "array"
		}
		if v.c != 1 && v.c != 3 || v.h*v.w == 0 || v.what == "sound" || v.what == "vector" {
			return fmt.Errorf("a %s of shape [%d,%d,%d] given where a picture is needed", v.what, v.h, v.w, v.c)
		}
		at := place(fit, v.h, v.w, h, w)
		if fit == "crop" {
			v.plane = v.crop(h, w)
		}
		if fit == "pad" || fit == "corner" {
			v.plane = v.resize(at.h, at.w, filter == "antialias").frame(h, w, at.y, at.x, float32(fill))
		} else {
			v.plane = v.resize(h, w, filter == "antialias")
		}
		v.plane = v.reorder(order)
		v.image = true
		return nil
	}, nil
}

func (p *Pipeline) audioStep(a format.Attrs) (step, error) {
	rate, n, peak := a.Int("rate", 0), a.Int("samples", p.elems), a.Bool("peak", false)
	if rate <= 0 || n <= 0 || n > MaxBytes/4 {
		return nil, fmt.Errorf("rate %d, samples %d", rate, n)
	}
	return func(v *values) error {
		if v.c == 0 || v.isText {
			return fmt.Errorf("a %s given where a sound is needed", v.what)
		}
		mono := make([]float32, v.w)
		for i := range mono {
			for _, x := range v.v[i*v.c : (i+1)*v.c] {
				mono[i] += x
			}
			mono[i] /= float32(v.c)
		}
		if v.rate != 0 {
			mono = mel.Resample(mono, v.rate, rate)
		}
		if peak {
			louder(mono)
		}
		if v.whole {
			v.plane, v.image = plane{1, len(mono), 1, mono}, false
			return nil
		}
		out := plane{1, n, 1, make([]float32, n)}
		// A long sound keeps its middle, a short one is laid into the middle.
		src, dst := max(0, (len(mono)-n)/2), max(0, (n-len(mono))/2)
		copy(out.v[dst:], mono[src:min(src+n, len(mono))])
		v.plane, v.image = out, false
		return nil
	}, nil
}

// louder scales a sound so that its loudest sample is 1 or -1.
func louder(v []float32) {
	var top float32
	for _, x := range v {
		top = max(top, x, -x)
	}
	if top > 0 {
		for i := range v {
			v[i] /= top
		}
	}
}

func (p *Pipeline) normalizeStep(a format.Attrs) (step, error) {
	mean, scale := a.Floats("mean"), a.Floats("scale")
	if len(mean) == 0 {
		mean = []float64{0}
	}
	if len(scale) == 0 {
		scale = []float64{1}
	}
	return func(v *values) error {
		for _, l := range [][]float64{mean, scale} {
			if len(l) != 1 && len(l) != v.c {
				return fmt.Errorf("%d values given for %d channels", len(l), v.c)
			}
		}
		for k := range v.c {
			m, s := float32(mean[k%len(mean)]), float32(scale[k%len(scale)])
			for i := k; i < len(v.v); i += v.c {
				v.v[i] = (v.v[i] - m) * s
			}
		}
		v.image = false
		return nil
	}, nil
}

// Put writes the input tensor's bytes for a sample to dst, which has the
// tensor's size.
func (p *Pipeline) Put(dst []byte, a *Array) error {
	if len(dst) != p.Size() {
		return fmt.Errorf("input %q needs %d bytes, not %d", p.in.Name, p.Size(), len(dst))
	}
	steps := p.steps
	switch {
	case a.file:
		if a.Type != p.in.Type || !sameLayout(a.Shape, p.in.Shape) {
			return p.mismatch(a)
		}
		copy(dst, a.Data)
		return nil
	case a.text && !p.takesText && p.columns == nil:
		return fmt.Errorf("input %q takes no text: the model has no tokenizer; convert it again with --tokenizer", p.in.Name)
	case a.image && len(steps) == 0:
		if p.picture == nil {
			return fmt.Errorf("the model does not say how a picture becomes its input %q (%v %v); convert it again with the picture's mean and scale, or give a .npy",
				p.in.Name, p.in.Type, []int(p.in.Shape))
		}
		steps = []step{p.picture}
	case a.Type == p.in.Type && a.Elems() == p.elems && !a.image && !a.text && a.Rate == 0 &&
		(a.Type != format.Float32 || len(steps) == 0):
		copy(dst, a.Data)
		return nil
	case a.Type != format.Float32 && len(steps) == 0:
		return p.mismatch(a)
	}
	v, err := p.run(a, steps, false)
	if err != nil {
		return err
	}
	if len(v.v) != p.elems {
		return p.mismatch(a)
	}
	return p.store(dst, v.v, v.image)
}

// run takes a sample through the steps.
func (p *Pipeline) run(a *Array, steps []step, whole bool) (*values, error) {
	if a.text {
		v := &values{text: string(a.Data), isText: true, what: "text"}
		return v, v.through(steps)
	}
	f, err := a.Float32s()
	if err != nil {
		return nil, err
	}
	v := &values{plane: plane{1, len(f), 1, f}, image: a.image, rate: a.Rate, what: "array", whole: whole}
	switch s := a.Shape; {
	case a.Rate != 0:
		v.what, v.w, v.c = "sound", s[0], s[1]
	case a.image:
		v.what = "picture"
		fallthrough
	case len(s) == 3:
		v.h, v.w, v.c = s[0], s[1], s[2]
	case len(s) == 4 && s[0] == 1:
		v.h, v.w, v.c = s[1], s[2], s[3]
	case len(s) == 2 && len(p.in.Shape) == 4:
		v.h, v.w = s[0], s[1]
	case len(s) == 1:
		v.what = "vector"
	}
	if err := v.through(steps); err != nil {
		return nil, err
	}
	if p.planar && v.image || p.planar && p.geometry != nil {
		v.plane = v.planes()
	}
	return v, nil
}

func (v *values) through(steps []step) error {
	for _, s := range steps {
		if err := s(v); err != nil {
			return err
		}
	}
	if v.isText {
		return fmt.Errorf("the input takes no text")
	}
	return nil
}

// sameLayout reports whether two shapes differ in dimensions of size 1 only.
// PutChanged is [Pipeline.Put] of a sound after change was at a copy of it: channels values
// at a time, in [-1, 1). It reports false, and leaves dst alone, if a is no sound.
func (p *Pipeline) PutChanged(dst []byte, a *Array, change func(sound []float32, channels int)) (bool, error) {
	if a.Rate == 0 || len(a.Shape) != 2 {
		return false, nil
	}
	sound, err := a.Float32s()
	if err != nil {
		return false, err
	}
	change(sound, a.Shape[1])
	changed := floats(sound, a.Shape...)
	changed.Rate = a.Rate
	return true, p.Put(dst, changed)
}

func sameLayout(a, b format.Shape) bool {
	one := func(d int) bool { return d == 1 }
	return slices.Equal(slices.DeleteFunc(slices.Clone(a), one), slices.DeleteFunc(slices.Clone(b), one))
}

func (p *Pipeline) mismatch(a *Array) error {
	return fmt.Errorf("input %q needs %v %v, the data is %v %v", p.in.Name, p.in.Type, []int(p.in.Shape), a.Type, []int(a.Shape))
}

// store writes the values in the tensor's type.
func (p *Pipeline) store(dst []byte, v []float32, image bool) error {
	var lo, hi int32
	switch p.in.Type {
	case format.Float32:
		for i, x := range v {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
		}
		return nil
	case format.Int32:
		for i, x := range v {
			binary.LittleEndian.PutUint32(dst[4*i:], uint32(int32(x)))
		}
		return nil
	case format.Int64:
		for i, x := range v {
			binary.LittleEndian.PutUint64(dst[8*i:], uint64(int64(x)))
		}
		return nil
	case format.Int8:
		lo, hi = math.MinInt8, math.MaxInt8
	case format.Uint8:
		lo, hi = 0, math.MaxUint8
	case format.Int16:
		lo, hi = math.MinInt16, math.MaxInt16
	default:
		return fmt.Errorf("input %q of type %v takes only .npy data of its own type", p.in.Name, p.in.Type)
	}
	scale, zero := float32(1), int32(0)
	switch q := p.in.Quant; {
	case image && p.in.Type.Bits() == 8:
		if p.in.Type == format.Int8 {
			zero = -128
		}
	case q != nil && len(q.Scale) == 1:
		scale, zero = q.Scale[0], q.ZeroPoint()
	case q != nil:
		return fmt.Errorf("input %q is quantized with %d scales, not one", p.in.Name, len(q.Scale))
	}
	for i, x := range v {
		if x != x {
			return fmt.Errorf("value %d of the data is not a number", i)
		}
		q := kernels.QuantizeOne(x, scale, zero, lo, hi)
		if p.in.Type.Bits() == 8 {
			dst[i] = byte(q)
		} else {
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(q))
		}
	}
	return nil
}

// Extensions are the files that ReadFile understands.
var Extensions = []string{".npy", ".png", ".jpg", ".jpeg", ".bmp", ".wav", ".csv", ".txt"}

// ReadFile reads one sample, by the extension of its file.
func ReadFile(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var a *Array
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		if a, err = ReadNPY(f); err == nil {
			a.file = true
		}
	case ".png", ".jpg", ".jpeg", ".bmp":
		a, err = ReadImage(f)
	case ".wav":
		a, err = ReadWAV(f)
	case ".csv", ".txt":
		a, err = ReadNumbers(f)
	default:
		err = fmt.Errorf("a sample must be one of %s", strings.Join(Extensions, " "))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}
