package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// generated is what whet generate prints.
type generated struct {
	Model  string  `json:"model"`
	Prompt []int32 `json:"prompt_ids"`
	IDs    []int32 `json:"ids"` // of the prompt and what follows it
	Text   string  `json:"text"`
	Rate   float64 `json:"tokens_per_second"`
	ISA    string  `json:"isa"`
}

// stops are the tokens behind which a text ends, in the vocabularies that have them.
var stops = []string{"</s>", "<s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|im_end|>"}

func newGenerateCmd() *cobra.Command {
	var mf modelFlags
	var prompt, tokenizer string
	var tokens int
	cmd := &cobra.Command{
		Use:   "generate MODEL.whet --prompt TEXT",
		Short: "Continue a text with a language model",
		Long: `Continue a text with a language model, always with the likeliest token.

The model takes one token a run and remembers those before it, as whet-convert
makes it of a Llama's .safetensors file. The tokenizer is the one that travels
with the model, or a file that it was published with.`,
		Example: `  whet generate stories.whet --tokenizer tok512.bin --prompt "Once upon a time" --tokens 100`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if tokens < 1 {
				return usagef("--tokens %d: at least 1 is needed", tokens)
			}
			m, p, err := mf.compile(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			t, err := tokenizerOf(m, tokenizer)
			if err != nil {
				return fileError(args[0], err)
			}
			w, err := newWriter(p, t)
			if err != nil {
				return fileError(args[0], err)
			}
			r, err := w.write(cmd.Context(), prompt, tokens)
			if err != nil {
				return fileError(args[0], err)
			}
			r.Model = args[0]
			return emit(cmd, r, func(out io.Writer) error {
				_, err := fmt.Fprintln(out, r.Text)
				return err
			})
		},
	}
	mf.add(cmd)
	cmd.Flags().StringVar(&prompt, "prompt", "", "the beginning of the text")
	cmd.Flags().IntVar(&tokens, "tokens", 100, "how many tokens to add at most")
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "tokenizer.json, vocab.json, vocab.txt or a llama2.c .bin, for a model without one")
	return cmd
}

// tokenizerOf returns the tokenizer of a file, or that of the model if no file is
// named.
func tokenizerOf(m *format.Model, file string) (*token.Tokenizer, error) {
	if file != "" {
		return token.Load(file)
	}
	return token.FromHeader(&m.Header)
}

// A writer continues texts.
type writer struct {
	p *runtime.Program
	t *token.Tokenizer
}

// newWriter checks that the program takes a token and gives a score for each.
func newWriter(p *runtime.Program, t *token.Tokenizer) (*writer, error) {
	in, out := p.Inputs(), p.Outputs()
	if len(in) != 1 || in[0].Type != format.Int32 || in[0].Shape.Elems() != 1 || out[0].Type != format.Float32 {
		return nil, fmt.Errorf("not a language model: it must take one token (int32) a run and give scores (float32)")
	}
	if n := len(t.Spec().Vocab); out[0].Shape.Elems() < n {
		return nil, fmt.Errorf("the tokenizer has %d pieces, the model %d: it is another model's", n, out[0].Shape.Elems())
	}
	return &writer{p, t}, nil
}

// write returns the prompt with at most n tokens behind it.
func (w *writer) write(ctx context.Context, prompt string, n int) (*generated, error) {
	s := w.p.NewSession()
	defer s.Close()
	r := &generated{Prompt: w.t.Encode(prompt), ISA: w.p.Level().String()}
	if len(r.Prompt) == 0 {
		return nil, usagef("--prompt is empty, and the tokenizer has no token that begins a text")
	}
	r.IDs = slices.Clone(r.Prompt)
	start := time.Now()
	for i := 0; i < len(r.IDs) && len(r.IDs) < len(r.Prompt)+n; i++ {
		s.Input(0).Int32()[0] = r.IDs[i]
		if err := s.Run(ctx); err != nil {
			return nil, fmt.Errorf("token %d: %w", i, err)
		}
		if i < len(r.IDs)-1 {
			continue // the prompt goes on
		}
		scores := s.Output(0).Float32()
		next := int32(slices.Index(scores, slices.Max(scores)))
		if slices.ContainsFunc(stops, func(stop string) bool { id, ok := w.t.ID(stop); return ok && id == next }) {
			break
		}
		r.IDs = append(r.IDs, next)
	}
	r.Rate = float64(len(r.IDs)) / time.Since(start).Seconds()
	r.Text = w.t.Decode(r.IDs)
	return r, nil
}
