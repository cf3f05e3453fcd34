package oip

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/whet-edge/whet/format"
)

// This file is the predict method of TensorFlow Serving's REST interface
// (https://www.tensorflow.org/tfx/serving/api_rest): the same inference in
// another JSON. Quantized tensors travel as the real numbers they stand for,
// since that interface has no scale to give.

// A Method is what a client wants to know.
type Method int

// The methods. Of the latter two the request has "examples", whose values are
// flat lists, and the reply has "results": a list of [label, score] for each
// example, or a number.
const (
	PredictMethod Method = iota
	ClassifyMethod
	RegressMethod
)

// MethodOf returns the method of that name.
func MethodOf(name string) (Method, bool) {
	i := slices.Index([]string{"predict", "classify", "regress"}, name)
	return Method(i), i >= 0
}

// A Prediction is a request to predict.
type Prediction struct {
	Method Method
	Rows   bool           // "instances", answered by "predictions"; else "inputs" and "outputs"
	Runs   []PredictInput // one for each instance
}

// A PredictInput is what one run of the model takes: either values of all its
// inputs or a picture or sound that becomes its one input.
type PredictInput struct {
	Values [][]byte
	Media  []byte
}

// MaxInstances is how many instances a request to predict may have.
const MaxInstances = 256

// signature is the one name that a whet model's function has there.
const signature = "serving_default"

// ParsePredict reads the body of a request to predict.
func ParsePredict(body []byte, method Method, in []Spec) (*Prediction, error) {
	var r struct {
		Signature string          `json:"signature_name"`
		Instances json.RawMessage `json:"instances"`
		Inputs    json.RawMessage `json:"inputs"`
		Examples  json.RawMessage `json:"examples"`
	}
	if err := DecodeJSON(body, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Signature != "" && r.Signature != signature:
		return nil, bad("the model has no signature %q: it has %q", r.Signature, signature)
	case method != PredictMethod && (r.Examples == nil || r.Instances != nil || r.Inputs != nil):
		return nil, bad(`the request must have "examples" and no inputs besides`)
	case method != PredictMethod:
		return parseExamples(r.Examples, method, in)
	case r.Examples != nil:
		return nil, bad(`"examples" are for classify and regress`)
	case (r.Instances == nil) == (r.Inputs == nil):
		return nil, bad(`the request must have either "instances" or "inputs"`)
	case r.Inputs != nil:
		run, err := parsePredictInput(r.Inputs, in, false)
		if err != nil {
			return nil, err
		}
		return &Prediction{Runs: []PredictInput{run}}, nil
	}
	instances, err := array(r.Instances, MaxInstances)
	if err != nil {
		return nil, bad("instances: %v", err)
	}
	if len(instances) == 0 {
		return nil, bad("the request has no instances")
	}
	for i := range in {
		if len(in[i].Shape) == 0 || in[i].Shape[0] != 1 {
			return nil, bad(`input %q has shape %v, which is no batch of one instance: use "inputs"`, in[i].Name, []int(in[i].Shape))
		}
	}
	p := &Prediction{Rows: true}
	for i, instance := range instances {
		run, err := parsePredictInput(instance, in, true)
		if err != nil {
			return nil, bad("instance %d: %v", i, err)
		}
		p.Runs = append(p.Runs, run)
	}
	return p, nil
}

// parseExamples reads what classify and regress take: features by name, each a
// list or a number alone.
func parseExamples(raw json.RawMessage, method Method, in []Spec) (*Prediction, error) {
	examples, err := array(raw, MaxInstances)
	if err != nil {
		return nil, bad("examples: %v", err)
	}
	if len(examples) == 0 {
		return nil, bad("the request has no examples")
	}
	p := &Prediction{Method: method, Rows: true}
	for i, e := range examples {
		given, err := object(e, len(in))
		if err != nil {
			return nil, bad("example %d: %v; the model has the inputs %s", i, err, names(in))
		}
		for name, v := range given {
			if len(v) > 0 && v[0] != '[' && v[0] != '{' {
				given[name] = slices.Concat([]byte{'['}, v, []byte{']'})
			}
		}
		run, err := namedInputs(given, in, false)
		if err != nil {
			return nil, bad("example %d: %v", i, err)
		}
		p.Runs = append(p.Runs, run)
	}
	return p, nil
}

