package onnx

import (
	"slices"

	"github.com/whet-edge/whet/format"
)

// Losses, which some exporters leave in a graph, and counts of words.

func init() {
	register(map[string]row{"NegativeLogLikelihoodLoss": {2, nllLoss}, "SoftmaxCrossEntropyLoss": {2, crossEntropy}, "TfIdfVectorizer": {1, tfIdf}})
}

func nllLoss(o *op) []*value { return result(o.loss(o.in[0])) }

// loss is the negative log likelihood of the labels, input 1, under the logarithms of
// probabilities x [N, C, ...].
func (o *op) loss(x *value) *value {
	labels := o.cast(o.in[1], format.Int64)
	if x.rank() < 2 || labels.rank() != x.rank()-1 {
		o.fail("labels %v for an input %v", labels.shape(), x.shape())
	}
	classes := x.shape()[1]
	var counts *value // 1 where a label counts
	safe := labels
	if o.attr("ignore_index") != nil {
		ignored := o.logic("Equal", labels, o.number(format.Int64, float64(o.int("ignore_index", 0))))
		counts = o.where(ignored, o.real(0), o.real(1))
		safe = o.where(ignored, o.number(format.Int64, 0), labels)
	}
	at := o.insert(safe, []int{1})
	picked := o.emit("GatherElements", format.Attrs{"axis": int64(1)}, format.Float32, nil, o.plain(x), o.plain(at))
	y := o.each("Neg", nil, format.Float32, o.drop(&value{t: picked}, []int{1}))
	weight := counts
	if o.has(2) {
		if o.in[2].rank() != 1 || o.in[2].shape()[0] != classes {
			o.fail("weights %v for %d classes", o.in[2].shape(), classes)
		}
		weight = &value{t: o.emit("Gather", format.Attrs{"axis": int64(0)}, format.Float32, nil, o.plain(o.in[2]), o.plain(safe))}
		if counts != nil {
			weight = o.mul(weight, counts)
		}
	}
	if weight != nil {
		y = o.mul(y, weight)
	}
	all := identity(y.rank())
	switch o.str("reduction", "mean") {
	case "none":
		return y
	case "sum":
		return o.reduce("ReduceSum", y, all, false)
	}
	if weight == nil {
		return o.reduce("ReduceMean", y, all, false)
	}
	return o.binary("Div", o.reduce("ReduceSum", y, all, false), o.reduce("ReduceSum", weight, all, false))
}

func crossEntropy(o *op) []*value {
	x := o.in[0]
	if x.rank() < 2 {
		o.fail("an input of shape %v", x.shape())
	}
	t := o.arrange(x, channelsLast(x.rank()))
	p := view(o.emit("LogSoftmax", format.Attrs{"axis": int64(-1)}, format.Float32, nil, t), channelsLast(x.rank()))
	return []*value{o.loss(p), p}
}

// tfIdf counts the runs of 1, 2 ... numbers of the pool in the input, whose elements
// may be skipped between: every place of the input is compared with every run.
func tfIdf(o *op) []*value {
	x := o.plain(o.in[0])
	pool, starts, columns := o.ints("pool_int64s"), o.ints("ngram_counts"), o.ints("ngram_indexes")
	if pool == nil || x.typ.Float() || len(x.shape) < 1 || len(x.shape) > 2 {
		o.fail("it needs pool_int64s and one or two dimensions of integers, not texts")
	}
	least, most, skips := o.int("min_gram_length", 0), o.int("max_gram_length", 0), o.int("max_skip_count", 0)
	if least < 1 || most > int64(len(starts)) || most < least || skips < 0 || skips > 1<<10 {
		o.fail("runs of %d to %d numbers, with up to %d between, in a pool of %d lengths", least, most, skips, len(starts))
	}
	weights := make([]float32, len(columns))
	for i := range weights {
		weights[i] = 1
	}
	if a := o.attr("weights"); a != nil {
		if len(a.floats) != len(columns) {
			o.fail("%d weights for %d runs", len(a.floats), len(columns))
		}
		weights = a.floats
	}
	size := int(slices.Max(columns)) + 1
	if len(columns) == 0 || slices.Min(columns) < 0 || size > maxFold {
		o.fail("ngram_indexes %v", columns)
	}
	batch := len(x.shape) == 2
	if !batch {
		x = o.reshape(x, append(format.Shape{1}, x.shape...))
	}
	words := o.cast(&value{t: x}, format.Int64)
	rows, length := x.shape[0], x.shape[1]
	total := &value{t: o.floats(format.Shape{rows, size}, make([]float32, rows*size)...)}
	first := 0 // run of the pool
	for n := int64(1); n <= most; n++ {
		end := int64(len(pool))
		if n < int64(len(starts)) {
			end = starts[n]
		}
		from := starts[n-1]
		if from < 0 || end < from || end > int64(len(pool)) || (end-from)%n != 0 || first+int((end-from)/n) > len(columns) {
			o.fail("ngram_counts %v for a pool of %d", starts, len(pool))
		}
		runs := int((end - from) / n)
		list, to := pool[from:end], columns[first:first+runs]
		first += runs
		if n < least || runs == 0 {
			continue
		}
		// Into which column a run counts, and how much.
		into := make([]float32, runs*size)
		for i, c := range to {
			into[i*size+int(c)] = 1
		}
		for gap := int64(1); gap <= skips+1; gap++ {
			places := int64(length) - (n-1)*gap
			if places < 1 || n == 1 && gap > 1 {
				break
			}
			var same *value // [rows, places, runs]
			for k := range n {
				want := make([]int64, runs)
				for i := range want {
					want[i] = list[int64(i)*n+k]
				}
				at := o.insert(o.cut(words, 1, k*gap, k*gap+places, 1), []int{2})
				eq := o.logic("Equal", at, &value{t: o.constant(format.Int64, format.Shape{1, 1, runs}, intBytes(format.Int64, want))})
				if same != nil {
					eq = o.logic("And", same, eq)
				}
				same = eq
			}
			count := o.reduce("ReduceSum", o.cast(same, format.Float32), []int{1}, false)
			total = o.add(total, o.matmul(count, &value{t: o.floats(format.Shape{runs, size}, into...)}))
		}
	}
	scale := make([]float32, size)
	for i, c := range columns {
		scale[c] = weights[i]
	}
	factor := &value{t: o.floats(format.Shape{size}, scale...)}
	switch mode := o.str("mode", ""); mode {
	case "TF":
	case "IDF":
		total = o.where(o.logic("Less", o.real(0), total), factor, o.real(0))
	case "TFIDF":
		total = o.mul(total, factor)
	default:
		o.fail("mode %q", mode)
	}
	if !batch {
		total = o.drop(total, []int{0})
	}
	return result(total)
}
