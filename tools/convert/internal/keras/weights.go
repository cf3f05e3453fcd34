package keras

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/hdf5"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// A layer is one layer of a model, or a model used as one.
type layer struct {
	class, module, name string
	cfg                 config
	frozen              bool // trainable is false
	function            bool // of keras.ops, called on tensors

	model *model // not nil: it is a model
	subs  []sub  // what a wrapper wraps
	cell  *layer // of an RNN
	vars  []*variable
}

// A sub is a wrapped layer and its name in a .keras file.
type sub struct {
	path  string
	layer *layer
}

// A variable is one of a layer's weights.
type variable struct {
	name   string
	path   string // of its group below the layer's in a .keras file; "": vars
	frozen bool   // never trained, such as a moving mean
	data   *hdf5.Object
}

// own makes the variables of a layer that are kept in its own group.
func own(names ...string) []*variable {
	out := make([]*variable, len(names))
	for i, n := range names {
		out[i] = &variable{name: n}
	}
	return out
}

// in puts variables into a group below the layer's.
func in(path string, vars []*variable) []*variable {
	for _, v := range vars {
		v.path = path
	}
	return vars
}

// children are the layers that a layer is made of.
func (l *layer) children() []*layer {
	if l.model != nil {
		return l.model.layers
	}
	out := make([]*layer, len(l.subs))
	for i, s := range l.subs {
		out[i] = s.layer
	}
	return out
}

// trainable, fixed and all are Keras's trainable_weights, non_trainable_weights
// and weights, in its order.
func (l *layer) trainable() (out []*variable) {
	if l.frozen {
		return nil
	}
	for _, v := range l.vars {
		if !v.frozen {
			out = append(out, v)
		}
	}
	for _, c := range l.children() {
		out = append(out, c.trainable()...)
	}
	return out
}

func (l *layer) fixed() (out []*variable) {
	if l.frozen {
		return l.all()
	}
	for _, v := range l.vars {
		if v.frozen {
			out = append(out, v)
		}
	}
	for _, c := range l.children() {
		out = append(out, c.fixed()...)
	}
	return out
}

func (l *layer) all() (out []*variable) {
	out = slices.Clone(l.vars)
	for _, c := range l.children() {
		out = append(out, c.all()...)
	}
	return out
}

// A weightSource finds the data of a model's variables.
type weightSource interface{ load(m *model) }

// h5Weights are the weights of a .h5 file: a group a layer, with its variables in
// the order that an attribute gives, those that are trained first.
type h5Weights struct{ group *hdf5.Object }

func (w *h5Weights) load(m *model) {
	for _, l := range m.layers {
		want := append(l.trainable(), l.fixed()...)
		if len(want) == 0 {
			continue
		}
		g, err := w.group.Lookup(l.name)
		if err != nil {
			net.Fail("the weights of layer %q: %v", l.name, err)
		}
		names := weightNames(g)
		if len(names) != len(want) {
			net.Fail("layer %q (%s) has %d weights in the file, and %d by its settings", l.name, l.class, len(names), len(want))
		}
		for i, v := range want {
			if v.data, err = g.Lookup(names[i]); err != nil {
				net.Fail("weight %q of layer %q: %v", names[i], l.name, err)
			}
		}
	}
}

// weightNames reads the attribute weight_names, which is split into several where
// it is too long for one.
func weightNames(g *hdf5.Object) []string {
	read := func(name string) ([]string, bool) {
		a, err := g.Attr(name)
		if errors.Is(err, hdf5.ErrNotFound) {
			return nil, false
		}
		if err != nil {
			net.Fail("%v", err)
		}
		if slices.Contains(a.Shape(), 0) { // of floats then
			return nil, true
		}
		list, err := a.Strings()
		if err != nil {
			net.Fail("%s: %v", g.Path(), err)
		}
		return list, true
	}
	list, ok := read("weight_names")
	for i := 0; !ok; i++ {
		part, more := read("weight_names" + strconv.Itoa(i))
		if !more {
			break
		}
		list = append(list, part...)
	}
	return list
}

// zipTree are the weights of a .keras file: a group a layer, named by its class
// and counted within its model.
type zipTree struct{ root *hdf5.Object }

func (w *zipTree) load(m *model) { w.model(m, w.root) }

