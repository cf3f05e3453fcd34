package keras

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// A model is a graph of layers.
type model struct {
	name       string
	cfg        config
	sequential bool
	layers     []*layer
	nodes      []any // inbound_nodes of each layer, as JSON has them
}

// An inputSpec describes an input of a model; an open dimension is -1.
type inputSpec struct {
	name, dtype string
	shape       []int
}

// inputSpecs returns the inputs of an outermost model.
func (m *model) inputSpecs() (specs []inputSpec) {
	if !m.sequential {
		for _, r := range refs(m.cfg["input_layers"]) {
			i := slices.IndexFunc(m.layers, func(l *layer) bool { return l.name == r.layer })
			if i < 0 {
				net.Fail("there is no layer %q, which is listed as an input", r.layer)
			}
			specs = append(specs, m.layers[i].inputSpec())
		}
		return specs
	}
	if len(m.layers) == 0 {
		net.Fail("the model has no layers")
	}
	first := m.layers[0]
	if first.model != nil {
		specs = first.model.inputSpecs()
	} else {
		if !first.cfg.has("batch_input_shape") && !first.cfg.has("batch_shape") {
			first.cfg["batch_input_shape"] = m.cfg["build_input_shape"]
		}
		specs = []inputSpec{first.inputSpec()}
	}
	if len(specs) != 1 {
		net.Fail("a Sequential model with %d inputs", len(specs))
	}
	return specs
}

// inputSpec reads the shape that a layer declares for its input.
func (l *layer) inputSpec() inputSpec {
	s := inputSpec{name: l.name, dtype: l.cfg.dtype()}
	list, ok := l.cfg["batch_input_shape"].([]any)
	if !ok {
		list, ok = l.cfg["batch_shape"].([]any)
	}
	if !ok {
		net.Fail("layer %q does not say which shape its input has: build the model with an Input layer before saving it", l.name)
	}
	if l.class != "InputLayer" {
		s.name += "_input" // as Keras calls it
		if l.class == "Embedding" {
			s.dtype = "float32"
		}
	}
	for _, d := range list {
		if d == nil {
			s.shape = append(s.shape, -1)
			continue
		}
		s.shape = append(s.shape, toInt(d))
	}
	return s
}

// outputName returns the name of output i.
func (m *model) outputName(i int) string {
	if m.sequential && len(m.layers) > 0 {
		l := m.layers[len(m.layers)-1]
		if l.model != nil {
			return l.model.outputName(i)
		}
		return l.name
	}
	if named, ok := m.cfg["output_layers"].(map[string]any); ok && i < len(named) {
		return slices.Sorted(maps.Keys(named))[i]
	}
	if list := refs(m.cfg["output_layers"]); i < len(list) {
		return list[i].layer
	}
	return fmt.Sprint("output", i)
}

// A ref is a tensor that a layer computes: output tensor of its call number node.
type ref struct {
	layer        string
	node, tensor int
}

// asRef returns v, ["layer", node, tensor, ...], as a ref.
func asRef(v any) (ref, bool) {
	l, ok := v.([]any)
	if !ok || len(l) < 3 {
		return ref{}, false
	}
	name, ok := l[0].(string)
	if constant(v) {
		return ref{}, false
	}
	if _, num := l[1].(float64); !ok || !num {
		return ref{}, false
	}
	return ref{name, toInt(l[1]), toInt(l[2])}, true
}

// constant reports whether v, ["_CONSTANT_VALUE", -1, value, kwargs], is a number that Keras
// 2 writes in the place of a function's first tensor.
func constant(v any) bool {
	l, ok := v.([]any)
	return ok && len(l) > 3 && l[0] == "_CONSTANT_VALUE"
}

// refs returns the refs of a structure in Keras's order: lists as they are,
// dictionaries by their keys.
func refs(v any) (out []ref) {
	if r, ok := asRef(v); ok {
		return []ref{r}
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, refs(e)...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, refs(v[k])...)
		}
	}
	return out
}

// A call is one use of a layer: its arguments hold refs until they are known.
type call struct {
	*importer
	l      *layer
	args   []any
	kwargs map[string]any
}

