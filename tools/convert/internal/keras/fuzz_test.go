package keras

import (
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/bounded"
	"github.com/whet-edge/whet/tools/convert/internal/hdf5"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// FuzzImport changes whole files. What is converted must pass the check.
func FuzzImport(f *testing.F) {
	for name, b := range archive(f) {
		if len(b) < 40<<10 {
			switch name[len(name)-2:] {
			case "h5", "as":
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *format.Model
		var err error
		bounded.Check(t, len(b), func() { m, err = importBytes(b, Options{}) })
		if err == nil {
			if err := format.Check(m); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzConfig changes the configuration of a model and keeps its weights.
func FuzzConfig(f *testing.F) {
	files := archive(f)
	for _, name := range []string{"3/residual.h5", "3/transformer.h5", "3/nested.h5", "2/twice.h5", "2/bidirectional.h5", "3/encoder_decoder.h5", "2/time_distributed.h5"} {
		h, err := hdf5.Open(files[name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(attr(h.Object, "model_config")))
	}
	weights := files["3/residual.h5"]
	f.Fuzz(func(t *testing.T, conf []byte) {
		h, err := hdf5.Open(weights)
		if err != nil {
			t.Fatal(err)
		}
		group, err := h.Lookup("model_weights")
		if err != nil {
			t.Fatal(err)
		}
		var m *format.Model
		bounded.Check(t, len(conf)+len(weights), func() { m, err = fromConfig(conf, &h5Weights{group}) })
		if err == nil {
			if err := format.Check(m); err != nil {
				t.Error(err)
			}
		}
	})
}

// fromConfig is importBytes for a configuration.
func fromConfig(conf []byte, w weightSource) (m *format.Model, err error) {
	defer func() {
		if reason, ok := net.Caught(recover()); ok {
			m, err = nil, net.Fault{Reason: reason}
		}
	}()
	im := newImporter(Options{})
	im.major = 3
	return im.model(conf, w)
}
