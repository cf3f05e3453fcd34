package store

import (
	"errors"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

func TestCounters(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	for _, n := range []uint64{3, 5, 4} {
		if err := s.Accept("kws", n); err != nil {
			t.Fatal(err)
		}
	}
	fsys.Inject = func(c vfs.Call) error { return errors.New("I/O error") }
	if err := s.Accept("kws", 9); err == nil || s.Counter("kws") != 5 {
		t.Errorf("a number that could not be kept: %v, %d", err, s.Counter("kws"))
	}
	fsys.Inject = nil
	fsys = fsys.Crash(1, 0)
	s = open(t, fsys, Options{})
	if s.Counter("kws") != 5 || s.Counter("vww") != 0 {
		t.Errorf("after a crash the numbers are %d and %d", s.Counter("kws"), s.Counter("vww"))
	}
	put(t, fsys, s.path(countersName), []byte("whet counters 1 crc32c 00000000\n{}"))
	if s = open(t, fsys, Options{}); len(s.Recovered().Damaged) != 1 {
		t.Errorf("a damaged file gives %+v", s.Recovered())
	}
}
