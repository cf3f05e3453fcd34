package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/post"
	"github.com/whet-edge/whet/runtime/pre/stage"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// describeFlags say what comes before and after the network.
type describeFlags struct {
	pre, post []string
	tokenizer string
}

func (d *describeFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&d.pre, "pre", nil, `a step of preprocessing, such as "mel rate=16000 fft=512 hop=160 mels=40 log=db"; of=NAME names the input if it is not the first (repeatable, in their order)`)
	f.StringArrayVar(&d.post, "post", nil, `a step of postprocessing, such as "boxes form=corners unit=share scores=scores skip=1"; of=NAME names the output if it is not the first (repeatable)`)
	f.StringVar(&d.tokenizer, "tokenizer", "", `tokenizer.json, vocab.txt or tokenizer.bin to put into the model, for --pre "tokens ..."`)
}

func (d *describeFlags) given() bool { return len(d.pre)+len(d.post) > 0 || d.tokenizer != "" }

// apply puts the steps into the model's header. Steps of one input or output
// replace those that the source described for it.
func (d *describeFlags) apply(m *format.Model) error {
	h := &m.Header
	inputs := make([]string, len(m.Main().Inputs))
	for i, in := range m.Main().Inputs {
		inputs[i] = in.Tensor
	}
	var err error
	if len(d.pre) > 0 {
		if h.Pre, err = steps("--pre", d.pre, h.Pre, inputs, pre.ParseStep); err != nil {
			return err
		}
	}
	if len(d.post) > 0 {
		if h.Post, err = steps("--post", d.post, h.Post, m.Main().Outputs, post.ParseStep); err != nil {
			return err
		}
	}
	if d.tokenizer != "" {
		spec, err := token.LoadSpec(d.tokenizer)
		if err != nil {
			return err
		}
		t := spec.Transform()
		t.Tensor = inputs[0]
		h.Pre = append(slices.DeleteFunc(slices.Clone(h.Pre), func(t format.Transform) bool { return t.Op == token.Op }), t)
	}
	if _, err := pre.ForModel(m); err != nil {
		return fmt.Errorf("--pre: %w", err)
	}
	if _, err := post.New(m); err != nil {
		return fmt.Errorf("--post: %w", err)
	}
	return nil
}

func steps(flag string, lines []string, old []format.Transform, names []string, parse func(string) (format.Transform, error)) ([]format.Transform, error) {
	var out []format.Transform
	for _, l := range lines {
		s, err := stage.Parse(l)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %w", flag, err)}
		}
		name, ok := s.Attrs["of"]
		if !ok {
			name = names[0]
		}
		delete(s.Attrs, "of")
		t, err := parse(s.String())
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %w", flag, err)}
		}
		if !slices.Contains(names, name) {
			return nil, usageError{fmt.Errorf("%s %q: the model has %q", flag, l, names)}
		}
		t.Tensor = name
		out = append(out, t)
	}
	return append(slices.DeleteFunc(slices.Clone(old), func(t format.Transform) bool {
		return t.Op != token.Op && slices.ContainsFunc(out, func(n format.Transform) bool { return n.Tensor == t.Tensor })
	}), out...), nil
}
