package pre

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre/mel"
	"github.com/whet-edge/whet/runtime/pre/stage"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// A stepSpec describes one kind of step.
type stepSpec struct {
	attrs stage.Kinds
	build func(p *Pipeline, a format.Attrs) (step, error)
}

// stepSpecs are the steps of package pre's documentation. The tokenizer step is
// data for the steps tokens.
var stepSpecs map[string]stepSpec

func init() {
	stepSpecs = map[string]stepSpec{
		"image":     {stage.Kinds{"size": stage.Ints, "fit": stage.Text, "filter": stage.Text, "order": stage.Text, "fill": stage.Int}, (*Pipeline).imageStep},
		"audio":     {stage.Kinds{"rate": stage.Int, "samples": stage.Int, "peak": stage.Bool}, (*Pipeline).audioStep},
		"normalize": {stage.Kinds{"mean": stage.Floats, "scale": stage.Floats}, (*Pipeline).normalizeStep},
		"mel": {stage.Kinds{"rate": stage.Int, "fft": stage.Int, "window": stage.Int, "hop": stage.Int, "shape": stage.Text, "center": stage.Bool, "pad": stage.Text,
			"power": stage.Float, "mels": stage.Int, "low": stage.Float, "high": stage.Float, "htk": stage.Bool, "norm": stage.Text,
			"log": stage.Text, "add": stage.Float, "floor": stage.Float, "ref": stage.Float, "range": stage.Float, "mfcc": stage.Int, "lifter": stage.Float}, (*Pipeline).melStep},
		"micro":   {stage.Kinds{"rate": stage.Int, "window": stage.Int, "step": stage.Int, "channels": stage.Int, "low": stage.Float, "high": stage.Float}, (*Pipeline).microStep},
		token.Op:  {nil, func(*Pipeline, format.Attrs) (step, error) { return nil, nil }},
		"tokens":  {stage.Kinds{"give": stage.Text, "length": stage.Int, "pad": stage.Int, "pair": stage.Bool}, (*Pipeline).tokensStep},
		"bytes":   {stage.Kinds{"begin": stage.Int, "end": stage.Int, "pad": stage.Int, "strip": stage.Bool}, (*Pipeline).bytesStep},
		"columns": {columnsAttrs, (*Pipeline).columnsStep},
		"stream":  {stage.Kinds{"hop": stage.Int, "lead": stage.Int}, (*Pipeline).streamStep},
	}
}

// ParseStep reads a step that is written as one line, "mel rate=16000 fft=512
// hop=160 mels=40": its name, then attributes, lists with slashes or commas
// between their numbers. The caller sets the tensor.
func ParseStep(line string) (format.Transform, error) {
	s, err := stage.Parse(line)
	if err != nil {
		return format.Transform{}, err
	}
	spec, ok := stepSpecs[s.Op]
	if !ok || s.Op == token.Op {
		return format.Transform{}, fmt.Errorf("no step is called %q", s.Op)
	}
	a, err := spec.attrs.Parse(s)
	return format.Transform{Op: s.Op, Attrs: a}, err
}

func (p *Pipeline) melStep(a format.Attrs) (step, error) {
	norm := a.Str("norm", "slaney")
	if norm != "slaney" && norm != "none" {
		return nil, fmt.Errorf("norm %q: slaney and none are known", norm)
	}
	s, err := mel.New(mel.Params{
		Rate: a.Int("rate", 0), FFT: a.Int("fft", 0), Window: a.Int("window", 0), Hop: a.Int("hop", 0), Shape: a.Str("shape", "hann"),
		Center: a.Bool("center", true), Pad: a.Str("pad", "constant"), Power: a.Float("power", 2), Mels: a.Int("mels", 0),
		Low: a.Float("low", 0), High: a.Float("high", 0), HTK: a.Bool("htk", false), Norm: norm == "slaney",
		Log: a.Str("log", "none"), Add: a.Float("add", 0), Floor: a.Float("floor", 0), Ref: a.Float("ref", 1), Range: a.Float("range", 0),
		MFCC: a.Int("mfcc", 0), Lifter: a.Float("lifter", 0),
	})
	if err != nil {
		return nil, err
	}
	return func(v *values) error {
		if err := v.mono("mel"); err != nil {
			return err
		}
		f := s.Compute(v.v)
		if len(f) == 0 {
			return fmt.Errorf("a sound of %d samples is too short for one frame", len(v.v))
		}
		v.plane, v.what = plane{len(f) / s.Width(), s.Width(), 1, f}, "spectrogram"
		return nil
	}, nil
}

