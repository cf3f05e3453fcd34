package keras

import (
	"strings"
	"testing"

	"github.com/whet-edge/whet/tools/convert/internal/hdf5"
)

// noneStored is a source of models without weights.
type noneStored struct{}

func (noneStored) load(*model) {}

func TestRefusals(t *testing.T) {
	seq := func(layers string) string {
		return `{"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [null, 4, 3]}}, ` + layers + `]}}`
	}
	layer := func(class, config string) string {
		return seq(`{"class_name": "` + class + `", "config": {"name": "l", ` + config + `}}`)
	}
	for _, tt := range []struct{ name, conf, want string }{
		{"not JSON", `{`, "configuration"},
		{"a layer", `{"class_name": "Dense", "config": {}}`, "Sequential and Functional"},
		{"a subclass", `{"class_name": "MyModel", "config": {"layers": []}}`, `class "MyModel"`},
		{"no layers", `{"class_name": "Sequential", "config": {"name": "m", "layers": []}}`, "no layers"},
		{"no shape", `{"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": "Dropout", "config": {"name": "d"}}]}}`, "which shape"},
		{"unknown layer", layer("MyLayer", `"a": 1`), "1 of its operators"},
		{"lambda", layer("Lambda", `"a": 1`), "Python code"},
		{"strings", layer("StringLookup", `"a": 1`), "looked up before"},
		{"activation", layer("Activation", `"activation": "zigzag"`), `layer "l" (Activation): activation "zigzag"`},
		{"units", layer("Dense", `"units": 0`), "units is 0"},
		{"weights", layer("Dense", `"units": 2`), "weight kernel is not in the file"},
		{"strides", layer("MaxPooling1D", `"pool_size": [2], "strides": [0]`), "strides"},
		{"rank", layer("MaxPooling2D", `"pool_size": [2, 2]`), "4 dimensions"},
		{"reshape", layer("Reshape", `"target_shape": [5]`), "cannot be seen"},
		{"permute", layer("Permute", `"dims": [1, 1]`), "dims"},
		{"crop", layer("Cropping1D", `"cropping": [2, 2]`), "nothing is left"},
		{"large", layer("RepeatVector", `"n": 1073741824`), "RepeatVector"},
		{"axis", layer("Softmax", `"axis": 7`), "axis 7"},
		{"mask", seq(`{"class_name": "Masking", "config": {"name": "k"}}, {"class_name": "Concatenate", "config": {"name": "c", "axis": 0}}`), "along axis 0"},
		{"function", layer("Vdot", `"a": 1`), "no such layer"},
		{"no input", `{"class_name": "Functional", "config": {"name": "m", "layers": [], "input_layers": [["x", 0, 0]], "output_layers": []}}`, `no layer "x"`},
		{"loop", `{"class_name": "Functional", "config": {"name": "m", "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]], "layers": [
			{"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [null, 3]}, "inbound_nodes": []},
			{"class_name": "Dropout", "name": "a", "config": {"name": "a"}, "inbound_nodes": [[["b", 0, 0, {}]]]},
			{"class_name": "Dropout", "name": "b", "config": {"name": "b"}, "inbound_nodes": [[["a", 0, 0, {}]]]}]}}`, "nothing computes"},
		{"empty call", `{"class_name": "Functional", "config": {"name": "m", "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]], "layers": [
			{"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [null, 3]}, "inbound_nodes": []},
			{"class_name": "Sequential", "name": "a", "config": {"name": "a", "layers": []}, "inbound_nodes": [[]]}]}}`, "0 inputs"},
	} {
		_, err := fromConfig([]byte(tt.conf), noneStored{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestStatefulRefused: what goes wrong within a layer that keeps states is still said by name.
func TestStatefulRefused(t *testing.T) {
	h, err := hdf5.Open(archive(t)["3/stateful.h5"])
	if err != nil {
		t.Fatal(err)
	}
	group, err := h.Lookup("model_weights")
	if err != nil {
		t.Fatal(err)
	}
	conf := strings.ReplaceAll(attr(h.Object, "model_config"), `"tanh"`, `"zigzag"`)
	if _, err := fromConfig([]byte(conf), &h5Weights{group}); err == nil || !strings.Contains(err.Error(), "zigzag") {
		t.Errorf("error %v", err)
	}
}
