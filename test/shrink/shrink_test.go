package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

func TestNetworkIsSound(t *testing.T) {
	m := newNetwork(1)
	if err := format.Check(m); err != nil {
		t.Fatal(err)
	}
	if got := m.Tensor("dense1/w").Shape; got[0] != 128 || got[1] != 1600 {
		t.Errorf("dense1 has the weights %v", got)
	}
}

func TestFailures(t *testing.T) {
	rows := func() []*row {
		return []*row{
			{Name: nameFloat, Accuracy: 0.9, Loss: 0.3, MACs: 100, RunNS: 1000}, {Name: nameInt8, Accuracy: 0.896},
			{Name: nameBytes, Bytes: 100}, {Name: nameInt4, Bytes: 60, Loss: 0.302}, {Name: namePruned, Accuracy: 0.891, MACs: 50, RunNS: 600},
			{Name: nameLonger, Accuracy: 0.9},
			{Name: nameDense, Loss: 0.4}, {Name: nameDenseBytes, Bytes: 50}, {Name: nameDenseInt4, Bytes: 30, Loss: 0.4},
		}
	}
	if f := failures(rows()); len(f) != 0 {
		t.Errorf("%q", f)
	}
	for want, spoil := range map[string]func(r []*row){
		"pruning loses 2.00": func(r []*row) { r[4].Accuracy = 0.88 }, "pruning loses 1.40": func(r []*row) { r[5].Accuracy = 0.905 }, "are left": func(r []*row) { r[4].MACs = 51 }, "times as fast": func(r []*row) { r[4].RunNS = 700 },
		"int8 loses": func(r []*row) { r[1].Accuracy = 0.89 }, "raises the loss": func(r []*row) { r[3].Loss = 0.304 }, "bytes": func(r []*row) { r[3].Bytes = 61 },
		"alone, float32: int4 raises": func(r []*row) { r[8].Loss = 0.41 },
	} {
		r := rows()
		spoil(r)
		if f := failures(r); len(f) != 1 || !strings.Contains(f[0], want) {
			t.Errorf("%s: %q", want, f)
		}
	}
}

func TestLoadRefusesWhatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]int{"images-idx3": 16 + 3*side*side, "labels-idx1": 8 + 2} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "train-"+name+"-ubyte.gz"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := load(dir, "train"); err == nil {
		t.Error("three images with two labels were taken")
	}
}
