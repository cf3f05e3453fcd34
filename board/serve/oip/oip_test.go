package oip

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format"
)

func spec(name string, t format.DType, shape ...int) Spec {
	return Spec{Name: name, Type: t, Shape: shape}
}

var (
	twoByTwo  = spec("x", format.Int16, 2, 2)
	quantized = Spec{Name: "q", Type: format.Int8, Shape: format.Shape{3}, Quant: format.PerTensor(0.5, -1)}
	scores    = Spec{Name: "y", Type: format.Uint8, Shape: format.Shape{1, 4}, Quant: format.PerTensor(1.0/256, 0)}
)

// inputs makes a request body of one input.
func inputs(s Spec, data string) []byte {
	shape, _ := json.Marshal(s.Shape)
	return []byte(`{"inputs":[{"name":"` + s.Name + `","shape":` + string(shape) + `,"datatype":"` + Datatype(s.Type) + `","data":` + data + `}]}`)
}

func TestData(t *testing.T) {
	le := binary.LittleEndian
	f32 := func(v ...float32) (b []byte) {
		for _, f := range v {
			b = le.AppendUint32(b, math.Float32bits(f))
		}
		return b
	}
	for _, c := range []struct {
		s    Spec
		data string
		want []byte // nil: refused
	}{
		{twoByTwo, "[1,-2,3,-4]", []byte{1, 0, 254, 255, 3, 0, 252, 255}},
		{twoByTwo, "[[1,-2],[3,-4]]", []byte{1, 0, 254, 255, 3, 0, 252, 255}},
		{twoByTwo, " [ [ 1 , -2 ] ,\n\t[3,-4 ]\r\n] ", []byte{1, 0, 254, 255, 3, 0, 252, 255}},
		{twoByTwo, "[[1,-2],3,-4]", nil},
		{twoByTwo, "[1,-2,[3,-4]]", nil},
		{twoByTwo, "[[1,-2,3],[-4]]", nil},
		{twoByTwo, "[[[1],[-2]],[[3],[-4]]]", nil},
		{twoByTwo, "[[1,-2]]", nil},
		{twoByTwo, "[1,2,3]", nil},
		{twoByTwo, "[1,2,3,4,5]", nil},
		{twoByTwo, "[1,2,3,32768]", nil},
		{twoByTwo, "[1,2,3,-32768]", []byte{1, 0, 2, 0, 3, 0, 0, 128}},
		{twoByTwo, "[1,2,3,4.0]", nil},
		{twoByTwo, "[1,2,3,null]", nil},
		{twoByTwo, `[1,2,3,"4"]`, nil},
		{twoByTwo, "{}", nil},
		{twoByTwo, "null", nil},
		{twoByTwo, "7", nil},
		{twoByTwo, "[]", nil},
		{spec("u", format.Uint8, 2), "[0,255]", []byte{0, 255}},
		{spec("u", format.Uint8, 2), "[0,256]", nil},
		{spec("u", format.Uint8, 2), "[0,-1]", nil},
		{spec("u", format.Uint64, 1), "[18446744073709551615]", le.AppendUint64(nil, math.MaxUint64)},
		{spec("i", format.Int64, 1), "[-9223372036854775808]", le.AppendUint64(nil, 1<<63)},
		{spec("i", format.Int64, 1), "[9223372036854775808]", nil},
		{spec("b", format.Bool, 2), "[true,false]", []byte{1, 0}},
		{spec("b", format.Bool, 2), "[1,0]", nil},
		{spec("f", format.Float32, 3), "[0.5,-1e-3,1E+2]", f32(0.5, -1e-3, 100)},
		{spec("f", format.Float32, 1), "[1e39]", nil},
		{spec("f", format.Float32, 1), "[0x10]", nil},
		{spec("f", format.Float32, 1), "[NaN]", nil},
		{spec("f", format.Float64, 1), "[1e39]", le.AppendUint64(nil, math.Float64bits(1e39))},
		{spec("h", format.Float16, 1), "[1]", nil},
		{spec("s", format.Int8), "[5]", []byte{5}},
	} {
		req, err := Parse(inputs(c.s, c.data), -1, []Spec{c.s}, nil, false)
		switch {
		case c.want == nil && err == nil:
			t.Errorf("%s %v: %s is taken for %v", Datatype(c.s.Type), c.s.Shape, c.data, req.Inputs[0])
		case c.want == nil && Status(err) != http.StatusBadRequest:
			t.Errorf("%s: status %d", c.data, Status(err))
		case c.want != nil && err != nil:
			t.Errorf("%s %v: %s: %v", Datatype(c.s.Type), c.s.Shape, c.data, err)
		case c.want != nil && !reflect.DeepEqual(req.Inputs[0], c.want):
			t.Errorf("%s: %v, want %v", c.data, req.Inputs[0], c.want)
		}
	}
}

