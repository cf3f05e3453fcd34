package safetensors

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// llamaConfig is what config.json says of a Llama-style decoder (Touvron et al.
// 2023): RMS normalization, rotary positions, gated feed-forward layers.
type llamaConfig struct {
	ModelType string  `json:"model_type"`
	Hidden    int     `json:"hidden_size"`
	FFN       int     `json:"intermediate_size"`
	Layers    int     `json:"num_hidden_layers"`
	Heads     int     `json:"num_attention_heads"`
	KVHeads   int     `json:"num_key_value_heads"`
	HeadDim   int     `json:"head_dim"`
	Vocab     int     `json:"vocab_size"`
	Positions int     `json:"max_position_embeddings"`
	Epsilon   float64 `json:"rms_norm_eps"`
	Theta     float64 `json:"rope_theta"`
	Scaling   any     `json:"rope_scaling"`
	Tied      bool    `json:"tie_word_embeddings"`
	Act       string  `json:"hidden_act"`
}

func isLlama(_ *File, config []byte) bool {
	var c llamaConfig
	return json.Unmarshal(config, &c) == nil && c.ModelType == "llama"
}

// maxPositions bounds the states of a decoder, which have a row a position.
const maxPositions = 1 << 16

// maxAngles bounds the tables of the rotary positions.
const maxAngles = 1 << 24

