package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/tools/convert"
)

// sourceFlags settle what a source file leaves open.
type sourceFlags struct {
	dims, consts []string
	arch         string
	length       int
	signature    string
}

func (s *sourceFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&s.dims, "dim", nil, "NAME=SIZE of a symbolic dimension of an ONNX model, or INPUT[i]=SIZE of an open one of an ONNX or Keras model; absent ones are 1; NAME=LEAST..MOST[/STEP] leaves one of an ONNX model open (repeatable)")
	f.StringArrayVar(&s.consts, "const", nil, "NAME=VALUE[,VALUE...] makes an input of an ONNX model a constant (repeatable)")
	f.StringVar(&s.arch, "arch", "", "which network the plain weights of a .safetensors file are of: "+strings.Join(convert.Architectures(), ", ")+"; a config.json beside the file tells it too")
	f.StringVar(&s.signature, "signature", "", "the signature of a TensorFlow Lite model whose graph is taken; without it the first graph")
	f.IntVar(&s.length, "length", 0, "how many positions a language model remembers; 0: as many as it was trained for")
}

// options returns the flags as the importer takes them.
func (s *sourceFlags) options() ([]convert.Option, error) {
	if s.length < 0 {
		return nil, usageError{fmt.Errorf("--length %d", s.length)}
	}
	opts := []convert.Option{convert.WithArch(s.arch), convert.WithLength(s.length), convert.WithSignature(s.signature)}
	for _, d := range s.dims {
		opt, ok := dimension(d)
		if !ok {
			return nil, usageError{fmt.Errorf("--dim %q: write it as NAME=SIZE or NAME=LEAST..MOST[/STEP]", d)}
		}
		opts = append(opts, opt)
	}
	for _, c := range s.consts {
		name, value, ok := strings.Cut(c, "=")
		var list []float64
		for v := range strings.SplitSeq(value, ",") {
			x, err := strconv.ParseFloat(v, 64)
			if ok = ok && err == nil && name != ""; !ok {
				return nil, usageError{fmt.Errorf("--const %q: write it as NAME=VALUE,VALUE...", c)}
			}
			list = append(list, x)
		}
		opts = append(opts, convert.WithConst(name, list...))
	}
	return opts, nil
}

// dimension reads NAME=SIZE, or NAME=LEAST..MOST[/STEP] for a size that stays open.
func dimension(s string) (convert.Option, bool) {
	name, value, _ := strings.Cut(s, "=")
	value, by, stepped := strings.Cut(value, "/")
	from, to, open := strings.Cut(value, "..")
	var n [3]int
	for i, v := range []string{from, to, by} {
		switch {
		case i == 1 && !open:
			v = from
		case i == 2 && !stepped:
			v = "1"
		}
		x, err := strconv.ParseUint(v, 10, 31)
		if err != nil || x == 0 {
			return nil, false
		}
		n[i] = int(x)
	}
	if !open {
		return convert.WithDim(name, n[0]), name != "" && !stepped
	}
	return convert.WithRange(name, n[0], n[1], n[2]), name != "" && n[0] < n[1] && (n[1]-n[0])%n[2] == 0
}
