// Runner runs a .whet model twice between three marks for the plugin blocks.c, on one
// thread.
//
//	runner MODEL.whet
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more" // any model runs
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: runner MODEL.whet")
	}
	m, err := format.Open(os.Args[1])
	if err != nil {
		return err
	}
	defer m.Close()
	p, err := runtime.Compile(m, runtime.WithThreads(1))
	if err != nil {
		return err
	}
	s := p.NewSession()
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for i, in := range p.Inputs() {
		switch t := s.Input(i); {
		case in.Type == format.Float32:
			x := t.Float32()
			for j := range x {
				x[j] = float32(rng.NormFloat64())
			}
		case in.Quant != nil:
			b := t.Bytes()
			for j := range b {
				b[j] = byte(rng.Uint32())
			}
		}
	}
	mark()
	for range 2 {
		if err := s.Run(context.Background()); err != nil {
			return err
		}
		mark()
	}
	return nil
}
