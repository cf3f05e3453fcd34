// Command mel prints the features of sounds: compare.py puts them beside librosa
// and TensorFlow Lite Micro's front end.
//
// A line of the input is {"samples": [...], "mel": Params, "micro": MicroParams,
// "rate": [from, to]}, with one of the last three; one of the output is a list of
// values.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/whet-edge/whet/runtime/pre/mel"
)

type request struct {
	Samples []float32
	Mel     *mel.Params
	Micro   *mel.MicroParams
	Rate    []int
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mel:", err)
		os.Exit(1)
	}
}

func run(r io.Reader, w io.Writer) error {
	out := bufio.NewWriter(w)
	dec, enc := json.NewDecoder(bufio.NewReader(r)), json.NewEncoder(out)
	for dec.More() {
		var q request
		if err := dec.Decode(&q); err != nil {
			return err
		}
		v, err := q.answer()
		if err == nil {
			err = enc.Encode(v)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

func (q *request) answer() (any, error) {
	switch {
	case q.Mel != nil:
		s, err := mel.New(*q.Mel)
		if err != nil {
			return nil, err
		}
		return s.Compute(q.Samples), nil
	case q.Micro != nil:
		m, err := mel.NewMicro(*q.Micro)
		if err != nil {
			return nil, err
		}
		var samples []int16
		for _, v := range q.Samples {
			samples = append(samples, int16(v))
		}
		return m.Push(samples), nil
	}
	return mel.Resample(q.Samples, q.Rate[0], q.Rate[1]), nil
}
