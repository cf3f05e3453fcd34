package oip

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whet-edge/whet/format"
)

// A Request is an inference request (or a sample, which has the same form and a
// label besides) checked against the tensors of a model.
type Request struct {
	ID       string
	Inputs   [][]byte      // little-endian and row-major, in the order of the model's inputs; may alias the body
	Outputs  []Output      // what to answer with, in this order
	Timeout  time.Duration // 0: none is given
	Priority int           // 1 is the highest; 0: the server's usual one
	Label    *string       // nil when absent
	Media    []byte        // a picture or sound that becomes the one input, in place of Inputs
}

// An Output is one tensor of the reply, in the form the client asked for.
type Output struct {
	Index    int  // among the model's outputs
	Binary   bool // as raw bytes behind the JSON
	Classify int  // > 0: the best so many classes as strings instead of the values
}

type requestJSON struct {
	ID         string          `json:"id"`
	Parameters parameters      `json:"parameters"`
	Inputs     []inputJSON     `json:"inputs"`
	Outputs    []outputJSON    `json:"outputs"`
	Label      json.RawMessage `json:"label"`
}

type inputJSON struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters parameters      `json:"parameters"`
	Data       json.RawMessage `json:"data"`
}

type outputJSON struct {
	Name       string     `json:"name"`
	Parameters parameters `json:"parameters"`
}

// parameters is the protocol's open-ended map. A parameter that whet does not
// know is refused: one that changes the meaning of a request (a sequence id,
// say) and is ignored would give a silently wrong answer.
type parameters map[string]json.RawMessage

func (p parameters) only(where string, known ...string) error {
	for name := range p {
		if !slices.Contains(known, name) {
			return bad("%s: parameter %q is not supported", where, name)
		}
	}
	return nil
}

func (p parameters) bool(name string, def bool) (bool, error) {
	raw, ok := p[name]
	if !ok {
		return def, nil
	}
	v, err := strconv.ParseBool(string(raw))
	if err != nil || len(raw) < 4 {
		return false, bad("parameter %q must be true or false", name)
	}
	return v, nil
}

// int reads a whole number in [0, most], or -1 when the parameter is absent.
func (p parameters) int(name string, most int) (int, error) {
	raw, ok := p[name]
	if !ok {
		return -1, nil
	}
	v, err := strconv.ParseUint(string(raw), 10, 63)
	if err != nil || v > uint64(most) {
		return 0, bad("parameter %q must be a whole number from 0 to %d", name, most)
	}
	return int(v), nil
}

// Parse reads the body of an inference request for a model with these inputs
// and outputs. jsonLen is the value of the [HeaderLength] header, or -1 when
// there is none. With label set the request may have a "label".
//
// An input of a quantized tensor may be given as FP32: it is quantized with the
// tensor's scale and zero point. Any other difference in type or shape is an
// error of type *[Error].
func Parse(body []byte, jsonLen int, in, out []Spec, label bool) (*Request, error) {
	head, tail := body, []byte(nil)
	if jsonLen >= 0 {
		if jsonLen > len(body) {
			return nil, bad("%s says %d bytes of JSON, the body has %d", HeaderLength, jsonLen, len(body))
		}
		head, tail = body[:jsonLen], body[jsonLen:]
	}
	var r requestJSON
	if err := DecodeJSON(head, &r); err != nil {
		return nil, err
	}
	req := &Request{ID: r.ID}
	if r.Label != nil {
		if !label {
			return nil, bad("an inference request has no label: post it to .../samples")
		}
		req.Label = new(string)
		if err := json.Unmarshal(r.Label, req.Label); err != nil {
			return nil, bad("label must be a string")
		}
	}
	if err := r.Parameters.only("request", "binary_data_output", "timeout", "priority"); err != nil {
		return nil, err
	}
	us, err := r.Parameters.int("timeout", min(math.MaxInt, math.MaxInt32*1000))
	if err != nil {
		return nil, err
	}
	if us > 0 {
		req.Timeout = time.Duration(us) * time.Microsecond
	}
	if req.Priority, err = r.Parameters.int("priority", math.MaxInt32); err != nil {
		return nil, err
	}
	req.Priority = max(req.Priority, 0)
	if len(in) == 1 && len(r.Inputs) == 1 && r.Inputs[0].Datatype == "BYTES" {
		req.Media, err = parseMedia(&r.Inputs[0], tail, &in[0])
	} else {
		req.Inputs, err = parseInputs(r.Inputs, tail, in)
	}
	if err != nil {
		return nil, err
	}
	allBinary, err := r.Parameters.bool("binary_data_output", false)
	if err != nil {
		return nil, err
	}
	if req.Outputs, err = parseOutputs(r.Outputs, allBinary, out); err != nil {
		return nil, err
	}
	return req, nil
}

