// Package hostile is a corpus of files and requests that were made to do harm,
// one of each class that is known from advisories about other runtimes. Each must
// be refused by an error that says what is wrong, soon, and without memory that
// the file alone asks for.
package hostile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert"
)

const (
	mostTime   = time.Second
	mostMemory = 64 << 20
)

// A hostile file, with what the refusal must name.
type hostile struct {
	class string // of the attack
	like  string // where it was seen
	file  string // its name
	body  func(t *testing.T, dir string) []byte
	want  string
}

func plain(b []byte) func(*testing.T, string) []byte {
	return func(*testing.T, string) []byte { return b }
}

// safetensors is a file with that header and some data.
func safetensors(header string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, 64)...)
}

// chain is a graph with a branch in a branch in a branch.
func chain(depth int) message {
	leaf := graph(nil, []message{node("Identity", []string{"x"}, []string{"y"})}, nil)
	inner := leaf
	for range depth {
		inner = graph(nil, []message{node("If", []string{"c"}, []string{"y"}, graphOf("then_branch", inner), graphOf("else_branch", leaf))}, nil)
	}
	return inner
}

func corpus() []hostile {
	weights := func(location string, offset int64) []byte {
		return model(graph([]int64{4}, []message{node("Add", []string{"x", "w"}, []string{"y"})}, []message{external("w", location, offset)}))
	}
	x := []string{"x"}
	y := []string{"y"}
	return []hostile{
		{"a shape whose size overflows", "CVE-2021-29605", "a.onnx", plain(model(graph([]int64{1 << 40, 1 << 40}, []message{node("Relu", x, y)}, nil))), "x"},
		{"a constant without end", "onnxruntime 28730", "a.onnx", plain(model(graph([]int64{1}, []message{node("ConstantOfShape", []string{"s"}, []string{"b"}), node("Add", []string{"x", "b"}, y)}, []message{int64s("s", 1<<20, 1<<20, 1<<10)}))), "too large"},
		{"offsets beyond the file", "mlx 3364", "a.safetensors", plain(safetensors(`{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,1099511627776]}}`)), "w"},
		{"offsets that overlap", "CVE-2024-12055", "a.safetensors", plain(safetensors(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}`)), "overlap"},
		{"a header longer than the file", "CVE-2024-12055", "a.safetensors", plain(binary.LittleEndian.AppendUint64(nil, 1<<62)), "header of 4611686018427387904 bytes"},
		{"a division by zero", "GO-2025-3559", "a.onnx", plain(model(graph([]int64{1, 1, 4, 4}, []message{node("MaxPool", x, y, ints("kernel_shape", 2, 2), ints("strides", 0, 0))}, nil))), "stride"},
		{"a circle", "CVE-2021-29591", "a.onnx", plain(model(graph([]int64{4}, []message{node("Add", []string{"x", "b"}, []string{"a"}), node("Relu", []string{"a"}, []string{"b"}), node("Relu", []string{"b"}, y)}, nil))), "computed by no node before it"},
		{"graphs nested without end", "onnxruntime 32344", "a.onnx", plain(model(graphWithCondition(chain(100)))), "nested deeper"},
		{"weights of another folder", "CVE-2024-27318", "a.onnx", plain(weights("../secret", 0)), "secret"},
		{"weights by an absolute path", "CVE-2022-25882", "a.onnx", plain(weights("/etc/hostname", 0)), "/etc/hostname"},
		{"weights behind a link", "CVE-2025-51480", "a.onnx", func(t *testing.T, dir string) []byte {
			link(t, os.Symlink, dir)
			return weights("w.bin", 0)
		}, "w.bin"},
		{"weights behind a hard link", "CVE-2026-34446", "a.onnx", func(t *testing.T, dir string) []byte {
			link(t, os.Link, dir)
			return weights("w.bin", 0)
		}, "w.bin"},
		{"a file of 11 bytes that claims 4 GiB", "msgpack", "a.whet", plain([]byte("\x97\xa4whet\xc6\xff\xff\xff\xff")), "ends within"},
		{"a model that ends early", "ollama 13885", "a.whet", func(*testing.T, string) []byte { b := demo.BaseFile(); return b[:len(b)/2] }, "cut off"},
		{"a model with one bit changed", "ollama 13885", "a.whet", func(*testing.T, string) []byte { b := demo.BaseFile(); b[len(b)/2] ^= 4; return b }, "checksum"},
	}
}

// graphWithCondition gives a graph of branches what they ask.
func graphWithCondition(g message) message {
	c := message{}.number(2, 9).text(8, "c").bytes(9, []byte{1})
	return g.bytes(5, c).bytes(11, value("x", 4))
}

// link puts a file outside of dir behind the name w.bin in it.
func link(t *testing.T, how func(from, to string) error, dir string) {
	t.Helper()
	secret := filepath.Join(filepath.Dir(dir), "secret-of-"+filepath.Base(dir))
	if err := os.WriteFile(secret, make([]byte, 64), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := how(secret, filepath.Join(dir, "w.bin")); err != nil {
		t.Skip(err) // of a file system without links
	}
}

// bounded runs f and fails if it takes long or asks for much.
func bounded(t *testing.T, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > mostMemory {
		t.Errorf("it took %d MiB of memory", n>>20)
	}
	if took > mostTime {
		t.Errorf("it took %v", took)
	}
}

func TestFiles(t *testing.T) {
	for _, h := range corpus() {
		t.Run(h.class, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, h.file)
			if err := os.WriteFile(name, h.body(t, dir), 0o600); err != nil {
				t.Fatal(err)
			}
			bounded(t, func() {
				var err error
				if filepath.Ext(h.file) == ".whet" {
					_, err = format.Open(name)
				} else {
					_, err = convert.Import(name)
				}
				if err == nil || !strings.Contains(err.Error(), h.want) {
					t.Errorf("like %s: %v, want an error that names %q", h.like, err, h.want)
				}
			})
		})
	}
}

// TestBodies sends the daemon's parser what others' parsers have died of.
func TestBodies(t *testing.T) {
	spec := []oip.Spec{{Name: "x", Type: format.Float32, Shape: format.Shape{1, 4}}}
	deep := strings.Repeat("[", 1<<20)
	for class, body := range map[string]string{
		"JSON nested without end (CVE-2025-0649)": `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":` + deep,
		"nested in what nobody reads":             `{"other":` + deep,
		"a shape that overflows":                  `{"inputs":[{"name":"x","shape":[4611686018427387904,4],"datatype":"FP32","data":[1]}]}`,
		"a negative shape":                        `{"inputs":[{"name":"x","shape":[-1,4],"datatype":"FP32","data":[1,2,3,4]}]}`,
		"binary data that is not there":           `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":1099511627776}}]}`,
		"a number without end":                    `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[` + strings.Repeat("9", 1<<20) + `]}]}`,
	} {
		t.Run(class, func(t *testing.T) {
			bounded(t, func() {
				if _, err := oip.Parse([]byte(body), len(body), spec, spec, false); err == nil {
					t.Error("it is taken")
				}
			})
		})
	}
}
