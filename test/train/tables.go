package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/quant"
)

// behind is how many points less than PyTorch a cell of a table may reach.
const behind = 0.5

// tables does two protocols of fine-tuning beside PyTorch, which prepares their data and
// reports its own accuracies: domain shift (noise, inverted and rotated images; the head,
// the biases, or the last convolution and the head, from 10, 50 and 200 images a class; the
// convolution as floats and requantized) and class growth (two classes more from 5, 20 and
// 100 images, with 5, 20 and 50 features kept of each old one). whet's frozen part is int8,
// PyTorch is float throughout. In the domain shift PyTorch repeats whet's order of samples;
// growth draws its samples as each side does.
func tables(ctx context.Context, c *config) ([]check, error) {
	seeds, quick := fmt.Sprint(c.seeds), fmt.Sprint(c.quick)
	for _, args := range [][]string{{"init", c.work, c.data}, {"cells", c.work, c.data, seeds, quick}} {
		if _, err := c.run(ctx, args...); err != nil {
			return nil, err
		}
	}
	train, err := load(c.data, "train")
	if err != nil {
		return nil, err
	}
	test, err := load(c.data, "t10k")
	if err != nil {
		return nil, err
	}
	var cells []*shiftRow
	if err := c.read("cells.json", &cells); err != nil {
		return nil, err
	}
	shift, err := shiftTable(ctx, c, train, cells)
	if err != nil {
		return nil, fmt.Errorf("domain shift: %w", err)
	}
	if _, err := c.run(ctx, "tables", c.work, c.data, seeds, quick); err != nil {
		return nil, err
	}
	var peer struct {
		Shift  []*shiftRow
		Growth []*growthRow
	}
	if err := c.read("tables.json", &peer); err != nil {
		return nil, err
	}
	list := shift.against(peer.Shift).checks("domain shift: percent right of 4,000 images")
	more, err := growthTable(ctx, c, train, test, peer.Growth)
	if err != nil {
		return nil, fmt.Errorf("class growth: %w", err)
	}
	return append(list, more...), nil
}