// DecodeJSON reads exactly one JSON value into v and refuses fields that v does
// not have. Its errors are of type *[Error].
func DecodeJSON(src []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return bad("the body is empty: a JSON object is needed")
		}
		return bad("the body is not the JSON that is needed: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("something follows the JSON object at byte %d of the body", d.InputOffset())
	}
	return nil
}

func parseInputs(given []inputJSON, tail []byte, specs []Spec) ([][]byte, error) {
	values := make([][]byte, len(specs))
	for i := range given {
		g := &given[i]
		k := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == g.Name })
		if k < 0 {
			return nil, bad("the model has no input %q: it has %s", g.Name, names(specs))
		}
		if values[k] != nil {
			return nil, bad("input %q is given twice", g.Name)
		}
		var err error
		if values[k], tail, err = parseInput(g, tail, &specs[k]); err != nil {
			return nil, err
		}
	}
	for k, v := range values {
		if v == nil {
			return nil, bad("input %q is missing", specs[k].Name)
		}
	}
	if len(tail) > 0 {
		return nil, bad("%d bytes follow the last binary tensor", len(tail))
	}
	return values, nil
}

// parseMedia returns the one element of a BYTES tensor, a picture or sound: in
// JSON as base64, since it is no text, and in a binary tensor as it is, behind
// its length in 4 bytes.
func parseMedia(g *inputJSON, tail []byte, s *Spec) ([]byte, error) {
	if g.Name != s.Name {
		return nil, bad("the model has no input %q: it has %q", g.Name, s.Name)
	}
	for _, d := range g.Shape {
		if d != 1 {
			return nil, bad("input %q: one picture or sound at a time, the request says shape %v", s.Name, g.Shape)
		}
	}
	if err := g.Parameters.only("input "+strconv.Quote(s.Name), "binary_data_size"); err != nil {
		return nil, err
	}
	size, err := g.Parameters.int("binary_data_size", math.MaxInt32)
	switch {
	case err != nil:
		return nil, err
	case size < 0:
		for range g.Shape[:min(len(g.Shape), 2)] { // as deep as the shape, or flat
			if len(g.Data) == 0 || g.Data[0] != '[' {
				break
			}
			list, err := array(g.Data, 1)
			if err != nil || len(list) != 1 {
				return nil, bad("input %q: data must be one string of base64", s.Name)
			}
			g.Data = list[0]
		}
		var b []byte
		if err := json.Unmarshal(g.Data, &b); err != nil {
			return nil, bad("input %q: data must be one string of base64: %v", s.Name, err)
		}
		return b, nil
	case g.Data != nil:
		return nil, bad("input %q has both data and binary_data_size", s.Name)
	case size < 4 || size != len(tail) || int(binary.LittleEndian.Uint32(tail)) != size-4:
		return nil, bad("input %q: a BYTES tensor is the length of its element in 4 bytes, then the element, and nothing behind it", s.Name)
	}
	return tail[4:], nil
}

// parseInput returns the value of one input and what is left of the binary
// tensors.
func parseInput(g *inputJSON, tail []byte, s *Spec) (value, rest []byte, err error) {
	if err := sameShape(g, s); err != nil {
		return nil, nil, err
	}
	typ := s.Type
	quantize := g.Datatype == "FP32" && s.Quant != nil && len(s.Quant.Scale) == 1
	if quantize {
		typ = format.Float32
	} else if g.Datatype != Datatype(s.Type) {
		return nil, nil, bad("input %q is %s, the request says %q", s.Name, Datatype(s.Type), g.Datatype)
	}
	if err := g.Parameters.only("input "+strconv.Quote(s.Name), "binary_data_size"); err != nil {
		return nil, nil, err
	}
	want := typ.Bytes(s.Shape.Elems())
	size, err := g.Parameters.int("binary_data_size", math.MaxInt32)
	switch {
	case err != nil:
		return nil, nil, err
	case size >= 0 && g.Data != nil:
		return nil, nil, bad("input %q has both data and binary_data_size", s.Name)
	case size >= 0 && size != want:
		return nil, nil, bad("input %q has %d binary bytes, its shape and type need %d", s.Name, size, want)
	case size > len(tail):
		return nil, nil, bad("input %q says %d binary bytes, the body has %d left", s.Name, size, len(tail))
	case size >= 0:
		value, rest = tail[:size:size], tail[size:]
	default:
		if value, err = parseData(make([]byte, 0, min(want, 4*len(g.Data))), g.Data, typ, s.Shape); err != nil {
			return nil, nil, bad("input %q: %v", s.Name, err)
		}
		rest = tail
	}
	if typ == format.Bool && slices.ContainsFunc(value, func(b byte) bool { return b > 1 }) {
		return nil, nil, bad("input %q has a BOOL that is neither 0 nor 1", s.Name)
	}
	if quantize {
		if value, err = quantizeFloats(value, s); err != nil {
			return nil, nil, err
		}
	}
	return value, rest, nil
}

