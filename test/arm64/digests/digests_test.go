package main

import (
	"slices"
	"testing"
)

func TestDifferences(t *testing.T) {
	want := parse("aa\tone\nbb\ttwo\nnot run: why\tthree\n")
	if got := differences(want, want); got != nil {
		t.Errorf("%q differ from themselves", got)
	}
	got := parse("aa\tone\nbc\ttwo\ndd\tfour\n")
	if d := differences(want, got); !slices.Equal(d, []string{"four", "three", "two"}) {
		t.Errorf("%q differ", d)
	}
}