func (w *zipTree) model(m *model, g *hdf5.Object) {
	if len((&layer{model: m}).all()) == 0 {
		return
	}
	g = w.group(g, m.name, "layers", "_layer_checkpoint_dependencies")
	used := map[string]int{}
	for _, l := range m.layers {
		name := snake(l.class)
		if name == "group_query_attention" {
			name = "grouped_query_attention" // the class's name in Keras itself
		}
		n := used[name]
		used[name]++
		if n > 0 {
			name += "_" + strconv.Itoa(n)
		}
		if len(l.all()) > 0 {
			w.layer(l, w.group(g, l.name, name))
		}
	}
}

func (w *zipTree) layer(l *layer, g *hdf5.Object) {
	if l.model != nil {
		w.model(l.model, g)
		return
	}
	index := map[string]int{}
	for _, v := range l.vars {
		at := g
		if v.path != "" {
			at = w.group(g, l.name, v.path, "_"+v.path)
		}
		i := index[v.path]
		index[v.path]++
		var err error
		if v.data, err = at.Lookup("vars/" + strconv.Itoa(i)); err != nil {
			net.Fail("weight %s of layer %q: %v", v.name, l.name, err)
		}
	}
	for _, s := range l.subs {
		if len(s.layer.all()) > 0 {
			w.layer(s.layer, w.group(g, l.name, s.path))
		}
	}
}

// group returns the member of g with the first of the names that is there.
func (w *zipTree) group(g *hdf5.Object, layer string, names ...string) *hdf5.Object {
	for _, n := range names {
		if o, err := g.Lookup(n); err == nil {
			return o
		}
	}
	net.Fail("the weights of layer %q are not in the file: there is no %s/%s", layer, strings.TrimSuffix(g.Path(), "/"), names[0])
	return nil
}

var (
	wordStart = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	wordEnd   = regexp.MustCompile(`([a-z])([A-Z])`)
)

// snake is Keras's to_snake_case of a class's name.
func snake(class string) string {
	if i := strings.LastIndex(class, ">"); i >= 0 { // package>Class
		class = class[i+1:]
	}
	return strings.ToLower(wordEnd.ReplaceAllString(wordStart.ReplaceAllString(class, "${1}_${2}"), "${1}_${2}"))
}

// weight returns the numbers and the shape of the layer's variable of that name,
// and false if the layer has none.
func (l *layer) weight(name string) ([]float32, format.Shape, bool) {
	i := slices.IndexFunc(l.vars, func(v *variable) bool { return v.name == name })
	if i < 0 {
		return nil, nil, false
	}
	v := l.vars[i]
	if v.data == nil {
		net.Fail("weight %s is not in the file", name)
	}
	values, err := floats(v.data)
	if err != nil {
		net.Fail("weight %s: %v", name, err)
	}
	return values, v.data.Shape(), true
}

// need is weight for a variable of a given shape, whose size -1 fits any.
func (l *layer) need(name string, shape ...int) []float32 {
	v, s, ok := l.weight(name)
	if !ok {
		net.Fail("it has no weight %s", name)
	}
	fits := len(s) == len(shape)
	for i := range s {
		fits = fits && (shape[i] == -1 || shape[i] == s[i])
	}
	if !fits {
		net.Fail("weight %s is of shape %v, and %v is needed", name, s, shape)
	}
	return v
}

// floats reads a dataset as float32.
func floats(o *hdf5.Object) ([]float32, error) {
	b, err := o.Read()
	if err != nil {
		return nil, err
	}
	t := o.Type()
	out := make([]float32, len(b)/t.Size)
	for i := range out {
		e := b[i*t.Size:]
		switch {
		case t.Class == hdf5.ClassFloat && t.Size == 4:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(e))
		case t.Class == hdf5.ClassFloat && t.Size == 8:
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(e)))
		case t.Class == hdf5.ClassFloat:
			out[i] = net.Float16(binary.LittleEndian.Uint16(e))
		case t.Class == hdf5.ClassBfloat:
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(e)) << 16)
		case t.Class == hdf5.ClassInt && t.Size == 8:
			out[i] = float32(int64(binary.LittleEndian.Uint64(e)))
		case t.Class == hdf5.ClassInt && t.Size == 4:
			out[i] = float32(int32(binary.LittleEndian.Uint32(e)))
		default:
			return nil, fmt.Errorf("%s: weights of %d bytes that are not floats", o.Path(), t.Size)
		}
	}
	for _, x := range out {
		if x-x != 0 {
			return nil, fmt.Errorf("%s holds %v: weights must be finite", o.Path(), x)
		}
	}
	return out, nil
}