// read reads a file of JSON from the exchange.
func (c *config) read(name string, v any) error {
	b, err := os.ReadFile(filepath.Join(c.work, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// integerNet is the trained network of so many classes, quantized on 512 images.
func integerNet(ctx context.Context, c *config, train *images, classes int) (*format.Model, error) {
	w, err := floats(filepath.Join(c.work, fmt.Sprintf("base%d.f32", classes)))
	if err != nil {
		return nil, err
	}
	m, err := convnet(w, classes)
	if err != nil {
		return nil, err
	}
	q, err := quant.Quantize(ctx, m, func(yield func(quant.Sample, error) bool) {
		for _, p := range train.pixels[:512] {
			if !yield(quant.Sample{real(p)}, nil) {
				return
			}
		}
	}, quant.Options{})
	if err != nil {
		return nil, err
	}
	return q.Model, nil
}

// input is an image as a model takes it, float32 or quantized.
func input(m *format.Model, pixels []byte) []byte {
	t := m.Tensor(m.Main().Inputs[0].Tensor)
	if t.Quant == nil {
		return floatBytes(pixels)
	}
	b := make([]byte, len(pixels))
	lo, hi := 0.0, 255.0
	if t.Type == format.Int8 {
		lo, hi = -128, 127
	}
	for i, v := range real(pixels) {
		b[i] = byte(int(max(lo, min(hi, math.RoundToEven(float64(v/t.Quant.Scale[0]))+float64(t.Quant.ZeroPoint())))))
	}
	return b
}

func samplesOf(m *format.Model, s *images) (list ondevice.Samples) {
	for i, p := range s.pixels {
		list = append(list, ondevice.Sample{Input: input(m, p), Label: strconv.Itoa(s.label[i]), Source: strconv.Itoa(i)})
	}
	return list
}

func inputsOf(m *format.Model, s *images) (list [][]byte) {
	for _, p := range s.pixels {
		list = append(list, input(m, p))
	}
	return list
}

// exchanged are images that the PyTorch side has written.
func (c *config) exchanged(name string) (*images, error) {
	x, err := os.ReadFile(filepath.Join(c.work, name+".x"))
	if err != nil {
		return nil, err
	}
	y, err := os.ReadFile(filepath.Join(c.work, name+".y"))
	if err != nil {
		return nil, err
	}
	s := &images{}
	for i := range len(y) / 4 {
		s.pixels = append(s.pixels, x[i*side*side:(i+1)*side*side])
		s.label = append(s.label, int(binary.LittleEndian.Uint32(y[4*i:])))
	}
	return s, nil
}

// A shiftRow is one run of PyTorch's.
type shiftRow struct {
	Shift, Tail, Data string
	K, Seed, Epochs   int
	LR                float32
	Accuracy          float64
}

// cell is the row's name in the table.
func (r *shiftRow) cell(form string) string {
	return fmt.Sprintf("%s, %s%s, k = %d", r.Shift, r.Tail, form, r.K)
}

// The forms of a tail: as it was trained, and as the model's integers again.
var shiftForms = []string{"", ", requantized"}

// shiftTable trains the cells and writes down the order of their samples.
func shiftTable(ctx context.Context, c *config, train *images, rows []*shiftRow) (*table, error) {
	base, err := integerNet(ctx, c, train, 10)
	if err != nil {
		return nil, err
	}
	t := newTable()
	for _, row := range rows {
		few, err := c.exchanged(row.Data)
		if err != nil {
			return nil, err
		}
		test, err := c.exchanged(row.Shift + ".test")
		if err != nil {
			return nil, err
		}
		for i, form := range shiftForms {
			if row.Tail == "head" && form != "" {
				continue
			}
			var order []byte
			tuned, err := tuneOrKeep(ctx, base, samplesOf(base, few), ondevice.Options{
				Tail: map[string]ondevice.Tail{"head": ondevice.Head, "bias": ondevice.Bias, "conv": ondevice.Last(2)}[row.Tail],
				LR:   row.LR, Schedule: ondevice.Constant, Epochs: row.Epochs, Val: -1, Seed: uint64(row.Seed), Classes: digits(),
				Form: []ondevice.Form{ondevice.Floats, ondevice.Integers}[i],
				OnStep: func(s ondevice.Step) error {
					for _, k := range s.Samples {
						order = binary.LittleEndian.AppendUint32(order, uint32(k))
					}
					return nil
				},
			})
			if err != nil {
				return nil, err
			}
			if err := os.WriteFile(filepath.Join(c.work, row.Data+"."+row.Tail+".order"), order, 0o644); err != nil {
				return nil, err
			}
			a, err := accuracy(ctx, tuned, inputsOf(tuned, test), func(i int) int { return test.label[i] })
			if err != nil {
				return nil, err
			}
			t.add(row.cell(form), 100*a)
		}
	}
	return t, nil
}

// A growthRow is one run of PyTorch's.
type growthRow struct {
	Method        string
	K, Kept, Seed int
	Old, New, All float64
}

func growthTable(ctx context.Context, c *config, train, test *images, rows []*growthRow) ([]check, error) {
	base, err := integerNet(ctx, c, train, 8)
	if err != nil {
		return nil, err
	}
	base.Header.Labels = digits()[:8]
	features, err := ondevice.Extract(ctx, base, samplesOf(base, test))
	if err != nil {
		return nil, err
	}
	all, old, fresh := newTable(), newTable(), newTable()
	for _, row := range rows {
		b, err := os.ReadFile(filepath.Join(c.work, fmt.Sprintf("growth.%d.pool", row.Seed)))
		if err != nil {
			return nil, err
		}
		take := func(class, from, n int) (list *images) { // of a class's 400 images, in the seed's order
			list = &images{}
			for i := range n {
				k := int(binary.LittleEndian.Uint32(b[4*(400*class+from+i):]))
				list.pixels, list.label = append(list.pixels, train.pixels[k]), append(list.label, train.label[k])
			}
			return list
		}
		var known, new ondevice.Samples
		from := 200
		if row.Method != "balanced" {
			from = 0
		}
		for class := range 8 {
			known = append(known, samplesOf(base, take(class, from, row.Kept))...)
		}
		for class := 8; class < 10; class++ {
			new = append(new, samplesOf(base, take(class, 0, row.K))...)
		}
		o := ondevice.Options{Classes: digits(), Val: -1, Seed: uint64(row.Seed), Instant: row.Method != "balanced"}
		switch {
		case row.Method == "nearest class mean": // of all classes
			new = append(new, known...)
		case row.Kept > 0:
			if o.Replay, err = ondevice.Extract(ctx, base, known); err != nil {
				return nil, err
			}
		}
		if !o.Instant { // 400 steps, a fifth of their samples of the new classes
			o.NewShare = 0.2
			n := len(new) + len(known)
			o.LR, o.Schedule, o.Epochs = 0.005, ondevice.Constant, max(1, 400/((n+31)/32))
		}
		plan, err := ondevice.Plan(base, new, o)
		if err != nil {
			return nil, err
		}
		delta, report, err := ondevice.Fit(ctx, plan)
		if err != nil {
			return nil, err
		}
		if delta == nil {
			return nil, fmt.Errorf("%s, k = %d: %s", row.Method, row.K, report.Verdict)
		}
		o8, n2, a := headAccuracy(delta, features, test)
		name := fmt.Sprintf("%s, k = %d, %d kept", row.Method, row.K, row.Kept)
		for _, cell := range []struct {
			t          *table
			ours, peer float64
		}{{all, a, row.All}, {old, o8, row.Old}, {fresh, n2, row.New}} {
			cell.t.add(name, cell.ours)
			cell.t.peer[name] = append(cell.t.peer[name], cell.peer)
		}
	}
	old.print("class growth: percent right of the old classes' 8,000 images")
	fresh.print("class growth: percent right of the new classes' 2,000 images")
	return all.checks("class growth: percent right of all 10,000 images"), nil
}

// headAccuracy is what a delta's float32 head reaches on features, in percent, for the
// classes below 8, the others and all.
func headAccuracy(d *format.Delta, f *ondevice.Features, test *images) (old, fresh, all float64) {
	var w, b []float32
	for _, t := range d.Tensors() {
		if t.Type != format.Float32 || t.Data == nil {
			continue
		}
		v := make([]float32, t.Shape.Elems())
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		if len(t.Shape) == 2 {
			w = v
		} else {
			b = v
		}
	}
	var right, count [2]float64
	for i, class := range test.label {
		row, best, most := f.Row(i), 0, math.Inf(-1)
		for c := range b {
			var sum float64
			for k, q := range row {
				code := int32(int8(q))
				if f.Type == format.Uint8 {
					code = int32(q)
				}
				sum += float64(w[c*f.Dim+k]) * float64(code-f.Zero)
			}
			if y := sum*float64(f.Scale) + float64(b[c]); y > most {
				best, most = c, y
			}
		}
		g := 0
		if class >= 8 {
			g = 1
		}
		count[g]++
		if best == class {
			right[g]++
		}
	}
	return 100 * right[0] / count[0], 100 * right[1] / count[1], 100 * (right[0] + right[1]) / (count[0] + count[1])
}

// A table is cells of accuracies over seeds, whet's and PyTorch's.
type table struct {
	names      []string
	ours, peer map[string][]float64
}

func newTable() *table { return &table{ours: map[string][]float64{}, peer: map[string][]float64{}} }

func (t *table) add(name string, ours float64) {
	if t.ours[name] == nil {
		t.names = append(t.names, name)
	}
	t.ours[name] = append(t.ours[name], ours)
}

// against adds PyTorch's rows, of which each stands beside all forms of whet's.
func (t *table) against(rows []*shiftRow) *table {
	for _, r := range rows {
		for _, form := range shiftForms {
			t.peer[r.cell(form)] = append(t.peer[r.cell(form)], r.Accuracy)
		}
	}
	return t
}

func (t *table) print(title string) {
	fmt.Printf("\n%s\n%-42s %14s %14s %8s\n", title, "", "whet", "PyTorch", "apart")
	for _, n := range t.names {
		a, da := spread(t.ours[n])
		b, db := spread(t.peer[n])
		fmt.Printf("%-42s %8.2f ±%4.2f %8.2f ±%4.2f %+8.2f\n", n, a, da, b, db, a-b)
	}
}

func (t *table) checks(title string) (list []check) {
	t.print(title)
	for _, n := range t.names {
		a, _ := spread(t.ours[n])
		b, _ := spread(t.peer[n])
		list = append(list, atLeast(n+": points above PyTorch", a-b, -behind))
	}
	return list
}
