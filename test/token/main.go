// Command token prints what a tokenizer makes of texts: compare.py puts it
// beside the reference.
//
//	token FILE < texts > ids
//
// A line of the input is a JSON string; one of the output {"ids": [...], "text":
// "..."}, the text being what the ids are decoded to.
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
		var text string
		if err := dec.Decode(&text); err != nil {
			return err
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