// parsePredictInput reads an object of input names, or the value of the one
// input. An instance lacks the batch's dimension.
func parsePredictInput(raw json.RawMessage, in []Spec, instance bool) (run PredictInput, err error) {
	given := map[string]json.RawMessage{}
	switch {
	case len(raw) > 0 && raw[0] == '{' && !isBase64(raw):
		if given, err = object(raw, len(in)); err != nil {
			return run, bad("%v; the model has the inputs %s", err, names(in))
		}
	case len(in) != 1:
		return run, bad("the model has the inputs %s: give an object with their names", names(in))
	default:
		given[in[0].Name] = raw
	}
	return namedInputs(given, in, instance)
}

// namedInputs reads the values of the inputs.
func namedInputs(given map[string]json.RawMessage, in []Spec, instance bool) (run PredictInput, err error) {
	for name := range given {
		if !slices.ContainsFunc(in, func(s Spec) bool { return s.Name == name }) {
			return run, bad("the model has no input %q: it has %s", name, names(in))
		}
	}
	for i := range in {
		value, ok := given[in[i].Name]
		if !ok {
			return run, bad("input %q is missing", in[i].Name)
		}
		if isBase64(value) && len(in) == 1 {
			run.Media, err = parseBase64(value)
			return run, err
		}
		if instance {
			value = slices.Concat([]byte{'['}, value, []byte{']'})
		}
		v, err := parseReals(value, &in[i])
		if err != nil {
			return run, err
		}
		run.Values = append(run.Values, v)
	}
	return run, nil
}

// array takes an array apart. One of very many elements is refused before they
// take more memory than the request does.
func array(raw json.RawMessage, most int) (list []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, bad("an array is needed")
	}
	for d.More() {
		if len(list) == most {
			return nil, bad("more than %d are too many", most)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, bad("%v", err)
		}
		list = append(list, v)
	}
	return list, nil
}

// object takes an object apart, like array.
func object(raw json.RawMessage, most int) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad("an object is needed")
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, bad("%v", err)
		}
		name, _ := key.(string) // a key is a string, says the syntax
		if _, twice := m[name]; twice {
			return nil, bad("%q is given twice", name)
		}
		if len(m) == most {
			return nil, bad("more than %d names are too many", most)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, bad("%v", err)
		}
		m[name] = v
	}
	return m, nil
}

// isBase64 reports whether a value is {"b64": "..."}.
func isBase64(raw json.RawMessage) bool {
	m, err := object(raw, 1)
	return err == nil && m["b64"] != nil
}

