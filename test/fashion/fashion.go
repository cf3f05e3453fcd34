// Package fashion reads the Fashion-MNIST data set (Xiao et al., 2017) as it is
// published: gzipped idx files.
package fashion

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/whet-edge/whet/board/demo"
)

// Load reads the part "train" or "t10k" from a folder.
func Load(dir, part string) (*demo.Images, error) {
	pixels, n, err := idx(filepath.Join(dir, part+"-images-idx3-ubyte.gz"), 0x803, demo.Side*demo.Side)
	if err != nil {
		return nil, err
	}
	labels, k, err := idx(filepath.Join(dir, part+"-labels-idx1-ubyte.gz"), 0x801, 1)
	if err != nil {
		return nil, err
	}
	if n != k {
		return nil, fmt.Errorf("%s: %d images but %d labels in %s", dir, n, k, part)
	}
	s := &demo.Images{}
	for i := range n {
		s.Label = append(s.Label, int(labels[i]))
		s.Pixels = append(s.Pixels, pixels[i*demo.Side*demo.Side:][:demo.Side*demo.Side])
	}
	return s, nil
}

// idx reads a gzipped idx file of bytes: items of size elements each.
func idx(path string, magic uint32, size int) (data []byte, items int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	dims := int(magic & 0xff)
	if len(b) < 4+4*dims || binary.BigEndian.Uint32(b) != magic {
		return nil, 0, fmt.Errorf("%s: not an idx file of %d dimensions", path, dims)
	}
	items = int(binary.BigEndian.Uint32(b[4:]))
	b = bytes.Clone(b[4+4*dims:])
	if len(b) != items*size {
		return nil, 0, fmt.Errorf("%s: %d items of %d bytes make %d, not %d", path, items, size, items*size, len(b))
	}
	return b, items, nil
}
