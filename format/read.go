package format

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"unsafe"
)

// Options of [Open].
type Options struct {
	// Map maps the file into memory instead of reading it, where the system can:
	// opening then costs no memory, and pages that nobody needs leave it again.
	// A mapped file must not shrink while the model is in use, or the process
	// dies; replacing it by a rename, as [WriteFile] does, is safe.
	Map bool

	// Digest also checks the SHA-256 of all that follows the header. Damage is
	// found without it, by checksums; it is for those who compare digests with a
	// list they trust.
	Digest bool

	Limits Limits
}

// Open reads a model file and checks it (see [Check]). The last of opts counts.
// Errors wrap [ErrCorrupt], [ErrVersion], [ErrTooLarge], a *[CheckError], or an
// error of package os.
func Open(path string, opts ...Options) (*Model, error) {
	var o Options
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	b, unmap, err := load(path, modelMagic, o)
	if err != nil {
		return nil, err
	}
	m, err := fromBytes(b, o)
	if err != nil {
		if unmap != nil {
			_ = unmap()
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if unmap != nil {
		m.closer, m.mapped = unmap, b
	}
	return m, nil
}

// OpenHeader reads the header of a model file, without the weights. It checks the
// checksum of header and graph, but not the model.
func OpenHeader(path string) (*Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

func readHeader(r io.ReaderAt, size int64) (*Header, error) {
	lim := Limits{}.withDefaults()
	f, err := readFixed(r, size, modelMagic, &lim)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.graphEnd())
	if err := readFull(r, b); err != nil {
		return nil, err
	}
	c, err := newContainer(b, f, lim)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(c)
	if err != nil {
		return nil, err
	}
	return &h, nil
}

// load returns a file's bytes, and for a mapped file the function that unmaps them.
func load(path, magic string, o Options) (b []byte, unmap func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w: it is not a regular file", path, ErrCorrupt)
	}
	if b, err = readAll(f, st.Size(), magic, o.Limits, o.Map && canMap); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if b == nil {
		if b, unmap, err = mapFile(f, int(st.Size())); err != nil {
			return nil, nil, fmt.Errorf("%s: cannot map the file: %w", path, err)
		}
	}
	return b, unmap, nil
}

// readAll reads size bytes after the fixed part has shown that it is worth it.
// With probe it reads no further than that and returns nil.
func readAll(r io.ReaderAt, size int64, magic string, lim Limits, probe bool) ([]byte, error) {
	lim = lim.withDefaults()
	if _, err := readFixed(r, size, magic, &lim); err != nil || probe {
		return nil, err
	}
	if size > maxElems {
		return nil, tooLarge(0, "%d bytes do not fit in memory", size)
	}
	b := aligned(int(size))
	return b, readFull(r, b)
}

func readFixed(r io.ReaderAt, size int64, magic string, lim *Limits) (*fixed, error) {
	first := make([]byte, min(size, fixedLen))
	if err := readFull(r, first); err != nil {
		return nil, err
	}
	return parseFixed(first, magic, size, lim)
}

func readFull(r io.ReaderAt, b []byte) error {
	n, err := r.ReadAt(b, 0)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF:
		return corrupt(int64(n), "the file ends early")
	}
	return err
}

// aligned returns n bytes that begin on a multiple of 64, so that the tensors in
// a file that is read there do as well.
func aligned(n int) []byte {
	b := make([]byte, n+dataAlign)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (dataAlign - 1)
	return b[skip : skip+n : skip+n]
}

// Read reads a model of size bytes. See [Open].
func Read(r io.ReaderAt, size int64) (*Model, error) {
	b, err := readAll(r, size, modelMagic, Limits{}, false)
	if err != nil {
		return nil, err
	}
	return fromBytes(b, Options{})
}

// FromBytes reads a model from memory, for example from an embedded file. The
// tensors' data are slices of b, which must not change while the model is in use;
// they begin on multiples of 64 bytes only if b does. See [Open].
func FromBytes(b []byte) (*Model, error) { return fromBytes(b, Options{}) }

func fromBytes(b []byte, o Options) (*Model, error) {
	c, err := openContainer(b, modelMagic, o.Limits)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(c)
	if err != nil {
		return nil, err
	}
	m, err := decodeGraph(c)
	if err != nil {
		return nil, err
	}
	if err := c.close(); err != nil {
		return nil, err
	}
	if o.Digest && sha256.Sum256(b[fixedLen+c.headerLen:]) != h.Digest {
		return nil, corrupt(fixedLen, "the digest does not match")
	}
	m.Header = h
	if err := Check(m); err != nil {
		return nil, err
	}
	return m, nil
}
