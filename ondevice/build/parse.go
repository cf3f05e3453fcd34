package build

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Parse reads layers that are written as one line, with a plus between them:
//
//	conv(FILTERS,KERNEL)  maxpool(SIZE)  avgpool(SIZE)  globalavg  flatten
//	dense(UNITS)  lstm(UNITS)  and the activations by their names
//
// Behind the sizes may follow an activation, an initializer (glorot,
// glorot-normal, he, he-uniform, orthogonal, zeros), stride=N and same for conv,
// sequence for lstm, and name=NAME. A size n stands for classes.
func Parse(line string, classes int) ([]Layer, error) {
	var list []Layer
	for part := range strings.SplitSeq(line, "+") {
		l, err := parseLayer(strings.TrimSpace(part), classes)
		if err != nil {
			return nil, fmt.Errorf("build: layer %q: %w", strings.TrimSpace(part), err)
		}
		list = append(list, l)
	}
	return list, nil
}

// written is a layer as it was written.
type written struct {
	sizes          []int
	name, act      string
	init           Init
	stride         int
	same, sequence bool
}

// layerKinds are the layers by name: how many sizes each takes, and what else.
var layerKinds = map[string]struct {
	sizes int
	takes string
	layer func(w *written) Layer
}{
	"conv": {2, "activation init stride same", func(w *written) Layer {
		return Conv{w.name, w.sizes[0], w.sizes[1], w.stride, w.same, w.act, w.init}
	}},
	"maxpool":   {1, "", func(w *written) Layer { return MaxPool{w.name, w.sizes[0]} }},
	"avgpool":   {1, "", func(w *written) Layer { return AvgPool{w.name, w.sizes[0]} }},
	"globalavg": {0, "", func(w *written) Layer { return GlobalAverage{w.name} }},
	"flatten":   {0, "", func(w *written) Layer { return Flatten{w.name} }},
	"dense":     {1, "activation init", func(w *written) Layer { return Dense{w.name, w.sizes[0], w.act, w.init} }},
	"lstm":      {1, "init sequence", func(w *written) Layer { return LSTM{w.name, w.sizes[0], w.sequence, w.init} }},
}

func parseLayer(s string, classes int) (Layer, error) {
	kind, rest, open := strings.Cut(s, "(")
	var fields []string
	if open {
		inside, closed := strings.CutSuffix(rest, ")")
		if !closed {
			return nil, fmt.Errorf("a closing bracket is missing")
		}
		fields = strings.Split(inside, ",")
	}
	spec, known := layerKinds[kind]
	if _, act := activations[kind]; act && len(fields) == 0 {
		return Activated{Kind: kind}, nil
	}
	if !known {
		return nil, fmt.Errorf("no layer is called %q", kind)
	}
	w := &written{}
	for _, f := range fields {
		what, err := w.field(strings.TrimSpace(f), classes)
		if err != nil {
			return nil, err
		}
		if what != "" && !strings.Contains(spec.takes, what) {
			return nil, fmt.Errorf("%s takes no %s", kind, what)
		}
	}
	if len(w.sizes) != spec.sizes {
		return nil, fmt.Errorf("%d sizes are given; %s takes %d", len(w.sizes), kind, spec.sizes)
	}
	return spec.layer(w), nil
}

// field reads one field and says what it is, "" for what every layer has.
func (w *written) field(f string, classes int) (what string, err error) {
	key, value, named := strings.Cut(f, "=")
	n, err := strconv.Atoi(f)
	switch {
	case err == nil:
		w.sizes = append(w.sizes, n)
	case f == "n" && classes > 0:
		w.sizes = append(w.sizes, classes)
	case f == "n":
		return "", fmt.Errorf("how many classes n is, is not said")
	case named && key == "name":
		w.name = value
	case named && key == "stride":
		if w.stride, err = strconv.Atoi(value); err != nil {
			return "", fmt.Errorf("stride %q is not a number", value)
		}
		return "stride", nil
	case f == "same":
		w.same = true
		return f, nil
	case f == "sequence":
		w.sequence = true
		return f, nil
	case slices.Contains(inits, Init(f)):
		w.init = Init(f)
		return "init", nil
	default:
		if _, ok := activations[f]; !ok {
			return "", fmt.Errorf("%q is neither a size, an activation nor an initializer", f)
		}
		w.act = f
		return "activation", nil
	}
	return "", nil
}
