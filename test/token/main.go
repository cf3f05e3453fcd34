// Command token prints what a tokenizer makes of texts: compare.py puts it
// beside the reference.
//
//	token FILE < texts > ids
//
// A line of the input is a JSON string; one of the output {"ids": [...], "text":
// "..."}, the text being what the ids are decoded to. A line with an array of two texts and a
// length, -1 for any, gives the ids and the types of a pair.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/whet-edge/whet/runtime/pre/token"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "token FILE < texts > ids")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "token:", err)
		os.Exit(1)
	}
}

func run(path string, r io.Reader, w io.Writer) error {
	spec, err := token.LoadSpec(path)
	if err != nil {
		return err
	}
	t, err := token.FromTransform(spec.Transform()) // as a model's header carries it
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	dec, enc := json.NewDecoder(bufio.NewReader(r)), json.NewEncoder(out)
	for dec.More() {
		var in any
		if err := dec.Decode(&in); err != nil {
			return err
		}
		text, one := in.(string)
		if !one {
			if err := pair(t, in, enc); err != nil {
				return err
			}
			continue
		}
		line := struct {
			IDs  []int32 `json:"ids"`
			Text string  `json:"text"`
		}{IDs: t.Encode(text)}
		line.Text = t.Decode(line.IDs)
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// pair writes the ids and types of two texts, cut to a length without padding.
func pair(t *token.Tokenizer, in any, enc *json.Encoder) error {
	list, _ := in.([]any)
	if len(list) != 3 {
		return fmt.Errorf("%v is not two texts and a length", in)
	}
	first, ok1 := list[0].(string)
	second, ok2 := list[1].(string)
	length, ok3 := list[2].(float64)
	if !ok1 || !ok2 || !ok3 {
		return fmt.Errorf("%v is not two texts and a length", in)
	}
	ids, types := t.EncodePair(first, second)
	if length >= 0 {
		n := 0
		ids, types, n = t.EncodePairTo(first, second, int(length), 0)
		ids, types = ids[:n], types[:n]
	}
	return enc.Encode(struct {
		IDs   []int32 `json:"ids"`
		Types []int32 `json:"types"`
	}{ids, types})
}
