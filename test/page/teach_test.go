package page

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// These walks teach networks of other people three new names from ten real examples
// each, and hold back others. They need WHET_BROWSER and
//
//	WHET_MATERIAL  MLPerf Tiny's keyword spotting network, the Free Spoken Digit
//	               Dataset and TensorFlow's MobileNetV2, where the constants below say
//	WHET_PHOTOS    folders of at least 20 photos each, the name of the folder being
//	               what they show; three are taken, in alphabetical order. For example
//	               on_device_training/mobile/android/c-cpp/data/images of
//	               github.com/microsoft/onnxruntime-training-examples

const (
	perName = 10 // examples to learn from

	keywordNet = "mlperf-tiny/models/keyword_spotting__kws_ref_model.tflite"
	pictureNet = "coral/mobilenet_v2_1.0_224_quant.tflite"
	imageNames = "coral/imagenet_labels.txt"
	digits     = "datasets/fsdd" // DIGIT_SPEAKER_NUMBER.wav
)

func TestTeachWords(t *testing.T) {
	material := needs(t, "WHET_MATERIAL")
	// MLPerf Tiny's features (benchmark/training/keyword_spotting/get_dataset.py).
	models := convert(t, filepath.Join(material, keywordNet), "--pre", "audio rate=16000 samples=16000 peak=true", "--pre",
		"mel rate=16000 fft=512 window=480 hop=320 center=false power=1 mels=40 low=20 high=4000 htk=true norm=none log=ln add=1e-6 mfcc=10")
	for _, speaker := range []string{"george", "jackson", "lucas", "nicolas"} {
		t.Run(speaker, func(t *testing.T) {
			dir := t.TempDir()
			for digit, name := range []string{"zero", "one", "two"} {
				clip := func(n int) string {
					return filepath.Join(material, digits, fmt.Sprintf("%d_%s_%d.wav", digit, speaker, n))
				}
				for n := range 50 {
					part := "teach"
					if n >= perName {
						part = "held"
					}
					put(t, filepath.Join(dir, part, name, filepath.Base(clip(n))), read(t, clip(n)))
				}
				put(t, filepath.Join(dir, name+".wav"), spokenLater(t, read(t, clip(perName))))
			}
			browse(t, "teach.mjs", daemon(t, models, ""), "desktop", dir)
		})
	}
}

func TestTeachPhotos(t *testing.T) {
	material, photos := needs(t, "WHET_MATERIAL"), needs(t, "WHET_PHOTOS")
	models := convert(t, filepath.Join(material, pictureNet), "--labels", filepath.Join(material, imageNames))
	folders, err := filepath.Glob(filepath.Join(photos, "*", ""))
	if err != nil || len(folders) < 3 {
		t.Fatalf("three folders of photos are needed: %s has %d (%v)", photos, len(folders), err)
	}
	dir := t.TempDir()
	for _, folder := range folders[:3] {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil || len(files) < 2*perName {
			t.Fatalf("%d photos are needed: %s has %d (%v)", 2*perName, folder, len(files), err)
		}
		for i, f := range files {
			part := "teach"
			if i >= perName {
				part = "held"
			}
			put(t, filepath.Join(dir, part, filepath.Base(folder), filepath.Base(f)), read(t, f))
		}
	}
	browse(t, "teach.mjs", daemon(t, models, ""), "phone", dir)
}

// needs returns the folder that a variable names.
func needs(t *testing.T, variable string) string {
	t.Helper()
	needsBrowser(t)
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("SKIPPED: %s names no folder (see teach_test.go)", variable)
	}
	return dir
}

// convert makes a folder of models with the one.
func convert(t *testing.T, file string, args ...string) (models string) {
	t.Helper()
	models = t.TempDir()
	out := filepath.Join(models, "net.whet")
	cmd := exec.Command("go", append([]string{"run", "../../tools/convert/whet-convert", file, "-o", out}, args...)...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, b)
	}
	return models
}

// spokenLater puts silence before and behind a sound of a channel in 16 bits: a
// browser begins to play it a moment before it begins to record.
func spokenLater(t *testing.T, wav []byte) []byte {
	t.Helper()
	const head = 44
	if len(wav) < head || string(wav[36:40]) != "data" {
		t.Fatal("not a plain wav file")
	}
	second := 2 * int(binary.LittleEndian.Uint32(wav[24:]))
	sound := strings.Repeat("\x00", second/4) + string(wav[head:]) + strings.Repeat("\x00", second)
	out := append(wav[:head:head], sound...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	binary.LittleEndian.PutUint32(out[40:], uint32(len(sound)))
	return out
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
