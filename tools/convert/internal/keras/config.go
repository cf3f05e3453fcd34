package keras

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// A config is the settings of a layer, as JSON has them.
type config map[string]any

func (c config) has(name string) bool { return c[name] != nil }

func (c config) str(name, def string) string {
	if s, ok := c[name].(string); ok {
		return s
	}
	return def
}

func (c config) bool(name string, def bool) bool {
	switch v := c[name].(type) {
	case bool:
		return v
	case float64:
		return v != 0
	}
	return def
}

func (c config) float(name string, def float64) float64 {
	if v, ok := c[name].(float64); ok {
		return v
	}
	return def
}

// maxInt bounds the numbers of a configuration.
const maxInt = 1 << 30

func toInt(v any) int {
	f, ok := v.(float64)
	if !ok || f != f || f < -maxInt || f > maxInt || f != float64(int(f)) {
		net.Fail("%v where an integer is needed", v)
	}
	return int(f)
}

func (c config) int(name string, def int) int {
	if !c.has(name) {
		return def
	}
	return toInt(c[name])
}

// positive is int for what must be at least 1.
func (c config) positive(name string, def int) int {
	n := c.int(name, def)
	if n < 1 {
		net.Fail("%s is %d", name, n)
	}
	return n
}

// ints returns a list of integers; a single number is a list of one.
func (c config) ints(name string) []int {
	switch v := c[name].(type) {
	case nil:
		return nil
	case []any:
		out := make([]int, len(v))
		for i, x := range v {
			out[i] = toInt(x)
		}
		return out
	default:
		return []int{toInt(v)}
	}
}

// each returns a number of at least 1 for each of n dimensions: one number counts
// for all.
func (c config) each(name string, n, def int) []int {
	v := c.ints(name)
	if v == nil {
		v = []int{def}
	}
	if len(v) == 1 {
		v = slices.Repeat(v, n)
	}
	if len(v) != n || slices.Min(v) < 1 {
		net.Fail("%s is %v for %d dimensions", name, c[name], n)
	}
	return v
}

// pairs returns how much lies before and after each of n dimensions: a number, one
// for each dimension, or a pair for each.
func (c config) pairs(name string, n int) (before, after []int) {
	list, ok := c[name].([]any)
	if !ok {
		v := slices.Repeat([]int{c.int(name, 1)}, n)
		before, after = v, v
	} else {
		if n == 1 && len(list) == 2 { // a pair of its own
			list = []any{list}
		}
		for _, e := range list {
			pair, ok := e.([]any)
			if !ok {
				pair = []any{e, e}
			}
			if len(pair) != 2 {
				net.Fail("%s is %v", name, c[name])
			}
			before, after = append(before, toInt(pair[0])), append(after, toInt(pair[1]))
		}
	}
	if len(before) != n || slices.Min(before) < 0 || slices.Min(after) < 0 {
		net.Fail("%s is %v for %d dimensions", name, c[name], n)
	}
	return before, after
}

// object returns a nested object, nil if there is none.
func (c config) object(name string) config {
	v, _ := c[name].(map[string]any)
	return v
}

// dtype returns the type of a layer's numbers, which newer files wrap in a policy.
func (c config) dtype() string {
	if p := c.object("dtype"); p != nil {
		return config(p.object("config")).str("name", "")
	}
	return c.str("dtype", "")
}

// Limits of nesting.
const (
	maxDepth  = 32 // models in models
	maxLayers = 1 << 16
)

// parseModel reads the configuration of a file's outermost model.
func parseModel(b []byte) *layer {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		net.Fail("the model's configuration: %v", err)
	}
	count := 0
	l := parseLayer(c, 0, &count)
	if l.model == nil {
		net.Fail("the file holds a model of class %q: only Sequential and Functional models describe themselves; for others export a TFLite or ONNX model", l.class)
	}
	return l
}

