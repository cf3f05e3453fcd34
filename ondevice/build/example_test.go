package build_test

import (
	"fmt"
	"log"

	"github.com/whet-edge/whet/ondevice/build"
)

// The article's network for pictures of 28x28 pixels.
func ExampleNew() {
	m, err := build.New([]int{28, 28, 1}, 1,
		build.Conv{Filters: 32, Kernel: 3, Activation: "relu"}, build.MaxPool{Size: 2},
		build.Conv{Filters: 64, Kernel: 3, Activation: "relu"}, build.MaxPool{Size: 2},
		build.Flatten{},
		build.Dense{Units: 128, Activation: "relu"},
		build.Dense{Units: 10, Activation: "softmax"})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range m.Main().Nodes {
		fmt.Println(n.Op, m.Tensor(n.Outputs[0]).Shape)
	}
	// Output:
	// Conv [1 26 26 32]
	// Relu [1 26 26 32]
	// MaxPool [1 13 13 32]
	// Conv [1 11 11 64]
	// Relu [1 11 11 64]
	// MaxPool [1 5 5 64]
	// Reshape [1 1600]
	// Gemm [1 128]
	// Relu [1 128]
	// Gemm [1 10]
	// Softmax [1 10]
}

// Layers that do not fit say so.
func ExampleParse() {
	layers, err := build.Parse("lstm(32)+dense(n,softmax)", 4)
	if err != nil {
		log.Fatal(err)
	}
	_, err = build.New([]int{28, 28, 1}, 1, layers...)
	fmt.Println(err)
	// Output:
	// build: layer "lstm1" is given [1 28 28 1]: it needs 3 dimensions; a series is [1,steps,values]
}

// A network is cut behind its hidden layer and gets another end, of which alone
// the new layers may be tuned.
func ExampleAppend() {
	layers, _ := build.Parse("dense(16,relu)+dense(10,softmax)", 0)
	m, _ := build.New([]int{8}, 1, layers...)

	body, err := build.Cut(m, "dense1/relu")
	if err != nil {
		log.Fatal(err)
	}
	end, _ := build.Parse("dense(64,relu)+dense(n)", 3)
	m, err = build.Append(body, 2, []string{"cat", "dog", "fox"}, end...)
	if err != nil {
		log.Fatal(err)
	}
	m, err = build.Freeze(m, "dense1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(build.Layers(m), m.Header.Tunable, m.Header.Labels)
	// Output:
	// [dense1 dense2 dense3] [dense2 dense3] [cat dog fox]
}