func (p *Pipeline) microStep(a format.Attrs) (step, error) {
	params := mel.MicroParams{Rate: a.Int("rate", 0), Window: a.Int("window", 0), Step: a.Int("step", 0), Channels: a.Int("channels", 0), Low: a.Float("low", 0), High: a.Float("high", 0)}
	if _, err := mel.NewMicro(params); err != nil {
		return nil, err
	}
	return func(v *values) error {
		if err := v.mono("micro"); err != nil {
			return err
		}
		m, err := mel.NewMicro(params)
		if err != nil {
			return err
		}
		pcm := make([]int16, len(v.v))
		for i, x := range v.v {
			pcm[i] = int16(max(-1<<15, min(1<<15-1, float64(x)*(1<<15))))
		}
		frames := m.Push(pcm)
		if len(frames) == 0 {
			return fmt.Errorf("a sound of %d samples is too short for one frame", len(pcm))
		}
		out := plane{len(frames), m.Width(), 1, nil}
		for _, f := range frames {
			for _, x := range f {
				out.v = append(out.v, float32(x))
			}
		}
		v.plane, v.what = out, "spectrogram"
		return nil
	}, nil
}

func (v *values) mono(step string) error {
	if v.h != 1 || v.c != 1 || v.image || v.text != "" {
		return fmt.Errorf("step %s needs a sound, after the step audio", step)
	}
	return nil
}

func (p *Pipeline) tokensStep(a format.Attrs) (step, error) {
	if p.tokens == nil {
		return nil, errors.New("the model has no tokenizer")
	}
	give, length, pad := a.Str("give", "ids"), a.Int("length", p.elems), a.Int("pad", 0)
	if !slices.Contains([]string{"ids", "mask", "types"}, give) || length != p.elems || pad < 0 {
		return nil, fmt.Errorf("give %q, length %d, pad %d: give is ids, mask or types, length that of the input", give, length, pad)
	}
	pair := a.Bool("pair", false)
	return func(v *values) error {
		if !v.isText {
			return fmt.Errorf("a %s given where a text is needed", v.what)
		}
		ids, n := []int32(nil), 0
		types := make([]int32, length)
		if first, second, two := strings.Cut(v.text, "\t"); two && pair {
			ids, types, n = p.tokens.EncodePairTo(first, second, length, int32(pad))
		} else {
			ids, n = p.tokens.EncodeTo(v.text, length, int32(pad))
		}
		out := plane{1, length, 1, make([]float32, length)}
		for i, id := range ids {
			switch {
			case give == "ids":
				out.v[i] = float32(id)
			case give == "types":
				out.v[i] = float32(types[i])
			case give == "mask" && i < n:
				out.v[i] = 1
			}
		}
		v.plane, v.isText, v.what = out, false, "tokens"
		return nil
	}, nil
}

// whiteBytes are what bytes strip=true takes off both ends of a file.
const whiteBytes = "\t\n\v\f\r "

func (p *Pipeline) bytesStep(a format.Attrs) (step, error) {
	begin, end, pad := a.Int("begin", p.elems), a.Int("end", 0), a.Int("pad", 0)
	if begin < 0 || end < 0 || begin+end != p.elems {
		return nil, fmt.Errorf("begin %d and end %d are not the %d values of the input", begin, end, p.elems)
	}
	strip := a.Bool("strip", false)
	return func(v *values) error {
		if !v.isText {
			return fmt.Errorf("a %s given where a file's bytes are needed", v.what)
		}
		out := plane{1, p.elems, 1, make([]float32, p.elems)}
		for i := range out.v {
			out.v[i] = float32(pad)
		}
		head, tail := v.text, v.text
		if strip {
			head, tail = strings.TrimLeft(head, whiteBytes), strings.TrimRight(tail, whiteBytes)
		}
		for i := range min(begin, len(head)) {
			out.v[i] = float32(head[i])
		}
		for i := range min(end, len(tail)) {
			out.v[p.elems-1-i] = float32(tail[len(tail)-1-i])
		}
		v.plane, v.isText, v.what = out, false, "bytes"
		return nil
	}, nil
}

func (p *Pipeline) streamStep(a format.Attrs) (step, error) {
	p.hop, p.lead = a.Int("hop", 0), a.Int("lead", -1)
	if p.hop < 1 {
		return nil, errors.New("hop must be at least 1")
	}
	return nil, nil
}

// Text reports whether the input is made of a text or of a file's bytes.
func (p *Pipeline) Text() bool { return p.takesText }

// ReadFile reads a sample for this input: the text of a .txt file for one that
// takes tokens, all of a file for one that takes bytes, else as [ReadFile].
func (p *Pipeline) ReadFile(path string) (*Array, error) {
	if ext := strings.ToLower(filepath.Ext(path)); p.columns != nil && (ext == ".csv" || ext == ".txt") {
		return p.columns.readFile(path)
	}
	if !p.takesText {
		return ReadFile(path)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Size() > MaxBytes {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, MaxBytes>>20)
	}
	if strings.HasSuffix(strings.ToLower(path), ".npy") {
		return ReadFile(path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Text(string(b)), nil
}

// Text makes a sample of a text.
func Text(s string) *Array {
	return &Array{Type: format.Uint8, Shape: format.Shape{len(s)}, Data: []byte(s), text: true}
}