// calls reads the uses of a layer.
func calls(l *layer, nodes any) (out []*call) {
	list, _ := nodes.([]any)
	for _, n := range list {
		c := &call{l: l, kwargs: map[string]any{}}
		switch n := n.(type) {
		case map[string]any: // Keras 3
			args, _ := n["args"].([]any)
			for _, a := range args {
				c.args = append(c.args, argument(a, 0))
			}
			for k, v := range config(n).object("kwargs") {
				c.kwargs[k] = argument(v, 0)
			}
		case []any: // Keras 2: [layer, node, tensor, kwargs] for each input
			if _, ok := asRef(n); ok || constant(n) { // one input without a list around it
				n = []any{n}
			}
			var in []any
			for _, e := range n {
				if constant(e) {
					in = append(in, e.([]any)[2])
				} else if r, ok := asRef(e); ok {
					in = append(in, r)
				} else {
					net.Fail("layer %q: its inputs %v cannot be read", l.name, e)
				}
				if parts := e.([]any); len(parts) > 3 {
					kwargs, _ := parts[3].(map[string]any)
					for k, v := range kwargs {
						c.kwargs[k] = argument2(v)
					}
				}
			}
			c.args = []any{in}
			if len(in) == 1 {
				c.args = in
			}
		}
		out = append(out, c)
	}
	return out
}

// argument reads an argument of Keras 3, in which tensors are objects.
func argument(v any, depth int) any {
	if depth > maxDepth {
		net.Fail("arguments nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = argument(e, depth+1)
		}
		return out
	case map[string]any:
		c := config(v)
		switch c.str("class_name", "") {
		case "__keras_tensor__":
			if r, ok := asRef(c.object("config")["keras_history"]); ok {
				return r
			}
			net.Fail("a tensor without a history")
		case "__tuple__":
			list, _ := c["items"].([]any)
			return argument(list, depth+1)
		case "__numpy__", "__tensor__":
			return c.object("config")["value"]
		case "":
			out := map[string]any{}
			for k, e := range v {
				out[k] = argument(e, depth+1)
			}
			return out
		}
		return v
	}
	return v
}

// argument2 reads a keyword argument of Keras 2, in which tensors are lists
// ["layer", node, tensor].
func argument2(v any) any {
	if r, ok := asRef(v); ok && len(v.([]any)) == 3 {
		return r
	}
	if list, ok := v.([]any); ok {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = e
			if r, ok := asRef(e); ok {
				out[i] = r
			}
		}
		return out
	}
	return v
}

// find calls do for each ref in an argument.
func find(v any, do func(ref)) {
	switch v := v.(type) {
	case ref:
		do(v)
	case []any:
		for _, e := range v {
			find(e, do)
		}
	case map[string]any:
		for _, e := range v {
			find(e, do)
		}
	}
}

// replace returns an argument with its refs replaced by tensors.
func replace(v any, by func(ref) *format.Tensor) any {
	switch v := v.(type) {
	case ref:
		return by(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = replace(e, by)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = replace(e, by)
		}
		return out
	}
	return v
}

// run writes a model for the given inputs and returns its outputs.
func (im *importer) run(m *model, in []*format.Tensor) []*format.Tensor {
	if !m.sequential {
		return im.functional(m, in)
	}
	if len(in) != 1 {
		net.Fail("a Sequential model with %d inputs", len(in))
	}
	var x any = in[0]
	for _, l := range m.layers {
		x = im.apply(&call{l: l, args: []any{x}})
	}
	return flatten(x)
}

// flatten returns the tensors of a structure.
func flatten(v any) (out []*format.Tensor) {
	switch v := v.(type) {
	case *format.Tensor:
		return []*format.Tensor{v}
	case []*format.Tensor:
		return v
	case []any:
		for _, e := range v {
			out = append(out, flatten(e)...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, flatten(v[k])...)
		}
	}
	return out
}

