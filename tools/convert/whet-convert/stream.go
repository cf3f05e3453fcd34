package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert"
)

// streamFlag is --stream.
type streamFlag struct{ spec string }

// streamReport is what --json prints of it.
type streamReport struct {
	Compared int         `json:"frames_compared"`
	Outputs  []streamOut `json:"outputs"`
}

type streamOut struct {
	Name   string `json:"name"`
	Axis   int    `json:"axis"` // -1: no time
	Frames int    `json:"frames"`
	Delay  int    `json:"delay"`
}

// parse returns the parts of INPUT[AXIS]=FRAMES.
func (s streamFlag) parse() (input string, axis, frames int, err error) {
	place, number, _ := strings.Cut(s.spec, "=")
	input, dim, _ := strings.Cut(strings.TrimSuffix(place, "]"), "[")
	axis, err = strconv.Atoi(dim)
	if err == nil {
		frames, err = strconv.Atoi(number)
	}
	if err != nil || input == "" || axis < 0 || frames < 1 || !strings.HasSuffix(place, "]") {
		return "", 0, 0, usageError{fmt.Errorf("--stream %q: write it as INPUT[AXIS]=FRAMES", s.spec)}
	}
	return input, axis, frames, nil
}

// apply turns a batch network into a streaming one if the flag is there.
func (s streamFlag) apply(m *format.Model) (*format.Model, *streamReport, error) {
	if s.spec == "" {
		return m, nil, nil
	}
	input, axis, frames, err := s.parse()
	if err != nil {
		return nil, nil, err
	}
	m, outs, compared, err := convert.Stream(m, input, axis, frames)
	if err != nil {
		return nil, nil, err
	}
	r := &streamReport{Compared: compared}
	for _, o := range outs {
		r.Outputs = append(r.Outputs, streamOut{o.Name, o.Axis, o.Frames, o.Delay})
	}
	return m, r, nil
}

func (r *streamReport) print(w io.Writer) error {
	if r == nil {
		return nil
	}
	for _, o := range r.Outputs {
		if o.Axis < 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "streaming: %q has %d frames in a run, %d frames late\n", o.Name, o.Frames, o.Delay); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "streaming: %d frames are the batch network's, bit for bit\n", r.Compared)
	return err
}
