package stage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
)

// A Kind is the type of an attribute.
type Kind byte

// The kinds, with the types that their values have in [format.Attrs].
const (
	Int    Kind = iota // int64
	Ints               // []int64
	Float              // float64
	Floats             // []float64
	Text               // string
	Bool               // bool
	Texts              // []string
)

// Kinds are the attributes of a step of pre- or postprocessing.
type Kinds map[string]Kind

// Check refuses attributes that a step does not have, and those of another kind.
func (k Kinds) Check(a format.Attrs) error {
	for name, v := range a {
		kind, ok := k[name]
		if !ok {
			return fmt.Errorf("attribute %q is unknown", name)
		}
		switch v.(type) {
		case int64:
			ok = kind == Int
		case []int64:
			ok = kind == Ints
		case float64:
			ok = kind == Float
		case []float64:
			ok = kind == Floats
		case string:
			ok = kind == Text
		case bool:
			ok = kind == Bool
		case []string:
			ok = kind == Texts
		default:
			ok = false
		}
		if !ok {
			return fmt.Errorf("attribute %q is a %T", name, v)
		}
	}
	return nil
}

// Parse reads the attributes of a stage; lists have slashes or commas between
// their numbers.
func (k Kinds) Parse(s Stage) (format.Attrs, error) {
	a := format.Attrs{}
	for name, text := range s.Attrs {
		kind, ok := k[name]
		if !ok {
			return nil, fmt.Errorf("%s: attribute %q is unknown", s.Op, name)
		}
		v, err := kind.parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s=%q: %w", s.Op, name, text, err)
		}
		a[name] = v
	}
	return a, nil
}

func (k Kind) parse(text string) (any, error) {
	switch k {
	case Text:
		return text, nil
	case Bool:
		return strconv.ParseBool(text)
	case Texts:
		return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '/' }), nil
	}
	var ints []int64
	var floats []float64
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '/' }) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || v-v != 0 || (k == Int || k == Ints) && v != float64(int64(v)) {
			return nil, errors.New("not a number, or not a whole one where that is needed")
		}
		ints, floats = append(ints, int64(v)), append(floats, v)
	}
	if len(ints) == 0 || len(ints) > 1 && (k == Int || k == Float) {
		return nil, errors.New("one number is needed")
	}
	switch k {
	case Int:
		return ints[0], nil
	case Ints:
		return ints, nil
	case Float:
		return floats[0], nil
	}
	return floats, nil
}