// functional writes a graph of layers: each call once its arguments are known.
func (im *importer) functional(m *model, in []*format.Tensor) []*format.Tensor {
	done := map[ref][]*format.Tensor{} // by layer and call
	waits := map[ref][]*call{}
	missing := map[*call]int{}
	type at struct {
		key  ref
		call *call
	}
	var ready []at
	place := map[*call]ref{}
	byName := map[string]int{}
	var all []*call
	zero := map[string]bool{} // layers with a call number 0
	for i, l := range m.layers {
		if _, dup := byName[l.name]; dup {
			net.Fail("two layers are called %q", l.name)
		}
		byName[l.name] = i
		for k, c := range calls(l, m.nodes[i]) {
			place[c] = ref{layer: l.name, node: k}
			all = append(all, c)
			find([]any{c.args, c.kwargs}, func(r ref) { zero[r.layer] = zero[r.layer] || r.node == 0 })
		}
	}
	outputs := refs(m.cfg["output_layers"])
	for _, r := range outputs {
		zero[r.layer] = zero[r.layer] || r.node == 0
	}
	// Call 0 of a model inside a model is the one that built it. Keras 2 counts
	// those of this graph from 1 then, Keras 3 only where it lists the outputs.
	for i, r := range outputs {
		if k, ok := byName[r.layer]; ok && im.major >= 3 && m.layers[k].class == "Functional" {
			outputs[i].node = max(r.node-1, 0)
		}
	}
	key := func(r ref) ref {
		i, ok := byName[r.layer]
		if !ok {
			net.Fail("there is no layer %q, which is used as an input", r.layer)
		}
		if im.major < 3 && m.layers[i].model != nil && !zero[r.layer] {
			r.node--
		}
		r.tensor = 0
		return r
	}
	inputs := refs(m.cfg["input_layers"])
	if len(inputs) != len(in) {
		net.Fail("model %q takes %d inputs, not %d", m.name, len(inputs), len(in))
	}
	for i, r := range inputs {
		done[ref{layer: r.layer}] = []*format.Tensor{in[i]}
	}
	for _, c := range all {
		need := map[ref]bool{}
		find([]any{c.args, c.kwargs}, func(r ref) {
			if k := key(r); done[k] == nil && !need[k] {
				need[k] = true
				waits[k] = append(waits[k], c)
			}
		})
		missing[c] = len(need)
		if len(need) == 0 && done[place[c]] == nil {
			ready = append(ready, at{place[c], c})
		}
	}
	get := func(r ref) *format.Tensor {
		list := done[key(r)]
		if r.tensor < 0 || r.tensor >= len(list) {
			net.Fail("layer %q has %d outputs: there is none with number %d", r.layer, len(list), r.tensor)
		}
		return list[r.tensor]
	}
	for len(ready) > 0 {
		a := ready[0]
		ready = ready[1:]
		c := a.call
		for i := range c.args {
			c.args[i] = replace(c.args[i], get)
		}
		for k, v := range c.kwargs {
			c.kwargs[k] = replace(v, get)
		}
		out := flatten(im.apply(c))
		if out == nil {
			out = []*format.Tensor{}
		}
		done[a.key] = out
		for _, w := range waits[a.key] {
			if missing[w]--; missing[w] == 0 {
				ready = append(ready, at{place[w], w})
			}
		}
	}
	var out []*format.Tensor
	for _, r := range outputs {
		if done[key(r)] == nil {
			net.Fail("model %q: nothing computes its output %q", m.name, r.layer)
		}
		out = append(out, get(r))
	}
	return out
}

// apply writes one use of a layer.
func (im *importer) apply(c *call) (out any) {
	c.importer = im
	scope := im.net.Scope
	defer func() {
		if reason, ok := net.Caught(recover()); ok {
			net.Fail("layer %q (%s): %s", c.l.name, c.l.class, reason)
		}
		im.net.Scope = scope
	}()
	im.net.Scope = join(scope, c.l.name)
	if c.l.model != nil {
		out := im.run(c.l.model, flatten(c.args))
		if len(out) == 1 {
			return out[0]
		}
		return out
	}
	row := rows[c.l.rowName()]
	if function := strings.HasPrefix(c.l.rowName(), "ops."); len(flatten(c.args)) == 0 && !(function && len(flatten(c.kwargs)) > 0) {
		net.Fail("it has no input")
	}
	before := len(im.net.Graph.Nodes)
	im.nested++
	out = c.spread(row, row.call(c))
	if im.nested--; im.nested == 0 {
		im.trace.Add(c.l.class, c.l.name, im.net.Graph.Nodes[before:])
	}
	return out
}

func join(scope, name string) string {
	if scope == "" {
		return name
	}
	return scope + "/" + name
}

// x returns the layer's one input as float32.
func (c *call) x() *format.Tensor {
	list := c.xs()
	if len(list) != 1 {
		net.Fail("%d inputs where it takes one", len(list))
	}
	return list[0]
}

// xs returns the layer's inputs, each as float32.
func (c *call) xs() []*format.Tensor {
	list := flatten(c.args)
	out := make([]*format.Tensor, len(list))
	for i, t := range list {
		out[i] = c.float(t)
	}
	return out
}

// float casts a tensor of another type.
func (c *call) float(t *format.Tensor) *format.Tensor {
	if t.Type == format.Float32 {
		return t
	}
	return c.net.Typed("Cast", format.Float32, nil, t)
}

// tensorArg returns a keyword argument or, behind the first, a plain argument that
// is a tensor; nil if it is absent.
func (c *call) tensorArg(name string, position int) *format.Tensor {
	v := c.kwargs[name]
	if v == nil && position < len(c.args) {
		v = c.args[position]
	}
	list := flatten(v)
	if len(list) == 0 {
		return nil
	}
	return c.float(list[0])
}
