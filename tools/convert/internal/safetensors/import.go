package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Options say which network the weights are of.
type Options struct {
	Arch   string // one of Architectures; "": told by Config, or by the names of the tensors
	Config []byte // config.json beside the file, as Hugging Face's transformers write it; nil: none
	Length int    // positions that a language model remembers; 0: as many as it was trained for
}

// An architecture builds a network.
type architecture struct {
	knows func(f *File, config []byte) bool
	build func(n *net.Net, f *File, o Options)
}

// architectures are the networks that can be built, by name.
var architectures = map[string]architecture{
	"llama":      {isLlama, llama},
	"silero-vad": {isSilero, silero},
}

// Architectures returns the names that [Options] takes, sorted.
func Architectures() []string { return slices.Sorted(maps.Keys(architectures)) }

// Import builds the network of the weights in b. file is the name that errors give.
func Import(file string, b []byte, o Options) (m *format.Model, err error) {
	defer func() {
		if reason, ok := net.Caught(recover()); ok {
			m, err = nil, errors.New(reason)
		}
		if err != nil {
			m, err = nil, fmt.Errorf("%s: %w", file, err)
		}
	}()
	f, err := Open(b)
	if err != nil {
		return nil, err
	}
	if o.Arch == "" {
		for _, name := range Architectures() {
			if architectures[name].knows(f, o.Config) {
				o.Arch = name
				break
			}
		}
	}
	arch, ok := architectures[o.Arch]
	switch {
	case !ok && o.Arch == "":
		return nil, fmt.Errorf("plain weights do not say which network they are of: say so with --arch (%s), or export the model as ONNX", strings.Join(Architectures(), ", "))
	case !ok:
		return nil, fmt.Errorf("there is no architecture %q: choose one of %s, or export the model as ONNX", o.Arch, strings.Join(Architectures(), ", "))
	}
	n := net.New()
	arch.build(n, f, o)
	if left := f.unused(); len(left) > 0 {
		return nil, fmt.Errorf("architecture %s has no place for tensor %q (and %d others): it is another network", o.Arch, left[0], len(left)-1)
	}
	m = n.Finish()
	sum := sha256.Sum256(b)
	m.Header.Source = format.Source{Format: "safetensors", SHA256: hex.EncodeToString(sum[:])}
	return m, nil
}
