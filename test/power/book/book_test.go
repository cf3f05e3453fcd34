package book

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// TestCheck compares a disk with books that promise what it does not keep.
func TestCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := store.Open(vfs.OS, dir, store.Options{Ballast: 1})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(4) {
		if _, err := s.Add(store.Sample{Model: Model, Label: Label(seed), Data: Sample(seed)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Delete(Model, 2); err != nil {
		t.Fatal(err)
	}
	v, err := s.Publish(Model, store.Version{}, Delta(9))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(Model, v.Version); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const kept = "add 1 0|add 2 1|drop 2|gone 2|add 3 2|version 2 9|want 2|current 2"
	for promised, want := range map[string]string{
		kept:                                    "", // and one that nobody was told of
		strings.Replace(kept, "|gone 2", "", 1): "",
		kept + "|add 4 3|add 5 4":               "acknowledged sample 5 is lost",
		kept + "|add 4 7":                       "sample 4 is another one",
		kept + "|drop 3|gone 3":                 "sample 3 was deleted and is back",
		"add 1 0|version 2 9|want 2|current 2":  "2 samples more", // of which one may be
		strings.Replace(kept, "2 9", "2 8", 1):  "another delta",
		"add 1 0|add 3 2|add 4 3":               "version 2 is current",
		kept + "|add 3 2":                       "given twice",
		kept + "|wrong everything":              "the guest says",
		kept + "|add x":                         "the line",
	} {
		b := New()
		var err error
		for line := range strings.SplitSeq(promised, "|") {
			if err == nil {
				err = b.Note(line)
			}
		}
		extra := 1
		if strings.HasPrefix(want, "2 samples") {
			extra = 0
		}
		if err == nil {
			err = b.Clone().Check(dir, extra)
		}
		if (err == nil) != (want == "") || want != "" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", promised, err, want)
		}
	}
}
