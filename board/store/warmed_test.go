package store

import (
	"fmt"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

func TestWarmed(t *testing.T) {
	fsys := vfs.NewMem()
	open := func() *Store {
		t.Helper()
		s, err := Open(fsys, "state", Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if s.Warmed("a") {
		t.Error("known before it was told")
	}
	for i := range maxWarmed + 1 {
		if err := s.SetWarmed(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	calls := fsys.Calls()
	if err := s.SetWarmed("7"); err != nil || fsys.Calls() != calls {
		t.Errorf("a known key is written again (%v)", err)
	}
	fsys = fsys.Crash(1, 0)
	s = open()
	if s.Warmed("0") || !s.Warmed("1") || !s.Warmed(fmt.Sprint(maxWarmed)) {
		t.Error("after a crash the newest keys are not those that are known")
	}
}
