package format

import (
	"maps"
	"slices"
)

var headerKeys = []string{"opset", "digest", "weight_bytes", "peak_bytes", "source", "card", "labels", "pre", "post", "tunable", "metrics", "dynamic", "pad"}

// encodeHeader returns the header map, padded to a multiple of 64 bytes.
func encodeHeader(h *Header) ([]byte, error) {
	e := newEncoder()
	n := len(headerKeys)
	if h.Dynamic.Dims == nil {
		n--
	}
	e.object(n)
	e.str("opset")
	e.int(int64(h.Opset))
	e.str("digest")
	e.bin(h.Digest[:])
	e.str("weight_bytes")
	e.int(h.WeightBytes)
	e.str("peak_bytes")
	e.int(h.PeakBytes)
	e.str("source")
	e.object(4)
	for _, kv := range [][2]string{{"format", h.Source.Format}, {"sha256", h.Source.SHA256}, {"tool", h.Source.Tool}, {"note", h.Source.Note}} {
		e.str(kv[0])
		e.str(kv[1])
	}
	e.str("card")
	e.texts(h.Card)
	e.str("labels")
	e.strs(h.Labels)
	e.str("pre")
	e.transforms(h.Pre)
	e.str("post")
	e.transforms(h.Post)
	e.str("tunable")
	e.strs(h.Tunable)
	e.str("metrics")
	e.metrics(h.Metrics)
	if h.Dynamic.Dims != nil {
		e.str("dynamic")
		e.dynamic(&h.Dynamic)
	}
	e.pad()
	return e.buf.Bytes(), e.err
}

// pad writes the last pair of a header: zeros up to a multiple of 64 bytes.
func (e *encoder) pad() {
	e.str("pad")
	n := -(e.buf.Len() + 2) & (dataAlign - 1) // bin8 has a head of two bytes
	e.bin(make([]byte, n))
}

func (e *encoder) texts(m map[string]string) {
	e.object(len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.str(k)
		e.str(m[k])
	}
}

func (e *encoder) metrics(m map[string]float64) {
	e.object(len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.str(k)
		e.float64(m[k])
	}
}

func (e *encoder) transforms(list []Transform) {
	e.array(len(list))
	for _, t := range list {
		e.object(3)
		e.str("op")
		e.str(t.Op)
		e.str("tensor")
		e.str(t.Tensor)
		e.str("attrs")
		e.attrs(t.Attrs)
	}
}

// decodeHeader reads a header map. Keys that a later version may have added are
// passed over; nothing in a header changes what a model computes.
func decodeHeader(c *container) (Header, error) {
	var h Header
	d := newDecoder(c.header, fixedLen, &c.lim)
	d.skipUnknown = true
	d.object("the header", 2, headerKeys, func(key string) {
		switch key {
		case "opset":
			h.Opset = int(d.uint(1 << 30))
		case "digest":
			h.Digest = d.digest()
		case "weight_bytes":
			h.WeightBytes = int64(d.uint(1 << 62))
		case "peak_bytes":
			h.PeakBytes = int64(d.uint(1 << 62))
		case "source":
			d.object("the source", 0, []string{"format", "sha256", "tool", "note"}, func(key string) {
				switch v := d.str(); key {
				case "format":
					h.Source.Format = v
				case "sha256":
					h.Source.SHA256 = v
				case "tool":
					h.Source.Tool = v
				case "note":
					h.Source.Note = v
				}
			})
		case "card":
			h.Card = d.texts()
		case "labels":
			h.Labels = d.strs()
		case "pre":
			h.Pre = d.transforms()
		case "post":
			h.Post = d.transforms()
		case "tunable":
			h.Tunable = d.strs()
		case "metrics":
			h.Metrics = d.metrics()
		case "dynamic":
			h.Dynamic = d.dynamic()
		case "pad":
			d.padding()
		}
	})
	if err := d.end(); err != nil {
		return Header{}, err
	}
	if h.Opset > Opset {
		return Header{}, &SyntaxError{fixedLen, "the model uses a later op table", ErrVersion}
	}
	return h, nil
}

// padding reads the value of "pad".
func (d *decoder) padding() {
	for _, b := range d.bin() {
		if b != 0 {
			d.fail("the padding is not zero")
			return
		}
	}
}

// dictionary reads a map with free keys.
func dictionary[V any](d *decoder, value func() V) map[string]V {
	n := d.mapLen()
	if n == 0 {
		return nil
	}
	m := make(map[string]V, min(n, prealloc))
	for ; n > 0 && d.err == nil; n-- {
		k := d.str()
		if _, dup := m[k]; dup {
			d.fail("key %q is there twice", k)
		}
		m[k] = value()
	}
	return m
}

func (d *decoder) texts() map[string]string    { return dictionary(d, d.str) }
func (d *decoder) metrics() map[string]float64 { return dictionary(d, d.float64) }

func (d *decoder) transforms() []Transform {
	var list []Transform
	lenient := d.skipUnknown
	d.skipUnknown = false // a step that is not understood in full would give wrong inputs
	d.list(func() {
		var t Transform
		d.object("a transform", 3, []string{"op", "tensor", "attrs"}, func(key string) {
			switch key {
			case "op":
				t.Op = d.str()
			case "tensor":
				t.Tensor = d.str()
			case "attrs":
				t.Attrs = d.attrs()
			}
		})
		list = append(list, t)
	})
	d.skipUnknown = lenient
	return list
}
