package format

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// checkTypes matches the operands with the combinations of the op; see
// [OpSpec.Types].
func (s *OpSpec) checkTypes(in, out []*Tensor) error {
	for _, sig := range s.Types {
		left, right, _ := strings.Cut(sig, "->")
		bound := map[string]*Tensor{}
		if matchTypes(strings.Fields(left), in, bound) && matchTypes(strings.Fields(right), out, bound) {
			return nil
		}
	}
	return fmt.Errorf("it cannot take %s -> %s; it takes %s", describe(in), describe(out), strings.Join(s.Types, ", or "))
}

func matchTypes(words []string, tensors []*Tensor, bound map[string]*Tensor) bool {
	for i, t := range tensors {
		if t == nil {
			continue
		}
		if len(words) == 0 || !matchType(words[min(i, len(words)-1)], t, bound) {
			return false
		}
	}
	return true
}

func matchType(word string, t *Tensor, bound map[string]*Tensor) bool {
	if len(word) > 1 {
		plain, ok := word, false
		switch word[0] {
		case 'q':
			plain, ok = word[1:], perTensor(t.Quant)
		case 'w':
			plain, ok = word[1:], weightQuant(t.Quant)
		default:
			ok = t.Quant == nil || t.Type == Int32 || t.Type == Int64
		}
		return ok && t.Type.String() == plain
	}
	ok := false
	switch word {
	case "A", "B":
		ok = t.Type == Float32 || (t.Type == Int8 || t.Type == Uint8 || t.Type == Int16) && perTensor(t.Quant)
	case "N", "M":
		ok = t.Type != Bool && (t.Quant == nil || t.Type == Int32 || t.Type == Int64)
	case "Q", "R":
		ok = (t.Type == Int8 || t.Type == Uint8 || t.Type == Int16 || t.Type == Int32) && perTensor(t.Quant)
	case "W":
		ok = t.Quant != nil
	case "T", "*":
		ok = true
	}
	if !ok {
		return false
	}
	if word == "*" {
		return true
	}
	first := bound[word]
	if first == nil {
		bound[word] = t
		return true
	}
	return first.Type == t.Type && (word != "T" || first.Quant.Equal(t.Quant))
}

func perTensor(q *Quant) bool { return q != nil && len(q.Scale) == 1 && q.Block == 0 }

// weightQuant accepts one scale with any zero point, or one a row without any.
func weightQuant(q *Quant) bool {
	if q == nil || q.Block != 0 {
		return false
	}
	if len(q.Scale) == 1 {
		return true
	}
	for _, z := range q.Zero {
		if z != 0 {
			return false
		}
	}
	return q.Axis == 0
}

// describe lists operands as people read them.
func describe(list []*Tensor) string {
	if len(list) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i, t := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch {
		case t == nil:
			b.WriteByte('-')
		case t.Quant == nil:
			b.WriteString(t.Type.String())
		case perTensor(t.Quant):
			fmt.Fprintf(&b, "%v(%g,%d)", t.Type, t.Quant.Scale[0], t.Quant.ZeroPoint())
		case t.Quant.Block > 0:
			fmt.Fprintf(&b, "%v(blocks of %d)", t.Type, t.Quant.Block)
		default:
			fmt.Fprintf(&b, "%v(%d scales on axis %d)", t.Type, len(t.Quant.Scale), t.Quant.Axis)
		}
	}
	return b.String()
}

// checkSums refuses quantized layers whose integer sums could overflow, or whose
// rescaling factor is not finite, so that kernels need not care.
func checkSums(op string, in, out []*Tensor) error {
	at := func(i int) *Tensor {
		if i < len(in) {
			return in[i]
		}
		return nil
	}
	switch op {
	case "Conv", "Gemm":
		if in[1].Quant == nil {
			return nil
		}
		if out[0].Quant != nil {
			for _, sw := range in[1].Quant.Scale {
				m := float32(float64(in[0].Quant.Scale[0]) * float64(sw) / float64(out[0].Quant.Scale[0]))
				if math.IsInf(float64(m), 0) {
					return fmt.Errorf("the scales of input (%g), weights (%g) and output (%g) do not fit together", in[0].Quant.Scale[0], sw, out[0].Quant.Scale[0])
				}
			}
		}
		return sumFits(in[0], in[1], at(2), in[1].Shape[0])
	case "QLSTM":
		for g := range 4 {
			if err := sumFits(in[0], in[1+g], in[9+g], in[1].Shape[0]); err != nil {
				return err
			}
			if err := sumFits(in[13], in[5+g], nil, in[1].Shape[0]); err != nil {
				return err
			}
		}
	case "SVDF":
		if in[1].Quant == nil {
			return nil
		}
		if err := sumFits(in[0], in[1], nil, in[1].Shape[0]); err != nil {
			return err
		}
		if in[4].Type == Int8 {
			return sumFits(in[4], in[2], in[3], out[0].Shape[1])
		}
	}
	return nil
}

// run16 is how many products of a 16x8 layer are added in 32 bits before the sum
// moves on to 64.
const run16 = 512

// sumFits bounds |b| + Σ|x - zx|·|w - zw| over each of the rows of w by the int32
// range (for int16 inputs, each run of run16 products). Most layers pass on their
// size alone; the others are added up.
func sumFits(x, w, b *Tensor, rows int) error {
	lo, hi := int64(-128), int64(127) // hybrid: quantized when the op runs, any zero point
	xmax := hi - lo
	if x.Quant != nil {
		lo, hi, _ = intRange(x.Type)
		zx := int64(x.Quant.ZeroPoint())
		xmax = max(hi-zx, zx-lo)
	}
	wide := x.Type == Int16
	wlo, whi, _ := intRange(w.Type)
	zw := int64(w.Quant.ZeroPoint())
	wmax := max(whi-zw, zw-wlo)

	bmax, bias := int64(0), func(int) int64 { return 0 }
	if b != nil && b.Type == Int32 && x.Quant != nil {
		bmax = math.MaxInt32
		if b.Const() {
			bmax, bias = 0, func(i int) int64 {
				v := int64(int32(binary.LittleEndian.Uint32(b.Data[4*i:])))
				return max(v, -v)
			}
			for i := range rows {
				bmax = max(bmax, bias(i))
			}
		}
	}
	k := int64(w.Shape.Elems() / rows)
	run := k
	if wide {
		run = min(run, run16)
	}
	// k is bounded first: the product then fits in 63 bits.
	if k <= math.MaxInt32 && bmax+run*xmax*wmax <= math.MaxInt32 {
		return nil
	}
	tooLong := func(worst int64) error {
		return fmt.Errorf("a sum over %d products can reach %d, more than 32 bits hold: split the layer, or quantize it with smaller weights", k, worst)
	}
	if !w.Const() || w.Type.Bits() != 8 {
		return tooLong(math.MaxInt32 + 1)
	}
	for i := range rows {
		row := w.Data[int64(i)*k : int64(i+1)*k]
		sum := int64(0)
		for j, q := range row {
			if wide && j%run16 == 0 {
				sum = 0
			}
			v := int64(q)
			if w.Type == Int8 {
				v = int64(int8(q))
			}
			sum += max(v-zw, zw-v)
			if worst := bias(i) + sum*xmax; worst > math.MaxInt32 {
				return tooLong(worst)
			}
		}
	}
	return nil
}