func parseBase64(raw json.RawMessage) ([]byte, error) {
	var v struct {
		B64 string `json:"b64"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, bad("b64: %v", err)
	}
	b, err := base64.StdEncoding.DecodeString(v.B64)
	if err != nil {
		return nil, bad("b64: %v", err)
	}
	return b, nil
}

// parseReals reads a tensor, as real numbers if it is quantized.
func parseReals(raw []byte, s *Spec) ([]byte, error) {
	typ, quantize := s.Type, s.Quant != nil && len(s.Quant.Scale) == 1
	if quantize {
		typ = format.Float32
	}
	value, err := parseData(make([]byte, 0, min(typ.Bytes(s.Shape.Elems()), 4*len(raw))), raw, typ, s.Shape)
	if err != nil {
		return nil, bad("input %q: %v", s.Name, err)
	}
	if quantize {
		return quantizeFloats(value, s)
	}
	return value, nil
}

// AppendPrediction writes the reply behind dst: runs holds the values of all the
// model's outputs for each run.
func (p *Prediction) AppendPrediction(dst []byte, out []Spec, runs [][][]byte, labels []string) ([]byte, error) {
	if p.Method != PredictMethod {
		return p.appendResults(dst, out, runs, labels)
	}
	if !p.Rows {
		dst = append(dst, `{"outputs":`...)
		dst, err := appendRun(dst, out, runs[0], false)
		return append(dst, '}'), err
	}
	dst = append(dst, `{"predictions":[`...)
	for i, values := range runs {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendRun(dst, out, values, true); err != nil {
			return nil, err
		}
	}
	return append(dst, "]}"...), nil
}

// appendResults writes what classify and regress answer, of the first output.
// A class without a label is called by its number.
func (p *Prediction) appendResults(dst []byte, out []Spec, runs [][][]byte, labels []string) ([]byte, error) {
	if len(out) == 0 {
		return nil, bad("the model has no output")
	}
	dst = append(dst, `{"results":[`...)
	for i, values := range runs {
		if i > 0 {
			dst = append(dst, ',')
		}
		scores, err := reals(&out[0], values[0])
		if err != nil {
			return nil, err
		}
		if p.Method == RegressMethod {
			if len(scores) != 1 {
				return nil, bad("output %q has %d numbers, regress answers with one: use predict", out[0].Name, len(scores))
			}
			if dst, err = appendReal(dst, scores[0], out[0].Name); err != nil {
				return nil, err
			}
			continue
		}
		dst = append(dst, '[')
		for k, v := range scores {
			if k > 0 {
				dst = append(dst, ',')
			}
			label := strconv.Itoa(k)
			if k < len(labels) {
				label = labels[k]
			}
			dst = append(appendString(append(dst, '['), label), ',')
			if dst, err = appendReal(dst, v, out[0].Name); err != nil {
				return nil, err
			}
			dst = append(dst, ']')
		}
		dst = append(dst, ']')
	}
	return append(dst, "]}"...), nil
}

func appendReal(dst []byte, v float32, output string) ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return nil, Errorf(422, "output %q is %v, which has no JSON form", output, v)
	}
	return strconv.AppendFloat(dst, float64(v), 'g', -1, 32), nil
}

func appendRun(dst []byte, out []Spec, values [][]byte, instance bool) ([]byte, error) {
	if len(out) > 1 {
		dst = append(dst, '{')
	}
	for i := range out {
		if len(out) > 1 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, out[i].Name), ':')
		}
		shape, typ, value := []int(out[i].Shape), out[i].Type, values[i]
		if q := out[i].Quant; q != nil && len(q.Scale) == 1 {
			numbers, err := reals(&out[i], value)
			if err != nil {
				return nil, err
			}
			typ, value = format.Float32, nil
			for _, v := range numbers {
				value = binary.LittleEndian.AppendUint32(value, math.Float32bits(v))
			}
		}
		if instance && len(shape) > 0 && shape[0] == 1 {
			shape = shape[1:]
		}
		var err error
		if dst, err = appendNested(dst, value, typ, shape); err != nil {
			return nil, Errorf(422, "output %q: %v", out[i].Name, err)
		}
	}
	if len(out) > 1 {
		dst = append(dst, '}')
	}
	return dst, nil
}

// appendNested writes a tensor as arrays of arrays.
func appendNested(dst, value []byte, typ format.DType, shape []int) ([]byte, error) {
	switch len(shape) {
	case 0:
		at := len(dst)
		dst, err := AppendData(dst, value, typ)
		if err != nil {
			return nil, err
		}
		return append(dst[:at], dst[at+1:len(dst)-1]...), nil // without the brackets
	case 1:
		return AppendData(dst, value, typ)
	}
	dst = append(dst, '[')
	for i := range shape[0] {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		size := len(value) / shape[0]
		if dst, err = appendNested(dst, value[i*size:(i+1)*size], typ, shape[1:]); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// A SignatureTensor is a tensor in the metadata of TensorFlow Serving.
type SignatureTensor struct {
	DType string         `json:"dtype"`
	Shape SignatureShape `json:"tensor_shape"`
	Name  string         `json:"name"`
}

// A SignatureShape is its shape: 64-bit numbers are strings in protobuf's JSON.
type SignatureShape struct {
	Dim         []SignatureDim `json:"dim"`
	UnknownRank bool           `json:"unknown_rank"`
}

// A SignatureDim is one dimension.
type SignatureDim struct {
	Size string `json:"size"`
	Name string `json:"name"`
}

// tensorflow names the types (tensorflow/core/framework/types.proto).
var tensorflow = map[format.DType]string{
	format.Bool: "DT_BOOL", format.Uint8: "DT_UINT8", format.Uint16: "DT_UINT16", format.Uint32: "DT_UINT32", format.Uint64: "DT_UINT64",
	format.Int8: "DT_INT8", format.Int16: "DT_INT16", format.Int32: "DT_INT32", format.Int64: "DT_INT64",
	format.Float16: "DT_HALF", format.BFloat16: "DT_BFLOAT16", format.Float32: "DT_FLOAT", format.Float64: "DT_DOUBLE",
}

// Signature describes tensors, by name, as [ParsePredict] takes them.
func Signature(specs []Spec) map[string]SignatureTensor {
	out := map[string]SignatureTensor{}
	for i := range specs {
		s := &specs[i]
		t := SignatureTensor{DType: tensorflow[s.Type], Shape: SignatureShape{Dim: []SignatureDim{}}, Name: s.Name}
		if s.Quant != nil && len(s.Quant.Scale) == 1 {
			t.DType = tensorflow[format.Float32]
		}
		for _, d := range s.Shape {
			t.Shape.Dim = append(t.Shape.Dim, SignatureDim{Size: strconv.Itoa(max(d, -1))})
		}
		out[s.Name] = t
	}
	return out
}
