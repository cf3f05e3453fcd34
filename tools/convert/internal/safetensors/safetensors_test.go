package safetensors

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert/internal/bounded"
)

// file makes a .safetensors file of float32 tensors.
func file(tensors map[string][]float32, shapes map[string][]int) []byte {
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		from := len(data)
		for _, v := range tensors[name] {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{from, len(data)}}
	}
	return join(header, data)
}

func join(header any, data []byte) []byte {
	h, _ := json.Marshal(header)
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h, data)
}

func TestOpen(t *testing.T) {
	entry := func(dtype string, shape []int, from, to int) map[string]any {
		return map[string]any{"dtype": dtype, "shape": shape, "data_offsets": []int{from, to}}
	}
	eight := make([]byte, 8)
	for _, tt := range []struct {
		name string
		b    []byte
		want string // in the error; "": none
	}{
		{"sound", join(map[string]any{"a": entry("F32", []int{1}, 0, 4), "b": entry("F16", []int{2, 1}, 4, 8)}, eight), ""},
		{"scalar and empty", join(map[string]any{"a": entry("F64", nil, 0, 8), "b": entry("F32", []int{0, 3}, 8, 8)}, eight), ""},
		{"short", []byte("1234567"), "shorter"},
		{"long header", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "header of"},
		{"not an object", join([]int{1}, nil), "JSON object"},
		{"not JSON", append(binary.LittleEndian.AppendUint64(nil, 2), "{x"...), "header"},
		{"entry", join(map[string]any{"a": 1}, nil), `"a"`},
		{"type", join(map[string]any{"a": entry("F8_E4M3", []int{1}, 0, 1)}, eight[:1]), "F8_E4M3"},
		{"backwards", join(map[string]any{"a": entry("F32", []int{1}, 4, 0)}, eight), "offsets"},
		{"outside", join(map[string]any{"a": entry("F32", []int{3}, 0, 12)}, eight), "offsets"},
		{"size", join(map[string]any{"a": entry("F32", []int{3}, 0, 8)}, eight), "8 bytes for"},
		{"overflow", join(map[string]any{"a": entry("F32", []int{1 << 31, 1 << 31, 1 << 31}, 0, 8)}, eight), "8 bytes for"},
		{"gap", join(map[string]any{"a": entry("F32", []int{1}, 4, 8)}, eight), "gap"},
		{"overlap", join(map[string]any{"a": entry("F32", []int{2}, 0, 8), "b": entry("F32", []int{1}, 4, 8)}, eight), "overlap"},
		{"rest", join(map[string]any{"a": entry("F32", []int{1}, 0, 4)}, eight), "no tensor"},
	} {
		_, err := Open(tt.b)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

const tinyConfig = `{"model_type": "llama", "hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 2, "num_attention_heads": 4,
	"num_key_value_heads": 2, "vocab_size": 5, "max_position_embeddings": 7, "rms_norm_eps": 1e-5, "rope_theta": 100.0, "tie_word_embeddings": true}`

// tiny makes the weights of tinyConfig.
func tiny() (map[string][]float32, map[string][]int) {
	shapes := map[string][]int{"model.embed_tokens.weight": {5, 8}, "model.norm.weight": {8}}
	for i := range 2 {
		for name, s := range map[string][]int{
			"input_layernorm": {8}, "post_attention_layernorm": {8}, "self_attn.q_proj": {8, 8}, "self_attn.k_proj": {4, 8},
			"self_attn.v_proj": {4, 8}, "self_attn.o_proj": {8, 8}, "mlp.gate_proj": {6, 8}, "mlp.up_proj": {6, 8}, "mlp.down_proj": {8, 6},
		} {
			shapes[fmt.Sprintf("model.layers.%d.%s.weight", i, name)] = s
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	tensors := map[string][]float32{}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		v := make([]float32, format.Shape(shapes[name]).Elems())
		for i := range v {
			v[i] = rnd.Float32()*2 - 1
		}
		tensors[name] = v
	}
	return tensors, shapes
}

// reference computes the logits behind the last of the tokens, in float64 and for
// all positions at once.
func reference(w map[string][]float32, tokens []int32) []float64 {
	const hidden, heads, kv, dim = 8, 4, 2, 2
	mul := func(name string, x []float64) []float64 {
		m := w[name]
		y := make([]float64, len(m)/len(x))
		for i := range y {
			for k, v := range x {
				y[i] += float64(m[i*len(x)+k]) * v
			}
		}
		return y
	}
	norm := func(name string, x []float64) []float64 {
		sum, y := 0.0, make([]float64, len(x))
		for _, v := range x {
			sum += v * v
		}
		for i, v := range x {
			y[i] = v / math.Sqrt(sum/float64(len(x))+1e-5) * float64(w[name][i])
		}
		return y
	}
	turn := func(x []float64, at int) []float64 { // pairs of heads of 2
		for i := 0; i < len(x); i += dim {
			c, s := math.Cos(float64(at)), math.Sin(float64(at))
			x[i], x[i+1] = x[i]*c-x[i+1]*s, x[i+1]*c+x[i]*s
		}
		return x
	}
	var keys, values [2][][]float64
	var x []float64
	for at, token := range tokens {
		x = make([]float64, hidden)
		for i := range x {
			x[i] = float64(w["model.embed_tokens.weight"][int(token)*hidden+i])
		}
		for l := range 2 {
			p := fmt.Sprintf("model.layers.%d.", l)
			in := norm(p+"input_layernorm.weight", x)
			q := turn(mul(p+"self_attn.q_proj.weight", in), at)
			keys[l] = append(keys[l], turn(mul(p+"self_attn.k_proj.weight", in), at))
			values[l] = append(values[l], mul(p+"self_attn.v_proj.weight", in))
			out := make([]float64, hidden)
			for h := range heads {
				g, total := h/(heads/kv)*dim, 0.0
				weights := make([]float64, at+1)
				for t := range weights {
					dot := q[h*dim]*keys[l][t][g] + q[h*dim+1]*keys[l][t][g+1]
					weights[t] = math.Exp(dot / math.Sqrt(dim))
					total += weights[t]
				}
				for t, a := range weights {
					out[h*dim] += a / total * values[l][t][g]
					out[h*dim+1] += a / total * values[l][t][g+1]
				}
			}
			for i, v := range mul(p+"self_attn.o_proj.weight", out) {
				x[i] += v
			}
			in = norm(p+"post_attention_layernorm.weight", x)
			gate, up := mul(p+"mlp.gate_proj.weight", in), mul(p+"mlp.up_proj.weight", in)
			for i := range gate {
				gate[i] *= up[i] / (1 + math.Exp(-gate[i]))
			}
			for i, v := range mul(p+"mlp.down_proj.weight", gate) {
				x[i] += v
			}
		}
	}
	return mul("model.embed_tokens.weight", norm("model.norm.weight", x))
}

func TestLlama(t *testing.T) {
	tensors, shapes := tiny()
	m, err := Import("tiny.safetensors", file(tensors, shapes), Options{Config: []byte(tinyConfig)})
	if err != nil {
		t.Fatal(err)
	}
	if err := format.Check(m); err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	tokens := []int32{1, 4, 0, 2, 2, 3, 1}
	for range 2 {
		for i, id := range tokens {
			s.Input(0).Int32()[0] = id
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			for k, want := range reference(tensors, tokens[:i+1]) {
				if got := s.Output(0).Float32()[k]; math.Abs(float64(got)-want) > 1e-5*max(1, math.Abs(want)) {
					t.Errorf("token %d: logit %d is %v, want %v", i, k, got, want)
				}
			}
		}
		if err := s.Run(context.Background()); err == nil {
			t.Error("a run behind the last position succeeds")
		}
		s.Reset()
	}
}

func TestErrors(t *testing.T) {
	tensors, shapes := tiny()
	b := file(tensors, shapes)
	with := func(old, new string) []byte { return []byte(strings.ReplaceAll(tinyConfig, old, new)) }
	more, moreShapes := maps.Clone(tensors), maps.Clone(shapes)
	more["extra"], moreShapes["extra"] = []float32{1}, []int{1}
	for _, tt := range []struct {
		b    []byte
		o    Options
		want string
	}{
		{b, Options{}, "--arch"},
		{b, Options{Arch: "gpt"}, `"gpt"`},
		{b, Options{Arch: "llama"}, "config.json"},
		{b, Options{Arch: "silero-vad"}, `"stft_conv.weight"`},
		{b, Options{Arch: "llama", Config: []byte("[]")}, "config.json"},
		{b, Options{Config: with(`"num_hidden_layers": 2`, `"num_hidden_layers": 3`)}, "layers.2"},
		{b, Options{Config: with(`"num_hidden_layers": 2`, `"num_hidden_layers": 1`)}, "no place"},
		{b, Options{Config: with(`"vocab_size": 5`, `"vocab_size": 6`)}, "[6 8]"},
		{b, Options{Config: with(`"vocab_size": 5`, `"vocab_size": -5`)}, "vocab_size"},
		{b, Options{Config: with(`"num_key_value_heads": 2`, `"num_key_value_heads": 3`)}, "heads"},
		{b, Options{Config: with(`100.0`, `100.0, "rope_scaling": {"factor": 2}`)}, "rope_scaling"},
		{b, Options{Config: with(`100.0`, `100.0, "hidden_act": "gelu"`)}, "gelu"},
		{b, Options{Config: []byte(tinyConfig), Length: 1 << 20}, "--length"},
		{file(more, moreShapes), Options{Config: []byte(tinyConfig)}, `"extra"`},
	} {
		if _, err := Import("f.safetensors", tt.b, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "f.safetensors: ") {
			t.Errorf("%+v: error %v, want %q", tt.o, err, tt.want)
		}
	}
}

func FuzzImport(f *testing.F) {
	tensors, shapes := tiny()
	f.Add(file(tensors, shapes), []byte(tinyConfig))
	f.Add(join(map[string]any{}, nil), []byte(`{"model_type": "llama"}`))
	f.Fuzz(func(t *testing.T, b, config []byte) {
		var m *format.Model
		var err error
		bounded.Check(t, len(b)+len(config), func() { m, err = Import("f", b, Options{Config: config}) })
		if err == nil {
			if err := format.Check(m); err != nil {
				t.Error(err)
			}
		}
	})
}
