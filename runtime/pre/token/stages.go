package token

import (
	"fmt"
	"strconv"

	"github.com/whet-edge/whet/runtime/pre/stage"
)

// stageOf is a stage with the number attributes that tokenizers need.
type stageOf struct{ stage.Stage }

func parse(line string) (stageOf, error) {
	s, err := stage.Parse(line)
	if err != nil {
		return stageOf{}, fmt.Errorf("tokenizer: %w", err)
	}
	return stageOf{s}, nil
}

// prepare makes the functions of a list of stages.
func prepare[F any](lines []string, build func(stageOf) (F, error)) ([]F, error) {
	var out []F
	for _, line := range lines {
		st, err := parse(line)
		if err != nil {
			return nil, err
		}
		f, err := build(st)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		out = append(out, f)
	}
	return out, nil
}

// number returns an attribute that is a number of 0 to 2^31-1, def if absent.
func (s stageOf) number(name string, def int) (int, error) {
	v, ok := s.Attrs[name]
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s: %s=%q is not a number", s.Op, name, v)
	}
	return int(n), nil
}

// id returns the attribute id, an id of the vocabulary or of an added token.
func (t *Tokenizer) id(s stageOf) (int32, error) {
	n, err := s.number("id", -1)
	if err == nil && (n < 0 || n >= len(t.spec.Vocab) && t.added.text[int32(n)] == "") {
		err = fmt.Errorf("%s: id %q is not in the vocabulary", s.Op, s.Attrs["id"])
	}
	if err != nil {
		return 0, fmt.Errorf("tokenizer: %w", err)
	}
	return int32(n), nil
}
