package store

import (
	"errors"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

func TestReference(t *testing.T) {
	fsys := vfs.NewMem()
	s, err := Open(fsys, "/s", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Reference("m"); b != nil || err != nil {
		t.Errorf("of nothing: %q %v", b, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := s.SetReference("m", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetReference("../m", nil); !errors.Is(err, ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(fsys, "/s", Options{}); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Reference("m"); string(b) != "two" || err != nil {
		t.Errorf("after a restart: %q %v", b, err)
	}
}