func readLlamaConfig(o Options) *llamaConfig {
	if o.Config == nil {
		net.Fail("a llama needs the config.json that was published with it, beside the weights")
	}
	c := &llamaConfig{Epsilon: 1e-6, Theta: 10000, Act: "silu"}
	if err := json.Unmarshal(o.Config, c); err != nil {
		net.Fail("config.json: %v", err)
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if o.Length > 0 {
		c.Positions = o.Length
	}
	for name, v := range map[string]int{"hidden_size": c.Hidden, "intermediate_size": c.FFN, "num_hidden_layers": c.Layers, "num_attention_heads": c.Heads,
		"num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim, "vocab_size": c.Vocab, "max_position_embeddings": c.Positions} {
		if v < 1 || v > 1<<20 {
			net.Fail("config.json: %s is %d", name, v)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		net.Fail("config.json: %d heads for %d of keys", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		net.Fail("config.json: heads of %d", c.HeadDim)
	case c.Act != "silu":
		net.Fail("config.json: hidden_act %q: only silu is possible", c.Act)
	case c.Scaling != nil:
		net.Fail("config.json: rope_scaling is not supported")
	case c.Positions > maxPositions || c.Positions*c.HeadDim > maxAngles:
		net.Fail("%d positions for heads of %d: give fewer with --length, at most %d are possible", c.Positions, c.HeadDim, min(maxPositions, maxAngles/c.HeadDim))
	}
	return c
}

// llama builds a decoder that takes one token a run, and gives the logits of the
// next. Its states are the keys and values of all positions so far, and their
// number; a session starts again when it is reset, and a run behind the last
// position is an error.
func llama(n *net.Net, f *File, o Options) {
	c := readLlamaConfig(o)
	d := &decoder{Net: n, f: f, c: c}
	token := n.Input("token", format.Int32, format.Shape{1})
	position, moveOn := n.State("position", format.Int32, format.Shape{1})
	embed, _ := f.floats("model.embed_tokens.weight", c.Vocab, c.Hidden)
	x := n.Typed("Gather", format.Float32, format.Attrs{"axis": int64(0)}, n.Floats("embed_tokens", format.Shape{c.Vocab, c.Hidden}, embed), token)
	d.rotary(position)
	// A key behind the position is not there yet.
	d.hidden = n.Typed("Less", format.Bool, nil, position, n.Int32s("positions", format.Shape{c.Positions}, count(c.Positions)))
	d.at = n.Reshape(position, 1, 1, 1)
	for i := range c.Layers {
		n.Scope = fmt.Sprint("layers.", i)
		x = d.layer(x, fmt.Sprintf("model.layers.%d.", i))
	}
	n.Scope = ""
	x = d.norm(x, "model.norm.weight")
	head := "lm_head.weight"
	if !f.has(head) {
		if !c.Tied {
			net.Fail("there is no tensor %q", head)
		}
		head = "model.embed_tokens.weight"
	}
	logits := d.linear(x, head, c.Vocab, c.Hidden)
	moveOn(n.Op("Add", nil, position, n.Int32s("one", format.Shape{1}, []int32{1})))
	n.Output("logits", logits)
}

func count(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

type decoder struct {
	*net.Net
	f        *File
	c        *llamaConfig
	cos, sin *format.Tensor // of this position [1, HeadDim]
	at       *format.Tensor // the position as an index [1, 1, 1]
	hidden   *format.Tensor // positions to come [Positions]
}

// rotary looks up the angles of a position: pairs (i, i + HeadDim/2) are turned by
// position / theta^(2i/HeadDim) (Su et al. 2021, in the order of transformers).
func (d *decoder) rotary(position *format.Tensor) {
	p, h := d.c.Positions, d.c.HeadDim
	cos, sin := make([]float32, p*h), make([]float32, p*h)
	for t := range p {
		for i := range h {
			a := float64(t) / math.Pow(d.c.Theta, float64(2*(i%(h/2)))/float64(h))
			cos[t*h+i], sin[t*h+i] = float32(math.Cos(a)), float32(math.Sin(a))
			if i < h/2 { // the half that is taken away
				sin[t*h+i] = -sin[t*h+i]
			}
		}
	}
	row := func(name string, v []float32) *format.Tensor {
		return d.Typed("Gather", format.Float32, format.Attrs{"axis": int64(0)}, d.Floats(name, format.Shape{p, h}, v), position)
	}
	d.cos, d.sin = row("cos", cos), row("sin", sin)
}

func (d *decoder) norm(x *format.Tensor, name string) *format.Tensor {
	w, s := d.f.floats(name, d.c.Hidden)
	return d.Op("RMSNormalization", format.Attrs{"epsilon": d.c.Epsilon}, x, d.Floats("norm", s, w))
}

func (d *decoder) linear(x *format.Tensor, name string, out, in int) *format.Tensor {
	w, s := d.f.floats(name, out, in)
	return d.Linear(x, d.Floats("weight", s, w), nil)
}

// turned applies the rotary position to x [heads, HeadDim].
func (d *decoder) turned(x *format.Tensor) *format.Tensor {
	h := d.c.HeadDim / 2
	swapped := d.Concat(1, d.Slice(x, 1, h, 2*h), d.Slice(x, 1, 0, h))
	return d.Op("Add", nil, d.Op("Mul", nil, x, d.cos), d.Op("Mul", nil, swapped, d.sin))
}

// remembered puts what belongs to this position into a state at the positions' axis,
// and returns the state.
func (d *decoder) remembered(name string, now *format.Tensor, axis int) *format.Tensor {
	shape := slices.Clone(now.Shape)
	shape[axis] = d.c.Positions
	old, write := d.State(name, format.Float32, shape)
	at := d.Op("Expand", format.Attrs{"shape": build.Ints(now.Shape...)}, d.at)
	all := d.Typed("ScatterElements", format.Float32, format.Attrs{"axis": int64(axis)}, old, at, now)
	write(all)
	return all
}

func (d *decoder) layer(x *format.Tensor, prefix string) *format.Tensor {
	c := d.c
	width, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	in := d.norm(x, prefix+"input_layernorm.weight")
	q := d.turned(d.Reshape(d.linear(in, prefix+"self_attn.q_proj.weight", width, c.Hidden), c.Heads, c.HeadDim))
	k := d.turned(d.Reshape(d.linear(in, prefix+"self_attn.k_proj.weight", kv, c.Hidden), c.KVHeads, c.HeadDim))
	v := d.linear(in, prefix+"self_attn.v_proj.weight", kv, c.Hidden)
	// Both lie as the products below need them.
	keys := d.remembered("keys", d.Reshape(k, c.KVHeads, c.HeadDim, 1), 2)
	values := d.remembered("values", d.Reshape(v, c.KVHeads, 1, c.HeadDim), 1)
	// Heads that share keys and values are rows of one product.
	q = d.Op("Mul", nil, d.Reshape(q, c.KVHeads, c.Heads/c.KVHeads, c.HeadDim), d.Number(1/math.Sqrt(float64(c.HeadDim))))
	scores := d.Op("MatMul", nil, q, keys)
	scores = d.Typed("Where", format.Float32, nil, d.hidden, d.Number(-1e30), scores)
	y := d.Op("MatMul", nil, d.Softmax("Softmax", scores, 2), values)
	y = d.linear(d.Reshape(y, 1, width), prefix+"self_attn.o_proj.weight", c.Hidden, width)
	x = d.Op("Add", nil, x, y)
	in = d.norm(x, prefix+"post_attention_layernorm.weight")
	gate := d.linear(in, prefix+"mlp.gate_proj.weight", c.FFN, c.Hidden)
	gate = d.Op("Mul", nil, gate, d.Op("Sigmoid", nil, gate))
	up := d.linear(in, prefix+"mlp.up_proj.weight", c.FFN, c.Hidden)
	y = d.linear(d.Op("Mul", nil, gate, up), prefix+"mlp.down_proj.weight", c.Hidden, c.FFN)
	return d.Op("Add", nil, x, y)
}
