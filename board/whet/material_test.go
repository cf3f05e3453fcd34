package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

// material returns the folder of real models, and the program whet-convert.
func material(t *testing.T) (dir, converter string) {
	t.Helper()
	dir = os.Getenv("WHET_MATERIAL")
	if dir == "" {
		t.Skip("NOT RUN: set WHET_MATERIAL to a folder with real .tflite models")
	}
	converter = filepath.Join(t.TempDir(), "whet-convert")
	if runtime.GOOS == "windows" {
		converter += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", converter, "../../tools/convert/whet-convert").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir, converter
}

func convert(t *testing.T, converter string, args ...string) {
	t.Helper()
	if out, err := exec.Command(converter, args...).CombinedOutput(); err != nil {
		t.Fatalf("whet-convert %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestCat follows a user from a source model and a photo to the photo's name.
func TestCat(t *testing.T) {
	dir, converter := material(t)
	coral := filepath.Join(dir, "coral")
	source := filepath.Join(coral, "mobilenet_v2_1.0_224_quant.tflite")
	cat := filepath.Join(coral, "cat.bmp")

	code, _, stderr := whet(t, "run", source, "--input", cat)
	if code != exitUsage || !strings.Contains(stderr, "whet-convert "+source+" -o mobilenet_v2_1.0_224_quant.whet") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	t.Chdir(t.TempDir())
	convert(t, converter, source, "-o", "mobilenet_v2.whet", "--labels", filepath.Join(coral, "imagenet_labels.txt"))
	for picture, name := range map[string]string{cat: "cat", filepath.Join(coral, "bird.bmp"): "chickadee"} {
		var r runResult
		if err := json.Unmarshal([]byte(must(t, "run", "mobilenet_v2.whet", "--input", picture, "--top", "5", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if top := r.Outputs[0].Top; len(top) != 5 || !strings.Contains(top[0].Label, name) {
			t.Errorf("%s: %+v", picture, top)
		}
	}
}

// TestKeywords evaluates the keyword network of MLPerf Tiny on its samples. The
// reference runtime reaches 90.2 % on all 1,000 of them.
func TestKeywords(t *testing.T) {
	dir, converter := material(t)
	tiny := filepath.Join(dir, "mlperf-tiny")
	t.Chdir(t.TempDir())
	convert(t, converter, filepath.Join(tiny, "models", "keyword_spotting__kws_ref_model.tflite"), "-o", "kws.whet")

	f, err := os.Open(filepath.Join(tiny, "energyrunner", "kws01", "y_labels.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll() // file, number of classes, class
	if err != nil {
		t.Fatal(err)
	}
	x := &pre.Array{Type: format.Int8, Shape: format.Shape{0, 49, 10, 1}}
	y := &pre.Array{Type: format.Uint8, Shape: format.Shape{0}}
	for _, row := range rows {
		b, err := os.ReadFile(filepath.Join(tiny, "energyrunner", "kws01", strings.TrimSpace(row[0])))
		if os.IsNotExist(err) {
			continue // half of the official samples are here
		}
		if err != nil {
			t.Fatal(err)
		}
		class, err := strconv.Atoi(strings.TrimSpace(row[2]))
		if err != nil {
			t.Fatal(err)
		}
		x.Data, y.Data = append(x.Data, b...), append(y.Data, byte(class))
		x.Shape[0]++
		y.Shape[0]++
	}
	writeArrays(t, "kws.npz", x, y)
	var e evaluation
	if err := json.Unmarshal([]byte(must(t, "eval", "kws.whet", "--data", "kws.npz", "--json")), &e); err != nil {
		t.Fatal(err)
	}
	t.Logf("accuracy %.4f on %d samples", e.Accuracy, e.Samples)
	if e.Samples != 500 || e.Accuracy < 0.898 {
		t.Errorf("accuracy %.4f on %d samples, want 0.898 on 500", e.Accuracy, e.Samples)
	}
}
