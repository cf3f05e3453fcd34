package format

import (
	"bufio"
	"io"

	"github.com/whet-edge/whet/format/vfs"
)

// Write writes a model file. It checks the model first (see [Check]), and fills in
// the header's Opset, Digest and WeightBytes in the file; m stays as it is. The
// same model gives the same bytes, always.
func Write(w io.Writer, m *Model) error {
	if err := Check(m); err != nil {
		return err
	}
	graph, l, err := encodeGraph(m)
	if err != nil {
		return err
	}
	h := m.Header
	h.Opset, h.WeightBytes = Opset, l.bytes
	if h.Digest, err = tailDigest(graph, l.blobs); err != nil {
		return err
	}
	header, err := encodeHeader(&h)
	if err != nil {
		return err
	}
	return writeFile(w, modelMagic, header, graph, l.blobs)
}

// WriteFile writes a model file, whole or not at all: see [vfs.WriteFile].
func WriteFile(path string, m *Model) error {
	return vfs.WriteFile(vfs.OS, path, buffered(func(w io.Writer) error { return Write(w, m) }))
}

// buffered makes few large writes of many small ones.
func buffered(write func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<16)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	}
}

// Digest returns the SHA-256 that a file of the model would have in its header: of
// its graphs, states and tensors, without the header.
func Digest(m *Model) ([32]byte, error) {
	graph, l, err := encodeGraph(m)
	if err != nil {
		return [32]byte{}, err
	}
	return tailDigest(graph, l.blobs)
}
