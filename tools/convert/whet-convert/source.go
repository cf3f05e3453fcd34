package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/tools/convert"
)

// sourceFlags settle what a source file leaves open.
type sourceFlags struct{ dims, consts []string }

func (s *sourceFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&s.dims, "dim", nil, "NAME=SIZE of a symbolic dimension of an ONNX model, or INPUT[i]=SIZE of an open one of an ONNX or Keras model; absent ones are 1 (repeatable)")
	f.StringArrayVar(&s.consts, "const", nil, "NAME=VALUE[,VALUE...] makes an input of an ONNX model a constant (repeatable)")
}

// options returns the flags as the importer takes them.
func (s *sourceFlags) options() ([]convert.Option, error) {
	var opts []convert.Option
	for _, d := range s.dims {
		name, value, _ := strings.Cut(d, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 || name == "" {
			return nil, usageError{fmt.Errorf("--dim %q: write it as NAME=SIZE", d)}
		}
		opts = append(opts, convert.WithDim(name, int(n)))
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
