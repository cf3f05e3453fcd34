package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// modelFlags are the flags of every command that runs a model.
type modelFlags struct {
	deltas  []string
	threads int
}

func (f *modelFlags) add(cmd *cobra.Command) {
	f.addDelta(cmd)
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads that share one run (default: all cores)")
}

func (f *modelFlags) addDelta(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.deltas, "delta", nil, "a .whetd made by whet tune to apply; repeat it for a delta's delta")
}

func (f *modelFlags) options() ([]runtime.Option, error) {
	switch {
	case f.threads < 0 || f.threads > 1024:
		return nil, usagef("--threads %d: 1 to 1024 are possible", f.threads)
	case f.threads == 0:
		return nil, nil
	}
	return []runtime.Option{runtime.WithThreads(f.threads)}, nil
}

// open reads a model and applies the deltas to it.
func (f *modelFlags) open(path string) (*format.Model, error) {
	m, err := openModel(path)
	if err != nil {
		return nil, err
	}
	for _, name := range f.deltas {
		d, err := format.OpenDelta(name)
		if err != nil {
			return nil, fileError(name, err)
		}
		if m, err = format.Apply(m, d); err != nil {
			return nil, fmt.Errorf("%s does not fit %s: %w", name, path, err)
		}
	}
	return m, nil
}

// compile opens and compiles a model.
func (f *modelFlags) compile(path string) (*format.Model, *runtime.Program, error) {
	opts, err := f.options()
	if err != nil {
		return nil, nil, err
	}
	m, err := f.open(path)
	if err != nil {
		return nil, nil, err
	}
	p, err := runtime.Compile(m, opts...)
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	return m, p, nil
}

// openModel reads a .whet file; for a file of another framework the error says
// how to convert it.
func openModel(path string) (*format.Model, error) {
	if kind := foreign(path); kind != "" {
		out := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".whet"
		return nil, usagef("%s is a %s model; convert it first:\n  whet-convert %s -o %s", path, kind, shellQuote(path), shellQuote(out))
	}
	if strings.HasSuffix(path, ".whetd") {
		return nil, usagef("%s is a delta; name its base model and add --delta %s", path, shellQuote(path))
	}
	m, err := format.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	return m, nil
}

// foreign names the framework that a file comes from, by its first bytes and
// else by its name; it is empty for whet's own files and for missing ones.
func foreign(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 16)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	if len(head) >= 8 && string(head[4:8]) == "TFL3" { // the file identifier of a flatbuffer
		return "TensorFlow Lite"
	}
	if strings.HasPrefix(string(head), "\x89HDF\r\n\x1a\n") {
		return "Keras HDF5"
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".tflite":
		return "TensorFlow Lite"
	case ".onnx":
		return "ONNX"
	case ".keras":
		return "Keras"
	case ".safetensors":
		return "safetensors"
	}
	return ""
}

// shellQuote quotes a word for a POSIX shell if it needs it.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+=@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// fileError puts the file's name before an error that does not name it.
func fileError(path string, err error) error {
	if err == nil || strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// emit prints a result: as JSON if --json is set, else by the function text.
func emit(cmd *cobra.Command, result any, text func(w io.Writer) error) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(result)
	}
	// Text is built first: a full disk or a closed pipe is found by one Write.
	var b strings.Builder
	if err := text(&b); err != nil {
		return err
	}
	_, err = io.WriteString(w, trailing.ReplaceAllString(b.String(), ""))
	return err
}

// trailing is the padding of the last cells of a table.
var trailing = regexp.MustCompile(`(?m) +$`)

// table returns a writer that aligns columns separated by tabs.
func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// isTerminal reports whether a writer is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// byteCount prints a size for people.
func byteCount[T int | int64](n T) string {
	switch f := float64(n); {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", f/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", f/(1<<20))
	default:
		return fmt.Sprintf("%.2f GiB", f/(1<<30))
	}
}

// parseBytes reads a size such as 64MiB, 64MB, 64M or 4096.
func parseBytes(s string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{
		{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9},
		{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"b", 1}, {"", 1},
	}
	t := strings.ToLower(strings.TrimSpace(s))
	for _, u := range units {
		if number, ok := strings.CutSuffix(t, u.suffix); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || !(n >= 0) || n*float64(u.factor) > 1<<60 {
				break
			}
			return int64(n * float64(u.factor)), nil
		}
	}
	return 0, errors.New("a size is a number with B, KiB, MiB or GiB")
}

// nanos prints a duration with three or four significant digits.
func nanos(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", ns)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", float64(ns)/1e6)
	}
	return fmt.Sprintf("%.2f s", float64(ns)/1e9)
}

// countOf prints a number with its unit's prefix: 300.8 M.
func countOf(n int64) string {
	switch f := float64(n); {
	case n < 1e3:
		return strconv.FormatInt(n, 10)
	case n < 1e6:
		return fmt.Sprintf("%.1f k", f/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f M", f/1e6)
	default:
		return fmt.Sprintf("%.2f G", f/1e9)
	}
}

// shapeOf prints a shape with the names of its symbols: [1,28,28,1], [batch,3].
func shapeOf(s format.Shape, symbols []string) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = strconv.Itoa(d)
		if d < 0 && ^d < len(symbols) {
			parts[i] = symbols[^d]
		}
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// quantOf says how a tensor is quantized, or nothing.
func quantOf(q *format.Quant) string {
	switch {
	case q == nil:
		return ""
	case len(q.Scale) == 1:
		return fmt.Sprintf("scale %.6g zero %d", q.Scale[0], q.ZeroPoint())
	case q.Block > 0:
		return fmt.Sprintf("%d scales, one a block of %d", len(q.Scale), q.Block)
	}
	return fmt.Sprintf("%d scales along axis %d", len(q.Scale), q.Axis)
}

// shortName cuts the names that converters make of all that they folded into a
// node ("conv/Relu;conv/bias;...") to the first part and to a line.
func shortName(s string) string {
	s, rest, more := strings.Cut(s, ";")
	const width = 48
	if len(s) > width {
		return "..." + s[len(s)-width:]
	}
	if more && rest != "" {
		s += ";..."
	}
	return s
}
