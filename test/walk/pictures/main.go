// Pictures writes what a person who tries whet would show it: DIR/CLASS/N.png, ten
// examples of each of Fashion-MNIST's kinds of clothing, and DIR/held/CLASS/N.png, ten
// others to judge by. The demo's network knows classes 0 to 7; 8 is bags, 9 ankle boots.
//
//	go run ./test/walk/pictures DIR
package main

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strconv"

	"github.com/whet-edge/whet/board/demo"
)

const perClass = 10

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/walk/pictures DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	sets, err := demo.Embedded()
	if err != nil {
		return err
	}
	for k, set := range []*demo.Images{sets[1], sets[0]} {
		count := map[int]int{}
		for i, class := range set.Label {
			if count[class]++; count[class] > perClass {
				continue
			}
			folder := filepath.Join(dir, []string{"", "held"}[k], strconv.Itoa(class))
			var b bytes.Buffer
			if err := png.Encode(&b, set.Image(i)); err != nil {
				return err
			}
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(count[class])+".png"), b.Bytes(), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
