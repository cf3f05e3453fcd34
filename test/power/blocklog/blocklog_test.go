package blocklog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// written is a log with these entries.
func written(t *testing.T, entries ...[]byte) string {
	t.Helper()
	le := binary.LittleEndian
	head := make([]byte, sector)
	le.PutUint64(head, magic)
	le.PutUint64(head[8:], 1)
	le.PutUint32(head[24:], sector)
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, append(head, bytes.Join(entries, nil)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// entry is one entry whose sectors are filled with a byte.
func entry(at, sectors, flags uint64, fill byte) []byte {
	b := make([]byte, sector)
	for i, v := range []uint64{at, sectors, flags, 0} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	if flags&discard == 0 {
		b = append(b, bytes.Repeat([]byte{fill}, int(sectors)*sector)...)
	}
	return b
}

func TestDisk(t *testing.T) {
	l, err := Open(written(t, entry(0, 2, 0, 'a'), entry(0, 0, flush, 0), entry(1, 2, 0, 'b'), entry(3, 1, fua, 'c'), entry(0, 1, discard, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := Disk{Image: make([]byte, 4*sector)}
	for {
		e, err := l.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = d.Do(e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shown := func(image []byte) string {
		return string([]byte{image[0], image[sector], image[2*sector], image[3*sector]})
	}
	if got := shown(d.Image); got != "aa\x00c" {
		t.Errorf("durable is %q", got)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	if got := shown(d.Cut(rng, 0)); got != "aa\x00c" {
		t.Errorf("a cache that keeps nothing leaves %q", got)
	}
	if got := shown(d.Cut(rng, 1)); got != "\x00bbc" {
		t.Errorf("a cache that keeps all leaves %q", got)
	}
	torn := false
	for range 200 {
		got := shown(d.Cut(rng, 0.3))
		torn = torn || got[1:] == "b\x00c"
	}
	if !torn {
		t.Error("no write was torn in 200 cuts")
	}
	if err := d.Do(&Entry{Offset: 3 * sector, Length: 2 * sector}); err == nil {
		t.Error("a write beyond the disk's end is taken")
	}
}

func TestOpen(t *testing.T) {
	name := written(t, entry(0, 2, 0, 'a')[:sector+5])
	l, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Next(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an entry that was cut off: %v", err)
	}
	if err := os.WriteFile(name, make([]byte, sector), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil {
		t.Error("zeros are taken for a log")
	}
}
