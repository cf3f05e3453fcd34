// Guest prints a hash of what each model below a folder computes, and one of what the demo
// learns, for package digests to compare.
//
//	guest [--isa LEVEL] [--filter TEXT] DIR
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	_ "github.com/whet-edge/whet/ondevice/more"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more" // any model runs
	"github.com/whet-edge/whet/tools/convert"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run() error {
	isa := flag.String("isa", kernels.Best().String(), "kernel level")
	filter := flag.String("filter", "", "only models whose path contains this, and the demo where it is empty or demo")
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("usage: guest [--isa LEVEL] [--filter TEXT] DIR")
	}
	level, err := kernels.ParseLevel(*isa)
	if err != nil {
		return err
	}
	options := []runtime.Option{runtime.WithLevel(level)}
	dir := flag.Arg(0)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "golden" || d.Name() == "onnx-conformance"): // vectors; operators one by one
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".tflite", ".onnx", ".h5", ".keras", ".safetensors"}, filepath.Ext(path)):
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || !strings.Contains(name, *filter) {
			return err
		}
		hash, err := digest(path, options)
		if err != nil {
			fmt.Printf("not run: %s\t%s\n", strings.ReplaceAll(err.Error(), "\n", "; "), filepath.ToSlash(name))
			return nil
		}
		fmt.Printf("%x\t%s\n", hash, filepath.ToSlash(name))
		return nil
	})
	if err != nil || !strings.Contains("demo", *filter) {
		return err
	}
	report, err := demo.Run(context.Background(), demo.Options{Runtime: options})
	if err != nil {
		return err
	}
	fmt.Printf("%x\tdemo: what its training job learns\n", sha256.Sum256(report.Delta()))
	return nil
}

// settings are what the import of a model has to be told.
var settings = map[string][]convert.Option{
	"silero_vad_16k_op15.onnx": {convert.WithDim("sequence", 512+64), convert.WithConst("sr", 16000)},
}

// digest is the hash of a model's outputs in two runs, the second with the state of the
// first.
func digest(path string, options []runtime.Option) ([]byte, error) {
	m, err := convert.Import(path, settings[filepath.Base(path)]...)
	if err != nil {
		return nil, err
	}
	p, err := runtime.Compile(m, options...)
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	defer s.Close()
	hash := sha256.New()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2 {
		for i, in := range p.Inputs() {
			fill(rng, s.Input(i), in.Quant != nil)
		}
		if err := s.Run(context.Background()); err != nil {
			return nil, err
		}
		for i := range p.Outputs() {
			hash.Write(s.Output(i).Bytes())
		}
	}
	return hash.Sum(nil), nil
}

// fill draws an input: floats as of a picture or sound, codes of their whole range. Other
// integers are indices or lengths: they stay 0.
func fill(rng *rand.Rand, t *runtime.Tensor, codes bool) {
	switch {
	case t.Type == format.Float32:
		x := t.Float32()
		for i := range x {
			x[i] = float32(rng.IntN(513)-256) / 256
		}
	case codes:
		b := t.Bytes()
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	}
}
