package token

import (
	"encoding/base64"
	"fmt"

	"github.com/whet-edge/whet/format"
)

// Op is the name of the header's step that holds a tokenizer.
const Op = "tokenizer"

// chunk is how many bytes of a charsmap one text of the header holds.
const chunk = 24 << 10

// FromHeader returns the tokenizer that travels in a model's header.
func FromHeader(h *format.Header) (*Tokenizer, error) {
	for _, t := range h.Pre {
		if t.Op == Op {
			return FromTransform(t)
		}
	}
	return nil, fmt.Errorf("the model has no tokenizer; convert it again with --tokenizer FILE")
}

// Transform returns the description as a step for format.Header.Pre; the caller
// names the input tensor.
func (s *Spec) Transform() format.Transform {
	a := format.Attrs{"model": s.Model, "vocab": s.Vocab}
	for name, list := range map[string][]string{"normalize": s.Normalize, "split": s.Split, "added": s.Added, "finish": s.Finish, "pair": s.Pair, "decode": s.Decode} {
		if len(list) > 0 {
			a[name] = list
		}
	}
	if len(s.Scores) > 0 {
		a["scores"] = s.Scores
	}
	if len(s.Merges) > 0 {
		a["merges"] = s.Merges
	}
	var parts []string
	for b := s.Charsmap; len(b) > 0; {
		n := min(chunk, len(b))
		parts = append(parts, base64.StdEncoding.EncodeToString(b[:n]))
		b = b[n:]
	}
	if parts != nil {
		a["charsmap"] = parts
	}
	return format.Transform{Op: Op, Attrs: a}
}

// FromTransform is the inverse of [Spec.Transform].
func FromTransform(t format.Transform) (*Tokenizer, error) {
	s := &Spec{}
	texts := map[string]*[]string{"vocab": &s.Vocab, "normalize": &s.Normalize, "split": &s.Split, "added": &s.Added, "finish": &s.Finish, "pair": &s.Pair, "decode": &s.Decode}
	for name, v := range t.Attrs {
		ok := false
		switch name {
		case "model":
			s.Model, ok = v.(string)
		case "scores":
			s.Scores, ok = v.([]float64)
		case "merges":
			s.Merges, ok = v.([]int64)
		case "charsmap":
			var parts []string
			if parts, ok = v.([]string); !ok {
				break
			}
			for _, p := range parts {
				b, err := base64.StdEncoding.DecodeString(p)
				if err != nil {
					return nil, fmt.Errorf("tokenizer: charsmap: %w", err)
				}
				s.Charsmap = append(s.Charsmap, b...)
			}
		default:
			if list := texts[name]; list != nil {
				*list, ok = v.([]string)
			}
		}
		if !ok {
			return nil, fmt.Errorf("tokenizer: attribute %q is unknown or of the wrong type", name)
		}
	}
	return New(s)
}