// parseLayer reads the configuration of a layer or model.
func parseLayer(c config, depth int, count *int) *layer {
	if *count++; depth > maxDepth || *count > maxLayers {
		net.Fail("more than %d layers, or models nested deeper than %d", maxLayers, maxDepth)
	}
	l := &layer{class: c.str("class_name", ""), module: c.str("module", "")}
	if list, ok := c["config"].([]any); ok { // a Sequential model of Keras before 2.2.3
		l.cfg = config{"layers": list}
	} else {
		l.cfg = c.object("config")
	}
	if l.cfg == nil {
		l.cfg = config{}
	}
	l.name = l.cfg.str("name", c.str("name", l.class))
	l.frozen = !l.cfg.bool("trainable", true)
	l.function = strings.HasPrefix(l.module, "keras.src.ops") || strings.HasPrefix(l.module, "keras.ops")
	parse := func(v any) *layer {
		e, ok := v.(map[string]any)
		if !ok {
			net.Fail("layer %q: the configuration of a layer in it is missing", l.name)
		}
		return parseLayer(e, depth+1, count)
	}
	list, isModel := l.cfg["layers"].([]any)
	switch {
	case isModel && (l.class == "Sequential" || l.class == "Functional" || l.class == "Model"):
		l.model = &model{name: l.name, cfg: l.cfg, sequential: l.class == "Sequential"}
		for _, v := range list {
			e := parse(v)
			nodes := v.(map[string]any)["inbound_nodes"]
			e.function = e.function || bare(e, nodes)
			l.model.layers = append(l.model.layers, e)
			l.model.nodes = append(l.model.nodes, nodes)
		}
	case l.class == "Bidirectional":
		forward := parse(l.cfg["layer"])
		backward := forward
		if l.cfg.has("backward_layer") {
			backward = parse(l.cfg["backward_layer"])
		} else {
			backward = parse(l.cfg["layer"])
			backward.cfg = maps.Clone(backward.cfg)
			backward.cfg["go_backwards"] = !forward.cfg.bool("go_backwards", false)
		}
		l.subs = []sub{{"forward_layer", forward}, {"backward_layer", backward}}
	case l.class == "TimeDistributed", l.class == "SpectralNormalization":
		l.subs = []sub{{"layer", parse(l.cfg["layer"])}}
	case l.class == "RNN":
		cell := parse(l.cfg["cell"])
		// A cell has the settings of the layer that is made of it.
		for _, key := range []string{"return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask"} {
			cell.cfg[key] = l.cfg[key]
		}
		l.cell = cell
	}
	return l
}

// bare reports whether an entry of a .h5 file of Keras 3, which names no modules, is a
// function: layers say whether they are trained.
func bare(l *layer, nodes any) bool {
	list, _ := nodes.([]any)
	if l.module != "" || l.cfg.has("trainable") || len(list) == 0 {
		return false
	}
	_, dict := list[0].(map[string]any)
	return dict
}

// check lists the layers that cannot be converted.
func (l *layer) check(missing *build.UnsupportedError) {
	if l.model != nil {
		for i, e := range l.model.layers {
			n := len(missing.Ops)
			e.check(missing)
			if e.model == nil {
				for k := range missing.Ops[n:] {
					missing.Ops[n+k].Node = i
				}
			}
		}
		return
	}
	row, ok := rows[l.rowName()]
	if !ok {
		missing.Ops = append(missing.Ops, build.UnsupportedOp{Op: l.rowName(), Output: l.name, Reason: whyNot(l.rowName())})
		return
	}
	if row.vars != nil {
		l.vars = row.vars(l)
	}
	for _, s := range l.subs {
		s.layer.check(missing)
	}
}

// whyNot says why a layer has no row.
func whyNot(class string) string {
	switch class {
	case "Lambda":
		return "its Python code is not in the file: use a layer or a Keras op for it"
	case "StringLookup", "TextVectorization", "Hashing", "HashedCrossing", "IntegerLookup":
		return "strings and tables are looked up before the model runs: feed it the numbers"
	case "CuDNNLSTM", "CuDNNGRU":
		return "load the model with Keras 2 and save it with LSTM or GRU"
	case "Model":
		return "a model of a class of its own does not describe itself: rebuild it from Keras layers"
	case "InstanceNormalization", "Addons>InstanceNormalization":
		return "use GroupNormalization with groups=-1"
	}
	if strings.HasPrefix(class, "ops.") {
		return "whet has no such function: write it with plain arithmetic, reductions and changes of shape, or export the model as TFLite or ONNX"
	}
	return "whet has no such layer: build it from layers of the list, or export the model as TFLite or ONNX"
}
