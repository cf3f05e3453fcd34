// Road does the steps from raw data to a private, explained model with whet and
// with the Python libraries that people use for them, from the same data and the
// same first weights, and compares.
//
//	go run ./test/road -python PYTHON -material DIR cnn mnist edit lstm tables gap explain attack privacy
//
// PYTHON has tensorflow-cpu, torch, scikit-learn, pandas, captum and dp-accounting;
// peer.py says which part needs which. It exits 1 if something is worse than it
// must be.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
)

// A config is what the flags say.
type config struct {
	python, material, fashion, work string
	epochs, seeds                   int
	failed                          bool
}

var parts = map[string]func(context.Context, *config) error{
	"cnn": cnn, "mnist": mnist, "edit": edit, "tables": tables, "gap": gap,
	"lstm": lstm, "explain": explained, "attack": attacks, "privacy": privacy,
}

func main() {
	c := &config{}
	flag.StringVar(&c.python, "python", "python3", "interpreter with the peers")
	flag.StringVar(&c.material, "material", "", "folder with datasets/mnist, timeseries, fsdd and tabular")
	flag.StringVar(&c.fashion, "fashion", "/usr/share/datasets/fashion-mnist", "folder of Fashion-MNIST's idx files")
	flag.StringVar(&c.work, "work", "", "folder for what the two sides exchange (default: a temporary one)")
	flag.IntVar(&c.epochs, "epochs", 10, "of the convolutional network")
	flag.IntVar(&c.seeds, "seeds", 5, "runs of what is judged over several")
	flag.Parse()
	known := slices.Sorted(maps.Keys(parts))
	for _, p := range flag.Args() {
		if parts[p] == nil {
			fmt.Fprintf(os.Stderr, "road: there is no part %q; there are %v\n", p, known)
			os.Exit(2)
		}
	}
	if err := c.run(context.Background(), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "road:", err)
		os.Exit(1)
	}
	if c.failed {
		os.Exit(1)
	}
}

func (c *config) run(ctx context.Context, names []string) error {
	if c.work == "" {
		dir, err := os.MkdirTemp("", "road")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		c.work = dir
	}
	for _, name := range names {
		fmt.Println("==", name)
		if err := parts[name](ctx, c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// peer runs a part of peer.py in the work folder and reads the JSON that it prints
// last.
func (c *config) peer(ctx context.Context, result any, args ...string) error {
	cmd := exec.CommandContext(ctx, c.python, append([]string{filepath.Join("test", "road", "peer.py"), c.work}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s %v: %w", c.python, cmd.Args[1:], err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return json.Unmarshal([]byte(lines[len(lines)-1]), result)
}

// check prints a figure and whether it is as good as it must be.
func (c *config) check(what string, value float64, ok bool, must string) {
	verdict := "ok"
	if !ok {
		verdict, c.failed = "WORSE", true
	}
	fmt.Printf("%-60s %10.4f  %s (%s)\n", what, value, verdict, must)
}

// write puts a value into a file of the work folder: []float32 raw, others as JSON.
func (c *config) write(name string, v any) error {
	var b []byte
	switch v := v.(type) {
	case []float32:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	default:
		var err error
		if b, err = json.Marshal(v); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(c.work, name), b, 0o644)
}

// weights are a model's constants by name, for the peer.
func weights(m *format.Model) map[string]any {
	list := map[string]any{}
	for _, t := range m.Tensors {
		if t.Const() && t.Type == format.Float32 {
			list[t.Name] = map[string]any{"shape": []int(t.Shape), "data": floats(t.Data)}
		}
	}
	return list
}

func floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// network builds a network from its line.
func network(shape []int, line string, classes int, seed uint64) (*format.Model, error) {
	layers, err := build.Parse(line, classes)
	if err != nil {
		return nil, err
	}
	return build.New(shape, seed, layers...)
}

func argmax(v []float32) int { return slices.Index(v, slices.Max(v)) }

// accuracy is the part of scores whose greatest is at the class.
func accuracy(scores [][]float32, class []int) float64 {
	right := 0
	for i, s := range scores {
		if argmax(s) == class[i] {
			right++
		}
	}
	return float64(right) / float64(len(class))
}
