package oip

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

func TestPredict(t *testing.T) {
	half := spec("q", format.Int8, 1, 2)
	half.Quant = format.PerTensor(.5, 1)
	one, two := []Spec{half}, []Spec{half, spec("n", format.Int32, 1)}
	type reply = [][][]byte
	for _, c := range []struct {
		in    []Spec
		body  string
		runs  string // the values, one run after the other
		out   reply
		reply string
	}{
		{one, `{"instances":[[1,-1],[0.5,0]]}`, "\x03\xff|\x02\x01|", reply{{{3, 0xff}}, {{2, 1}}}, `{"predictions":[[1,-1],[0.5,0]]}`},
		{one, `{"instances":[{"q":[1,-1]}]}`, "\x03\xff|", reply{{{1, 1}}}, `{"predictions":[[0,0]]}`},
		{one, `{"inputs":[[1,-1]]}`, "\x03\xff|", reply{{{3, 0xff}}}, `{"outputs":[[1,-1]]}`},
		{two, `{"signature_name":"serving_default","instances":[{"n":7,"q":[0,0]}]}`, "\x01\x01\x07\x00\x00\x00|", reply{{{3, 0xff}, {7, 0, 0, 0}}}, `{"predictions":[{"q":[1,-1],"n":7}]}`},
		{two, `{"inputs":{"n":[7],"q":[[0,0]]}}`, "\x01\x01\x07\x00\x00\x00|", reply{{{3, 0xff}, {7, 0, 0, 0}}}, `{"outputs":{"q":[[1,-1]],"n":[7]}}`},
	} {
		p, err := ParsePredict([]byte(c.body), PredictMethod, c.in)
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		var runs strings.Builder
		for _, r := range p.Runs {
			for _, v := range r.Values {
				runs.Write(v)
			}
			runs.WriteByte('|')
		}
		if runs.String() != c.runs {
			t.Errorf("%s is read as %q, want %q", c.body, runs.String(), c.runs)
		}
		b, err := p.AppendPrediction(nil, c.in, c.out, nil)
		if err != nil || string(b) != c.reply {
			t.Errorf("%s is answered with %s (%v), want %s", c.body, b, err, c.reply)
		}
	}
	p, err := ParsePredict([]byte(`{"instances":[{"b64":"AAEC"},{"q":{"b64":"/w=="}}]}`), PredictMethod, one)
	if err != nil || len(p.Runs) != 2 || string(p.Runs[0].Media) != "\x00\x01\x02" || string(p.Runs[1].Media) != "\xff" {
		t.Errorf("base64: %+v, %v", p, err)
	}
}

func TestPredictRefuses(t *testing.T) {
	one, two := []Spec{spec("a", format.Float32, 1, 2)}, []Spec{spec("a", format.Float32, 1), spec("b", format.Float32, 1)}
	for _, c := range []struct {
		in         []Spec
		body, want string
	}{
		{one, ``, "empty"},
		{one, `{}`, "either"},
		{one, `{"instances":[[1,2]],"inputs":[[1,2]]}`, "either"},
		{one, `{"signature_name":"train","instances":[[1,2]]}`, `no signature "train"`},
		{one, `{"instances":[]}`, "no instances"},
		{one, `{"instances":{}}`, "an array is needed"},
		{one, `{"instances":[` + strings.Repeat("1,", MaxInstances) + `1]}`, "too many"},
		{one, `{"instances":[[1,2],[1]]}`, "instance 1"},
		{one, `{"instances":[{"b":[1,2]}]}`, `no input "b"`},
		{one, `{"instances":[{"a":[1,2],"b":1}]}`, "too many"},
		{one, `{"instances":[{"a":[1,2],"a":[1,2]}]}`, "twice"},
		{one, `{"instances":[{"b64":"%"}]}`, "b64"},
		{one, `{"instances":[{"b64":7}]}`, "b64"},
		{one, `{"inputs":[1,2,3]}`, `input "a"`},
		{two, `{"instances":[[1]]}`, "give an object"},
		{two, `{"instances":[{"a":1}]}`, `"b" is missing`},
		{[]Spec{spec("a", format.Float32, 2, 2)}, `{"instances":[[1,2]]}`, "no batch of one"},
		{[]Spec{spec("a", format.Float32)}, `{"instances":[1]}`, "no batch of one"},
	} {
		if _, err := ParsePredict([]byte(c.body), PredictMethod, c.in); err == nil || !strings.Contains(err.Error(), c.want) || Status(err) != 400 {
			t.Errorf("%.60s: %v, want ... %s", c.body, err, c.want)
		}
	}
}

func FuzzPredict(f *testing.F) {
	for _, s := range []string{`{"instances":[[1,2]]}`, `{"inputs":{"a":[[1,2]]}}`, `{"instances":[{"b64":"AA=="}]}`, `{"signature_name":"serving_default","instances":[{"a":[1,2]}]}`} {
		f.Add([]byte(s))
	}
	in := []Spec{spec("a", format.Float32, 1, 2)}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := ParsePredict(body, PredictMethod, in)
		if err != nil {
			if Status(err) != 400 {
				t.Errorf("%v has the status %d", err, Status(err))
			}
			return
		}
		for _, r := range p.Runs {
			if r.Media == nil && (len(r.Values) != 1 || len(r.Values[0]) != 8) {
				t.Errorf("%q is read as %v", body, r.Values)
			}
		}
	})
}

