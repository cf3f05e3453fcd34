// Package prom keeps counters, gauges and histograms and writes them in
// Prometheus' text format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// It does of client_golang what a daemon for small boards needs: that library
// brings protobuf with reflection and procfs along, 2 MiB of the binary. Tests
// hold the output against that library's parser and linter.
package prom

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ContentType is the media type of what [Registry.Write] writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Registry is a set of metrics. The zero value is empty and ready.
type Registry struct {
	mu       sync.Mutex // held while writing, too: collectors set gauges for one reader at a time
	families []*Family
	collect  []func()
}

// A Family is the series of one name. Its methods may be called by many
// goroutines at a time; they panic when the number of label values is not that
// of the labels, which is the program's mistake and not the data's.
type Family struct {
	name, help, kind string
	labels           []string
	bounds           []float64 // of a histogram, increasing, without +Inf

	mu     sync.Mutex
	series map[string]*series // by the written labels
}

type series struct {
	value   float64  // of a histogram: the sum
	buckets []uint64 // of a histogram: not cumulative, the last is +Inf
}

// Counter adds a family of counters, which only grow.
func (r *Registry) Counter(name, help string, labels ...string) *Family {
	return r.add(&Family{name: name, help: help, kind: "counter", labels: labels})
}

// Gauge adds a family of gauges.
func (r *Registry) Gauge(name, help string, labels ...string) *Family {
	return r.add(&Family{name: name, help: help, kind: "gauge", labels: labels})
}

// Histogram adds a family of histograms with the upper bounds of their buckets.
func (r *Registry) Histogram(name, help string, bounds []float64, labels ...string) *Family {
	return r.add(&Family{name: name, help: help, kind: "histogram", labels: labels, bounds: bounds})
}

func (r *Registry) add(f *Family) *Family {
	f.series = map[string]*series{}
	if len(f.labels) == 0 {
		f.at(nil) // a metric without labels is there from the start, with 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.families = append(r.families, f)
	return f
}

// OnWrite lets a function set metrics just before they are written.
func (r *Registry) OnWrite(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collect = append(r.collect, f)
}

// at returns the series of label values. The caller holds mu or is alone.
func (f *Family) at(values []string) *series {
	if len(values) != len(f.labels) {
		panic(fmt.Sprintf("prom: %s has %d labels, not %d", f.name, len(f.labels), len(values)))
	}
	var buf [128]byte
	key := buf[:0]
	for i, v := range values {
		if i > 0 {
			key = append(key, ',')
		}
		key = append(append(key, f.labels[i]...), '=', '"')
		key = append(appendEscaped(key, v, true), '"')
	}
	s := f.series[string(key)]
	if s == nil {
		s = new(series)
		if f.kind == "histogram" {
			s.buckets = make([]uint64, len(f.bounds)+1)
		}
		f.series[string(key)] = s
	}
	return s
}

// Add adds to the counter or gauge of the label values.
func (f *Family) Add(v float64, values ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(values).value += v
}

// Inc adds one.
func (f *Family) Inc(values ...string) { f.Add(1, values...) }

// Set sets the gauge of the label values, or a counter that is counted elsewhere.
func (f *Family) Set(v float64, values ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(values).value = v
}

// Observe adds a duration, in seconds, to the histogram of the label values.
func (f *Family) Observe(d time.Duration, values ...string) { f.ObserveValue(d.Seconds(), values...) }

// ObserveValue adds a number to the histogram of the label values.
func (f *Family) ObserveValue(v float64, values ...string) {
	i, _ := slices.BinarySearch(f.bounds, v) // a bound belongs to its bucket
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.at(values)
	s.value += v
	s.buckets[i]++
}

// Reset drops all series: those of models that are gone must not stay.
func (f *Family) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.series)
}

// Write writes all metrics, families in the order of their names.
func (r *Registry) Write(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.collect {
		c()
	}
	slices.SortFunc(r.families, func(a, b *Family) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	for _, f := range r.families {
		f.write(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (f *Family) write(b *bytes.Buffer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.series) == 0 {
		return
	}
	b.WriteString("# HELP " + f.name + " ")
	b.Write(appendEscaped(b.AvailableBuffer(), f.help, false))
	b.WriteString("\n# TYPE " + f.name + " " + f.kind + "\n")
	keys := make([]string, 0, len(f.series))
	for k := range f.series {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		s := f.series[k]
		if f.kind != "histogram" {
			line(b, f.name, k, s.value)
			continue
		}
		sep := ""
		if k != "" {
			sep = ","
		}
		total := uint64(0)
		for i, n := range s.buckets {
			total += n
			le := math.Inf(1)
			if i < len(f.bounds) {
				le = f.bounds[i]
			}
			line(b, f.name+"_bucket", k+sep+`le="`+number(le)+`"`, float64(total))
		}
		line(b, f.name+"_sum", k, s.value)
		line(b, f.name+"_count", k, float64(total))
	}
}

func line(b *bytes.Buffer, name, labels string, v float64) {
	b.WriteString(name)
	if labels != "" {
		b.WriteString("{" + labels + "}")
	}
	b.WriteString(" " + number(v) + "\n")
}

func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// appendEscaped escapes a label's value or, with quote false, a help text. What
// is not UTF-8 would make the whole page unreadable and is replaced.
func appendEscaped(dst []byte, s string, quote bool) []byte {
	for _, c := range s {
		switch {
		case c == '\\':
			dst = append(dst, `\\`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '"' && quote:
			dst = append(dst, `\"`...)
		default:
			dst = append(dst, string(c)...)
		}
	}
	return dst
}
