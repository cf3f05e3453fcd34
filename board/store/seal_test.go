package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

// everyByte is all that the files of a folder hold.
func everyByte(t *testing.T, fsys vfs.FS, dir string) []byte {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, n := range names {
		b, err := vfs.ReadFile(fsys, filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func TestSealed(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, KeySize), bytes.Repeat([]byte{2}, KeySize)
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	plain := add(t, s, "m", "old", "added in the clear")
	_ = s.Close()

	opt := Options{Key: key, SegmentBytes: 1 << 10}
	s = open(t, fsys, opt)
	data := strings.Repeat("nobody's business ", 20)
	var ids []uint64
	for range 8 { // of several segments
		ids = append(ids, add(t, s, "m", "secret-label", data))
	}
	if n, err := s.Delete("m", ids[0], ids[1], ids[2]); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	ids = ids[3:]
	_ = s.Close()
	all := everyByte(t, fsys, "/state/samples")
	for _, secret := range []string{"nobody's", "secret-label"} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("%q is on the disk", secret)
		}
	}
	for name, wrong := range map[string]Options{"no key": {}, "another key": {Key: other}} {
		if _, err := Open(fsys, "/state", wrong); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(everyByte(t, fsys, "/state/samples"), all) {
			t.Errorf("%s: the files were changed", name)
		}
	}
	if _, err := Open(fsys, "/state", Options{Key: key[1:]}); err == nil {
		t.Error("a short key is taken")
	}
	s = open(t, fsys, opt)
	for _, id := range ids {
		got, err := s.Get(id)
		if err != nil || string(got.Data) != data || got.Label != "secret-label" {
			t.Fatalf("sample %d: %v %.20q %q", id, err, got.Data, got.Label)
		}
		if i, _ := s.Info(id); i.Bytes != len(data) {
			t.Errorf("sample %d has %d bytes, the store says %d", id, len(data), i.Bytes)
		}
	}
	if got, err := s.Get(plain); err != nil || string(got.Data) != "added in the clear" {
		t.Errorf("the old sample: %v", err)
	}
}

// One record's data is not taken for another's, even with checksums that fit.
func TestSealedPartsBelongTogether(t *testing.T) {
	c, err := newSealer(bytes.Repeat([]byte{1}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	one, metaOf := c.seal([]byte("one"))
	two, _ := c.seal([]byte("two"))
	meta := metaOf([]byte("meta"))
	if got, err := c.openData(meta, one); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := c.openData(meta, two); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another's data: %v", err)
	}
	if _, err := c.openMeta(append(meta[:25:25], one...)); !errors.Is(err, ErrKey) {
		t.Errorf("data in the meta's place: %v", err)
	}
}

func TestReadKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	for _, c := range []struct {
		bytes int
		mode  os.FileMode
		want  string
	}{{KeySize, 0o600, ""}, {KeySize, 0o640, "chmod 600"}, {16, 0o600, "has 32 bytes"}} {
		if c.mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		if err := os.WriteFile(name, make([]byte, c.bytes), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(name)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d bytes, mode %o: %v", c.bytes, c.mode, err)
		}
	}
	if _, err := ReadKey(name + "no"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
