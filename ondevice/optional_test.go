package ondevice

import (
	"strings"
	"testing"
)

func init() { AddOptional() } // as package more does

// A program without package more refuses by its name what it lacks.
func TestOptional(t *testing.T) {
	with := optional
	optional.adapter = nil
	defer func() { optional = with }()
	m := testModel(t, "a", "b")
	for _, o := range []Options{{Tail: Sparse(0.5)}, {Tail: LoRA(2)}, {Optimizer: AdamW8}} {
		if _, err := Plan(m, testSamples(2, 1, "a", "b"), o); err == nil || !strings.Contains(err.Error(), "ondevice/more") {
			t.Errorf("%v, %v: %v", o.Tail, o.Optimizer, err)
		}
	}
	if _, err := Plan(m, testSamples(2, 1, "a", "b"), Options{Tail: Bias}); err != nil {
		t.Error(err)
	}
}
