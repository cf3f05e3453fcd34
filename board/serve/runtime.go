package serve

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

// Runtime is the [Engine] on package runtime.
type Runtime struct {
	Options []runtime.Option // level and threads
}

type loaded struct {
	base    *format.Model // the file
	model   *format.Model // with the delta, if any; shares the base's constants
	prog    *runtime.Program
	in, out []oip.Spec
}

// openModel reads a model file and applies a delta to it. The result lives as
// long as base is open.
func openModel(path string, delta []byte) (base, m *format.Model, err error) {
	base, err = format.Open(path)
	if err != nil || delta == nil {
		return base, base, err
	}
	d, err := format.DeltaFromBytes(delta)
	if err == nil {
		m, err = format.Apply(base, d)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), base.Close())
	}
	return base, m, nil
}

// Open implements [Engine].
func (r Runtime) Open(path string, delta []byte) (Model, error) {
	base, m, err := openModel(path, delta)
	if err != nil {
		return nil, err
	}
	prog, err := runtime.Compile(m, r.Options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), base.Close())
	}
	return &loaded{base: base, model: m, prog: prog, in: specs(prog.Inputs()), out: specs(prog.Outputs())}, nil
}

func specs(infos []runtime.Info) []oip.Spec {
	out := make([]oip.Spec, len(infos))
	for i, t := range infos {
		out[i] = oip.Spec(t)
	}
	return out
}

func (l *loaded) Digest() string      { return hex.EncodeToString(l.base.Header.Digest[:]) }
func (l *loaded) Inputs() []oip.Spec  { return l.in }
func (l *loaded) Outputs() []oip.Spec { return l.out }
func (l *loaded) Labels() []string    { return l.model.Header.Labels }
func (l *loaded) Memory() int64       { return int64(l.prog.WeightBytes()) + int64(l.prog.ArenaBytes()) }
func (l *loaded) Close() error        { return l.base.Close() }

// Sense implements [Model]: a sound if a step of the first input's
// preprocessing has a rate, else a picture if a step makes one, or if the input
// looks like one.
func (l *loaded) Sense() Sense {
	if len(l.in) == 0 {
		return Sense{Kind: "numbers"}
	}
	in := l.in[0]
	s := Sense{Kind: "numbers", Elements: in.Shape.Elems()}
	picture := in.Type.Bits() == 8 && len(in.Shape) == 4 && in.Shape[0] == 1 && (in.Shape[3] == 1 || in.Shape[3] == 3)
	for _, t := range l.model.Header.Pre {
		if t.Tensor != "" && t.Tensor != in.Name {
			continue
		}
		if rate := t.Attrs.Int("rate", 0); rate > 0 {
			return Sense{Kind: "audio", Rate: rate, Samples: t.Attrs.Int("samples", s.Elements), Elements: s.Elements}
		}
		if t.Op == "image" {
			picture = true
			if size := t.Attrs.Ints("size"); len(size) == 2 {
				s.Height, s.Width = int(size[0]), int(size[1])
			}
		}
	}
	if !picture {
		return s
	}
	s.Kind = "image"
	if s.Height == 0 && len(in.Shape) == 4 {
		s.Height, s.Width = in.Shape[1], in.Shape[2]
	}
	if len(in.Shape) == 4 {
		s.Channels = in.Shape[3]
	}
	return s
}

func (l *loaded) Decode(media string, body []byte) ([][]byte, error) {
	pipes, err := pre.ForModel(l.model)
	if err != nil {
		return nil, err
	}
	if len(pipes) != 1 {
		return nil, fmt.Errorf("the model has %d inputs: give them as tensors", len(pipes))
	}
	var a *pre.Array
	switch {
	case strings.HasPrefix(media, "audio/"):
		a, err = pre.ReadWAV(bytes.NewReader(body))
	case media == mediaRow:
		a, err = pre.ReadNumbers(bytes.NewReader(body))
	default:
		a, err = pre.ReadImage(bytes.NewReader(body))
	}
	if err != nil {
		return nil, err
	}
	in := make([]byte, pipes[0].Size())
	return [][]byte{in}, pipes[0].Put(in, a)
}

func (l *loaded) NewSession() (Session, error) {
	s := &session{s: l.prog.NewSession(), out: make([][]byte, len(l.out))}
	for i := range l.in {
		s.in = append(s.in, s.s.Input(i).Bytes())
	}
	for i := range l.out {
		s.out[i] = s.s.Output(i).Bytes()
	}
	return s, nil
}

type session struct {
	s       *runtime.Session
	in, out [][]byte
}

func (s *session) Run(ctx context.Context, in [][]byte) ([][]byte, error) {
	for i, b := range in {
		if copy(s.in[i], b) != len(b) {
			return nil, fmt.Errorf("input %d has %d bytes, the model takes %d", i, len(b), len(s.in[i]))
		}
	}
	s.s.Reset()
	if err := s.s.Run(ctx); err != nil {
		return nil, err
	}
	return s.out, nil
}

func (s *session) Close() { s.s.Close() }
