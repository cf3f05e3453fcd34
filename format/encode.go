package format

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// An encoder writes msgpack objects to memory, in a form that depends on the
// values alone: keys in a fixed or sorted order, integers as short as they go.
// The first error sticks.
type encoder struct {
	buf bytes.Buffer
	mp  *msgpack.Encoder
	err error
}

func newEncoder() *encoder {
	e := &encoder{}
	e.mp = msgpack.NewEncoder(&e.buf)
	return e
}

func (e *encoder) keep(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *encoder) array(n int)       { e.keep(e.mp.EncodeArrayLen(n)) }
func (e *encoder) object(n int)      { e.keep(e.mp.EncodeMapLen(n)) }
func (e *encoder) str(s string)      { e.keep(e.mp.EncodeString(s)) }
func (e *encoder) int(v int64)       { e.keep(e.mp.EncodeInt(v)) }
func (e *encoder) bool(v bool)       { e.keep(e.mp.EncodeBool(v)) }
func (e *encoder) float64(v float64) { e.keep(e.mp.EncodeFloat64(v)) }

func (e *encoder) bin(b []byte) {
	e.keep(e.mp.EncodeBytesLen(len(b)))
	e.buf.Write(b)
}

func (e *encoder) strs(list []string) {
	e.array(len(list))
	for _, s := range list {
		e.str(s)
	}
}

func (e *encoder) attrs(a Attrs) {
	e.object(len(a))
	for _, name := range slices.Sorted(maps.Keys(a)) {
		e.str(name)
		switch v := a[name].(type) {
		case int64:
			e.int(v)
		case float64:
			e.float64(v)
		case bool:
			e.bool(v)
		case string:
			e.str(v)
		case []int64:
			e.array(len(v))
			for _, x := range v {
				e.int(x)
			}
		case []float64:
			e.array(len(v))
			for _, x := range v {
				e.float64(x)
			}
		case []string:
			e.strs(v)
		default:
			e.keep(fmt.Errorf("format: attribute %q has a value of type %T", name, v))
		}
	}
}

func (e *encoder) shape(s Shape) {
	e.array(len(s))
	for _, d := range s {
		e.int(int64(d))
	}
}

func (e *encoder) quant(q *Quant) {
	n := 1
	for _, there := range []bool{len(q.Zero) > 0, q.Axis != 0, q.Block != 0} {
		if there {
			n++
		}
	}
	e.object(n)
	e.str("scale")
	var packed []byte
	if q.Block != 0 {
		packed = halves(q.Scale)
	}
	if packed != nil {
		e.bin(packed)
	} else {
		e.array(len(q.Scale))
		for _, f := range q.Scale {
			e.keep(e.mp.EncodeFloat32(f))
		}
	}
	if len(q.Zero) > 0 {
		e.str("zero")
		e.array(len(q.Zero))
		for _, z := range q.Zero {
			e.int(int64(z))
		}
	}
	if q.Axis != 0 {
		e.str("axis")
		e.int(int64(q.Axis))
	}
	if q.Block != 0 {
		e.str("block")
		e.int(int64(q.Block))
	}
}
