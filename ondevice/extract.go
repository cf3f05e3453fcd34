package ondevice

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime"
)

// Extract returns the features of all samples of d, in order: what the model's
// head reads when the samples are its input.
func Extract(ctx context.Context, m *format.Model, d Data, opts ...runtime.Option) (*Features, error) {
	return ExtractFor(ctx, Head, m, d, opts...)
}

// ExtractFor is [Extract] for any tail: what the part of the model that is
// trained reads.
func ExtractFor(ctx context.Context, t Tail, m *format.Model, d Data, opts ...runtime.Option) (*Features, error) {
	h, err := findHead(m)
	if err != nil {
		return nil, err
	}
	feature := h.feature
	if t != Head {
		tl, err := findTail(m, h, t)
		if err != nil {
			return nil, err
		}
		feature = tl.cut
	}
	e := extractor{model: m, feature: feature.Name, opts: opts}
	out, err := newFeatures(m, feature)
	if err != nil {
		return nil, err
	}
	buf := e.input()
	for i := range d.Len() {
		if err := d.Input(i, buf); err != nil {
			return nil, fmt.Errorf("ondevice: %w", err)
		}
		row, err := e.run(ctx, buf)
		if err != nil {
			return nil, err
		}
		if err := out.Append(inputID(buf), d.Sample(i).Label, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// extractor runs the frozen part of a model, compiled when it is first needed.
type extractor struct {
	model   *format.Model
	feature string
	opts    []runtime.Option
	session *runtime.Session
}

// input returns a buffer for the model's input.
func (e *extractor) input() []byte {
	t := e.model.Tensor(e.model.Main().Inputs[0].Tensor)
	return make([]byte, t.Type.Bytes(t.Shape.Elems()))
}

// run returns the features of one input; the next run overwrites them.
func (e *extractor) run(ctx context.Context, input []byte) ([]byte, error) {
	if e.session == nil {
		prog, err := runtime.Compile(e.model, append(slices.Clone(e.opts), runtime.WithOutputs(e.feature))...)
		if err != nil {
			return nil, err
		}
		e.session = prog.NewSession()
	}
	e.session.Reset()
	copy(e.session.Input(0).Bytes(), input)
	if err := e.session.Run(ctx); err != nil {
		return nil, err
	}
	return e.session.Output(0).Bytes(), nil
}

// extract is [Extract] with a cache: what it knows is not computed, what it does
// not is added, and its file is brought up to date now and then and at the end.
func (j *Job) extract(ctx context.Context, d Data, cache *cache, rep *Report) (*Features, error) {
	p := j.plan
	e := extractor{model: p.model, feature: p.Feature, opts: p.opt.Runtime}
	out := p.kind.empty()
	out.ids, out.labels, out.at = make([]ID, 0, d.Len()), make([]string, 0, d.Len()), make([]int32, 0, d.Len())
	buf := e.input()
	told := time.Now()
	for i := range d.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := d.Input(i, buf); err != nil {
			return nil, fmt.Errorf("ondevice: %w", err)
		}
		id := inputID(buf)
		row, known := cache.rows[id]
		if !known {
			b, err := e.run(ctx, buf)
			if err != nil {
				return nil, err
			}
			if row, err = cache.add(id, b); err != nil {
				return nil, err
			}
			rep.Computed++
		}
		out.ids, out.labels, out.at = append(out.ids, id), append(out.labels, d.Sample(i).Label), append(out.at, row)
		if now := time.Now(); now.Sub(told) > time.Second/5 {
			told = now
			j.tell(Progress{Phase: "extract", Done: i + 1, Total: d.Len()})
			if err := cache.save(j.fs, 50); err != nil {
				return nil, err
			}
		}
	}
	j.tell(Progress{Phase: "extract", Done: d.Len(), Total: d.Len()})
	out.rows = cache.features.rows // they lie there once
	return out, cache.save(j.fs, 0)
}

// cache is the features of a model on disk, by input.
type cache struct {
	path     string
	features *Features
	rows     map[ID]int32
	saved    int           // rows in the file
	at       time.Time     // of the last save
	cost     time.Duration // of the last save
}

// loadCache reads the cache. One that is missing, damaged or of another model
// is an empty one: it can only save time.
func (j *Job) loadCache() *cache {
	p := j.plan
	room := p.data.Len()
	if p.opt.ValData != nil {
		room += p.opt.ValData.Len()
	}
	c := &cache{path: p.opt.Cache, features: p.kind.empty(), rows: make(map[ID]int32, room), at: time.Now()}
	if c.path == "" && j.path != "" {
		c.path = j.path + ".features"
	}
	f, err := readFile(j.fs, c.path, func(file io.ReaderAt, size int64) (*Features, error) {
		return readFeatures(file, size, c.features, room)
	})
	if err != nil {
		c.features.grow(room)
		return c
	}
	c.features, c.saved = f, f.Len()
	for i, id := range f.ids {
		c.rows[id] = int32(i)
	}
	return c
}

// add takes a row in and returns its number.
func (c *cache) add(id ID, row []byte) (int32, error) {
	n := int32(c.features.Len())
	c.rows[id] = n
	return n, c.features.Append(id, "", row)
}

// save writes the file if rows were added and writing it would take at most a
// fraction 1/rarity of the time since it was last written; 0 is always.
func (c *cache) save(fsys vfs.FS, rarity int) error {
	begin := time.Now()
	if c.path == "" || c.saved == c.features.Len() || begin.Sub(c.at) < time.Duration(rarity)*max(c.cost, time.Second/10) {
		return nil
	}
	if err := vfs.WriteFile(fsys, c.path, c.features.write); err != nil {
		return fmt.Errorf("ondevice: cache of features: %w", err)
	}
	c.saved, c.at = c.features.Len(), time.Now()
	c.cost = c.at.Sub(begin)
	return nil
}