func sameShape(g *inputJSON, s *Spec) error {
	same := len(g.Shape) == len(s.Shape)
	for i := 0; same && i < len(s.Shape); i++ {
		same = g.Shape[i] == int64(s.Shape[i])
	}
	if !same {
		return bad("input %q has shape %v, the request says %v", s.Name, []int(s.Shape), g.Shape)
	}
	return nil
}

// quantizeFloats is ONNX's QuantizeLinear: round half to even, then saturate.
func quantizeFloats(raw []byte, s *Spec) ([]byte, error) {
	var lo, hi float64
	switch s.Type {
	case format.Int8:
		lo, hi = math.MinInt8, math.MaxInt8
	case format.Uint8:
		lo, hi = 0, math.MaxUint8
	case format.Int16:
		lo, hi = math.MinInt16, math.MaxInt16
	default:
		return nil, bad("input %q is a quantized %s, which cannot be given as FP32", s.Name, Datatype(s.Type))
	}
	scale, zero := s.Quant.Scale[0], float64(s.Quant.ZeroPoint())
	out := make([]byte, 0, s.Bytes())
	for i := 0; i < len(raw); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))
		if v != v {
			return nil, bad("input %q: element %d is NaN", s.Name, i/4)
		}
		q := int(min(max(math.RoundToEven(float64(v/scale))+zero, lo), hi))
		if s.Type == format.Int16 {
			out = binary.LittleEndian.AppendUint16(out, uint16(q))
		} else {
			out = append(out, byte(q))
		}
	}
	return out, nil
}

func parseOutputs(given []outputJSON, allBinary bool, specs []Spec) ([]Output, error) {
	if len(given) == 0 {
		out := make([]Output, len(specs))
		for i := range out {
			out[i] = Output{Index: i, Binary: allBinary}
		}
		return out, nil
	}
	if len(given) > len(specs) {
		return nil, bad("the request asks for %d outputs, the model has %d", len(given), len(specs))
	}
	var out []Output
	for i := range given {
		g := &given[i]
		k := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == g.Name })
		if k < 0 {
			return nil, bad("the model has no output %q: it has %s", g.Name, names(specs))
		}
		if slices.ContainsFunc(out, func(o Output) bool { return o.Index == k }) {
			return nil, bad("output %q is asked for twice", g.Name)
		}
		if err := g.Parameters.only("output "+strconv.Quote(g.Name), "binary_data", "classification"); err != nil {
			return nil, err
		}
		binary, err := g.Parameters.bool("binary_data", allBinary)
		if err != nil {
			return nil, err
		}
		classes, err := g.Parameters.int("classification", math.MaxInt32)
		if err != nil {
			return nil, err
		}
		out = append(out, Output{Index: k, Binary: binary, Classify: max(classes, 0)})
	}
	return out, nil
}

func names(specs []Spec) string {
	var s strings.Builder
	for i := range specs {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(strconv.Quote(specs[i].Name))
	}
	return s.String()
}

// MaxBody returns how long a request body for these inputs can reasonably be:
// as JSON, with room for spaces. It lets a server refuse a longer one unread.
func MaxBody(in []Spec) int64 {
	// The longest float64 in the shortest spelling that keeps it has 24 bytes; indentation and comma come on top.
	const perElement, head = 40, 64 << 10
	n := int64(head)
	for i := range in {
		n += perElement * int64(max(in[i].Shape.Elems(), 0))
	}
	return n
}

// Status returns the HTTP status that belongs to an error of this package.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return http.StatusInternalServerError
}