func TestQuantizesReals(t *testing.T) {
	real := quantized
	real.Type, real.Quant = format.Float32, nil
	req, err := Parse(inputs(real, "[0.25,1000,-1.25]"), -1, []Spec{quantized}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	// 0.5 and -2.5 are halves: they round to the even neighbours 0 and -2.
	if want := []byte{255, 127, 253}; !reflect.DeepEqual(req.Inputs[0], want) {
		t.Errorf("got %v, want %v", req.Inputs[0], want)
	}
	plain := quantized
	plain.Quant = nil
	if _, err := Parse(inputs(real, "[0,0,0]"), -1, []Spec{plain}, nil, false); err == nil {
		t.Error("floats are taken for integers that stand for themselves")
	}
}

func TestBinaryInputs(t *testing.T) {
	in := []Spec{twoByTwo, spec("b", format.Bool, 1)}
	head := `{"inputs":[{"name":"b","shape":[1],"datatype":"BOOL","parameters":{"binary_data_size":1}},` +
		`{"name":"x","shape":[2,2],"datatype":"INT16","parameters":{"binary_data_size":8}}]}`
	parse := func(head, tail string) (*Request, error) {
		return Parse([]byte(head+tail), len(head), in, nil, false)
	}
	req, err := parse(head, "\x01abcdefgh")
	if err != nil || string(req.Inputs[0]) != "abcdefgh" || string(req.Inputs[1]) != "\x01" {
		t.Fatalf("%+v, %v", req, err)
	}
	for name, c := range map[string][2]string{
		"short":           {head, "\x01abcdefg"},
		"long":            {head, "\x01abcdefghi"},
		"no bool":         {head, "\x02abcdefgh"},
		"wrong size":      {strings.Replace(head, ":8}", ":7}", 1), "\x01abcdefgh"},
		"huge size":       {strings.Replace(head, ":8}", ":99999999999999999999}", 1), "\x01abcdefgh"},
		"negative size":   {strings.Replace(head, ":8}", ":-8}", 1), "\x01abcdefgh"},
		"fractional size": {strings.Replace(head, ":8}", ":8.0}", 1), "\x01abcdefgh"},
		"data as well":    {strings.Replace(head, `"INT16"`, `"INT16","data":[1,2,3,4]`, 1), "\x01abcdefgh"},
		"unknown":         {strings.Replace(head, "binary_data_size\":8", "shared_memory_region\":8", 1), "\x01abcdefgh"},
	} {
		if _, err := parse(c[0], c[1]); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := Parse([]byte("{}"), 3, in, nil, false); err == nil {
		t.Error("JSON longer than the body is taken")
	}
}

func TestRequestFields(t *testing.T) {
	in, out := []Spec{spec("x", format.Int8, 1)}, []Spec{scores, spec("z", format.Int8, 1)}
	const x = `"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]`
	good := map[string]Request{
		`{` + x + `}`:                       {Outputs: []Output{{Index: 0}, {Index: 1}}},
		`{"id":"7",` + x + `,"outputs":[]}`: {ID: "7", Outputs: []Output{{Index: 0}, {Index: 1}}},
		`{` + x + `,"outputs":[{"name":"z"},{"name":"y","parameters":{"classification":2}}]}`:                              {Outputs: []Output{{Index: 1}, {Index: 0, Classify: 2}}},
		`{` + x + `,"parameters":{"binary_data_output":true,"timeout":1500}}`:                                              {Timeout: 1500 * time.Microsecond, Outputs: []Output{{Index: 0, Binary: true}, {Index: 1, Binary: true}}},
		`{` + x + `,"parameters":{"binary_data_output":true},"outputs":[{"name":"y","parameters":{"binary_data":false}}]}`: {Outputs: []Output{{Index: 0}}},
	}
	for body, want := range good {
		req, err := Parse([]byte(body), -1, in, out, false)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		want.Inputs = [][]byte{{1}}
		if d := cmp.Diff(&want, req); d != "" {
			t.Errorf("%s (-want +got)\n%s", body, d)
		}
	}
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{` + x, `{` + x + `}{}`, `{` + x + `} x`, `{"Input":[],` + x + `}`,
		`{` + x + `,"outputs":[{"name":"no"}]}`, `{` + x + `,"outputs":[{"name":"y"},{"name":"y"}]}`,
		`{` + x + `,"outputs":[{"name":"y"},{"name":"z"},{"name":"y"}]}`,
		`{` + x + `,"parameters":{"timeout":-1}}`, `{` + x + `,"parameters":{"timeout":"1"}}`,
		`{` + x + `,"parameters":{"binary_data_output":1}}`, `{` + x + `,"parameters":{"priority":-1}}`,
		`{` + x + `,"outputs":[{"name":"y","parameters":{"classification":-1}}]}`,
		`{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]},{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}`,
		`{"inputs":[{"name":"x","shape":[1,1],"datatype":"INT8","data":[1]}]}`,
		`{"inputs":[{"name":"x","shape":[-1],"datatype":"INT8","data":[1]}]}`,
		`{"inputs":[{"name":"x","shape":[1],"datatype":"int8","data":[1]}]}`,
		`{"inputs":[{"name":"x","shape":[1],"datatype":"INT8"}]}`,
		`{` + x + `,"label":"a"}`,
		strings.Repeat("[", 100000), `{"inputs":` + strings.Repeat("[", 100000),
	} {
		if _, err := Parse([]byte(body), -1, in, out, false); Status(err) != http.StatusBadRequest {
			t.Errorf("%.60s: %v", body, err)
		}
	}
	req, err := Parse([]byte(`{`+x+`,"label":"a"}`), -1, in, out, true)
	if err != nil || req.Label == nil || *req.Label != "a" {
		t.Errorf("a sample is %+v, %v", req, err)
	}
	if _, err := Parse([]byte(`{`+x+`,"label":1}`), -1, in, out, true); err == nil {
		t.Error("a label that is a number is taken")
	}
}

func TestReply(t *testing.T) {
	specs := []Spec{scores, spec("z", format.Float32, 2)}
	r := Reply{Model: "m", Version: "1", ID: "\"<é", Values: [][]byte{{0, 128, 128, 255}, f32(1.5, -0)}, Labels: []string{"a", "b"}}
	r.Outputs = []Output{{Index: 1}, {Index: 0, Classify: 9}}
	got, n, err := r.Append(nil, specs)
	if err != nil || n != -1 {
		t.Fatal(n, err)
	}
	want := `{"model_name":"m","model_version":"1","id":"\"\u003cé","outputs":[` +
		`{"name":"z","datatype":"FP32","shape":[2],"data":[1.5,0]},` +
		`{"name":"y","datatype":"BYTES","shape":[1,4],"data":["0.996094:3","0.500000:1:b","0.500000:2","0.000000:0:a"]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	r.ID, r.Outputs = "", []Output{{Index: 0, Binary: true, Classify: 1}, {Index: 1, Binary: true}}
	got, n, err = r.Append(nil, specs)
	want = `{"model_name":"m","model_version":"1","outputs":[` +
		`{"name":"y","datatype":"BYTES","shape":[1,1],"parameters":{"binary_data_size":14}},` +
		`{"name":"z","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]}`
	if err != nil || n != len(want) || string(got) != want+"\x0a\x00\x00\x000.996094:3"+string(f32(1.5, 0)) {
		t.Errorf("got %d %q, %v", n, got, err)
	}

	r.Values[1] = f32(float32(math.Inf(1)), 0)
	r.Outputs = []Output{{Index: 1}}
	if _, _, err = r.Append(nil, specs); Status(err) != http.StatusUnprocessableEntity {
		t.Errorf("infinity in JSON: %v", err)
	}
	r.Outputs[0].Binary = true
	if _, _, err = r.Append(nil, specs); err != nil {
		t.Errorf("infinity in binary: %v", err)
	}
}

func f32(v ...float32) (b []byte) {
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

// TestNumbersSurvive writes values as JSON and reads them back: the bits are the
// same for every type.
func TestNumbersSurvive(t *testing.T) {
	types := []format.DType{format.Bool, format.Int8, format.Int16, format.Int32, format.Int64, format.Uint8, format.Uint16, format.Uint32, format.Uint64, format.Float32, format.Float64}
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		n := rapid.IntRange(1, 9).Draw(t, "n")
		raw := rapid.SliceOfN(rapid.Byte(), typ.Bytes(n), typ.Bytes(n)).Draw(t, "raw")
		for i := range n {
			switch typ {
			case format.Bool:
				raw[i] &= 1
			case format.Float32: // no NaN, no infinity
				raw[4*i+3] &^= 1
			case format.Float64:
				raw[8*i+7] &^= 1
			}
		}
		text, err := AppendData(nil, raw, typ)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Fatalf("%s is no JSON", text)
		}
		back, err := parseData(nil, text, typ, format.Shape{n})
		if err != nil || !reflect.DeepEqual(back, raw) {
			t.Fatalf("%v as %s came back as %v, %v", raw, text, back, err)
		}
	})
}

func TestMetadata(t *testing.T) {
	got := Metadata([]Spec{quantized, spec("v", format.Float16, -1, 3)})
	want := []TensorMetadata{
		{Name: "q", Datatype: "INT8", Shape: []int{3}, Parameters: map[string]any{"scale": float32(0.5), "zero_point": int32(-1)}},
		{Name: "v", Datatype: "FP16", Shape: []int{-1, 3}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// FuzzParse feeds arbitrary bodies: never a panic, every error a refusal by the
// client's fault, every success complete.
func FuzzParse(f *testing.F) {
	in := []Spec{twoByTwo, quantized}
	f.Add([]byte(`{"id":"1","inputs":[{"name":"x","shape":[2,2],"datatype":"INT16","data":[[1,2],[3,4]]},{"name":"q","shape":[3],"datatype":"FP32","data":[1,2.5,-3e1]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}`), -1)
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[2,2],"datatype":"INT16","parameters":{"binary_data_size":8}},{"name":"q","shape":[3],"datatype":"INT8","data":[1,2,3]}]}12345678`), 144)
	f.Add([]byte(strings.Repeat("[", 1000)), -1)
	f.Fuzz(func(t *testing.T, body []byte, jsonLen int) {
		req, err := Parse(body, max(jsonLen, -1), in, []Spec{scores}, true)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
				t.Fatalf("refused with %T %v", err, err)
			}
			return
		}
		if len(req.Inputs) != 2 || len(req.Inputs[0]) != 8 || len(req.Inputs[1]) != 3 || len(req.Outputs) != 1 {
			t.Fatalf("taken as %+v", req)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const n = 96 * 96 * 3
	image := spec("x", format.Uint8, 1, 96, 96, 3)
	data := []byte{'['}
	for i := range n {
		data = append(strconv.AppendInt(data, int64(i%256), 10), ',')
	}
	data[len(data)-1] = ']'
	flat := inputs(image, string(data))
	head := []byte(`{"inputs":[{"name":"x","shape":[1,96,96,3],"datatype":"UINT8","parameters":{"binary_data_size":27648}}]}`)
	raw := append(head, make([]byte, n)...)
	for name, c := range map[string]struct {
		body []byte
		head int
	}{"json": {flat, -1}, "binary": {raw, len(head)}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(c.body, c.head, []Spec{image}, nil, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