// TestExamples reads what classify and regress take and writes what they answer.
func TestExamples(t *testing.T) {
	in := []Spec{{Name: "x", Type: format.Float32, Shape: format.Shape{1, 2}}}
	for _, c := range []struct {
		method, body string
		out          Spec
		values       []float32
		want         string // the reply, or a part of the error
	}{
		{"classify", `{"examples":[{"x":[1,2]}]}`, Spec{Name: "y", Type: format.Float32, Shape: format.Shape{1, 3}}, []float32{0.5, 2, -1}, `{"results":[[["no",0.5],["yes",2],["2",-1]]]}`},
		{"regress", `{"signature_name":"serving_default","examples":[{"x":[1,2]},{"x":[3,4]}]}`, Spec{Name: "y", Type: format.Float32, Shape: format.Shape{1}}, []float32{0.25}, `{"results":[0.25,0.25]}`},
		{"regress", `{"examples":[{"x":[1,2]}]}`, Spec{Name: "y", Type: format.Float32, Shape: format.Shape{1, 2}}, []float32{1, 2}, "regress answers with one"},
		{"classify", `{"examples":[{"x":[1,2]}]}`, Spec{Name: "y", Type: format.Float32, Shape: format.Shape{1}}, []float32{float32(math.NaN())}, "no JSON form"},
		{"classify", `{"examples":[]}`, Spec{}, nil, "no examples"},
		{"classify", `{"examples":[{"x":[1]}]}`, Spec{}, nil, "example 0"},
		{"classify", `{"examples":[{"x":1}]}`, Spec{}, nil, "example 0"},
		{"classify", `{"examples":[{"y":[1,2]}]}`, Spec{}, nil, "no input"},
		{"classify", `{"instances":[[1,2]]}`, Spec{}, nil, "must have \"examples\""},
		{"predict", `{"examples":[{"x":[1,2]}]}`, Spec{}, nil, "are for classify"},
	} {
		method, ok := MethodOf(c.method)
		if !ok {
			t.Fatal(c.method)
		}
		p, err := ParsePredict([]byte(c.body), method, in)
		var got []byte
		if err == nil {
			var value []byte
			for _, v := range c.values {
				value = binary.LittleEndian.AppendUint32(value, math.Float32bits(v))
			}
			var runs [][][]byte
			for range p.Runs {
				runs = append(runs, [][]byte{value})
			}
			got, err = p.AppendPrediction(nil, []Spec{c.out}, runs, []string{"no", "yes"})
		}
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.Contains(string(got), c.want) || (err == nil) != (c.want[0] == '{') {
			t.Errorf("%s %s: %s", c.method, c.body, got)
		}
	}
	if _, ok := MethodOf("train"); ok {
		t.Error("train is a method")
	}
}

// TestMedia reads a picture in JSON and behind it.
func TestMedia(t *testing.T) {
	in := []Spec{{Name: "x", Type: format.Uint8, Shape: format.Shape{1, 2}}}
	out := []Spec{{Name: "y", Type: format.Uint8, Shape: format.Shape{1}}}
	head := func(rest string) string { return `{"inputs":[{"name":"x","datatype":"BYTES",` + rest + `}]}` }
	for body, want := range map[string]string{
		head(`"shape":[1],"data":["aGk="]`):                                                  "hi",
		head(`"shape":[1,1],"data":[["aGk="]]`):                                              "hi",
		head(`"shape":[1],"parameters":{"binary_data_size":6}`) + "|\x02\x00\x00\x00hi":      "hi",
		head(`"shape":[2],"data":["aGk=","aGk="]`):                                           "one picture",
		head(`"shape":[1],"data":["aGk=","aGk="]`):                                           "one string",
		head(`"shape":[1],"data":["%"]`):                                                     "base64",
		head(`"shape":[1],"data":[1]`):                                                       "base64",
		head(`"shape":[1]`):                                                                  "base64",
		head(`"shape":[1],"parameters":{"binary_data_size":6}`) + "|\x03\x00\x00\x00hi":      "4 bytes",
		head(`"shape":[1],"parameters":{"binary_data_size":6}`) + "|\x02\x00\x00\x00hi more": "4 bytes",
		head(`"shape":[1],"parameters":{"binary_data_size":2}`) + "|hi":                      "4 bytes",
		head(`"shape":[1],"parameters":{"binary_data_size":6},"data":["aGk="]`):              "both",
		strings.Replace(head(`"shape":[1],"data":["aGk="]`), `"x"`, `"z"`, 1):                "no input",
	} {
		json, tail, binary := strings.Cut(body, "|")
		n := -1
		if binary {
			n = len(json)
		}
		req, err := Parse([]byte(json+tail), n, in, out, false)
		if len(want) == 2 {
			if err != nil || string(req.Media) != want || req.Inputs != nil {
				t.Errorf("%s: %v", body, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) || Status(err) != 400 {
			t.Errorf("%s: %v, want ... %s", body, err, want)
		}
	}
}
