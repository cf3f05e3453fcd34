package store

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
	"pgregory.net/rapid"
)

// TestSealFS writes files in pieces through a SealFS and reads parts of them.
// The disk holds none of their bytes, and no changed bit, missing end, swapped
// chunk or other key goes unnoticed.
func TestSealFS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := vfs.NewMem()
		sealed, err := SealFS(disk, bytes.Repeat([]byte{7}, KeySize))
		if err != nil {
			t.Fatal(err)
		}
		size := rapid.SampledFrom([]int{0, 1, 100, sealedChunk - 1, sealedChunk, sealedChunk + 1, 2 * sealedChunk, 2*sealedChunk + 77}).Draw(t, "size")
		content := bytes.Repeat([]byte("a secret face "), size/14+1)[:size]
		err = vfs.WriteFile(sealed, "/f", func(w io.Writer) error {
			for rest := content; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		raw := readRaw(t, disk)
		if bytes.Contains(raw, []byte("secret")) {
			t.Fatal("the disk holds what was to be sealed")
		}
		f, err := sealed.Open("/f")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := f.Size(); n != int64(size) {
			t.Fatalf("it has %d bytes, not %d", n, size)
		}
		off := rapid.IntRange(0, size).Draw(t, "offset")
		got := make([]byte, size-off)
		if _, err := f.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, content[off:]) {
			t.Fatalf("from %d on it is not what was written (%v)", off, err)
		}
		if n, err := f.ReadAt(make([]byte, 1), int64(size)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("behind the end: %d bytes, %v", n, err)
		}

		bad := bytes.Clone(raw)
		switch what := rapid.SampledFrom([]string{"bit", "end", "chunks"}).Draw(t, "damage"); {
		case what == "bit":
			bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case what == "end" || size <= 2*sealedChunk:
			bad = bad[:rapid.IntRange(0, len(bad)-1).Draw(t, "length")]
		default:
			first := bytes.Clone(bad[sealedHeader:][:sealedWhole])
			copy(bad[sealedHeader:], bad[sealedHeader+sealedWhole:][:sealedWhole])
			copy(bad[sealedHeader+sealedWhole:], first)
		}
		writeRaw(t, disk, bad)
		if readable(sealed, size) {
			t.Fatal("damage goes unnoticed")
		}
		writeRaw(t, disk, raw)
		other, err := SealFS(disk, bytes.Repeat([]byte{8}, KeySize))
		if err != nil {
			t.Fatal(err)
		}
		if !readable(sealed, size) || readable(other, size) {
			t.Fatal("it can be read with another key, or not with its own")
		}
	})
}

func readable(fsys vfs.FS, size int) bool {
	f, err := fsys.Open("/f")
	if err != nil {
		return false
	}
	_, err = f.ReadAt(make([]byte, size), 0)
	return err == nil
}

func readRaw(t *rapid.T, fsys vfs.FS) []byte {
	b, err := readFile(fsys, "/f", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeRaw(t *rapid.T, fsys vfs.FS, b []byte) {
	if err := writeFile(fsys, "/f", b); err != nil {
		t.Fatal(err)
	}
}
