package store

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

// TestSafeMode lets a daemon die early again and again: after five times it may
// load only what was seen to stay up, after ten only the bases, then nothing.
func TestSafeMode(t *testing.T) {
	fsys := vfs.NewMem()
	start := func() (*Store, string) {
		t.Helper()
		fsys = fsys.Crash(1, 0)
		s := open(t, fsys, Options{})
		safe, err := s.Start()
		if err != nil {
			t.Fatal(err)
		}
		return s, safe
	}
	s, safe := start()
	if safe != "" {
		t.Errorf("the first start: %q", safe)
	}
	for _, delta := range []string{"two", "three"} {
		v, err := s.Publish("kws", Version{}, []byte(delta))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Promote("kws", v.Version); err != nil {
			t.Fatal(err)
		}
		if delta == "two" {
			if err := s.Stable(map[string]string{"kws": v.Version}); err != nil {
				t.Fatal(err)
			}
		}
	}
	versions := [][]string{{"3", "2", "1"}, {"2", "1"}, {"1"}, {}}
	for early := range 21 {
		s, safe = start()
		if got, want := s.Fallbacks("kws"), versions[min(early/5, 3)]; !slices.Equal(got, want) {
			t.Errorf("after %d early ends the versions are %v, want %v", early, got, want)
		}
		if (safe != "") != (early >= 5) {
			t.Errorf("after %d early ends: %q", early, safe)
		}
	}
	if !strings.Contains(safe, "20 starts") {
		t.Errorf("the reason is %q", safe)
	}
	// To stay up in safe mode does not end it, to be stopped does.
	if err := s.Stable(nil); err != nil {
		t.Fatal(err)
	}
	if s, safe = start(); safe == "" {
		t.Error("safe mode ended by itself")
	}
	if err := s.Stopped(); err != nil {
		t.Fatal(err)
	}
	if s, safe = start(); safe != "" || len(s.Fallbacks("kws")) != 3 {
		t.Errorf("after a stop: %q", safe)
	}
}

// TestStartsOnAFullDisk starts a daemon that cannot count.
func TestStartsOnAFullDisk(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	fsys.Inject = func(c vfs.Call) error {
		if c.Op == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	if safe, err := s.Start(); safe != "" || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%q, %v", safe, err)
	}
	if got := s.Fallbacks("kws"); !slices.Equal(got, []string{Base}) {
		t.Errorf("the versions are %v", got)
	}
}
