// Package photos reads real photographs out of Debian's packages gcompris-qt-data and
// tuxpaint-stamps-default: of animals, plants, food, tools, vehicles, buildings and
// landscapes, taken by many people; and photographs of ImageNet's classes out of a folder.
package photos

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

// Dir is where the packages lay them.
const Dir = "/usr/share"

// activities are those of GCompris whose pictures are photographs.
var activities = []string{"categorization", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals", "explore_world_music"}

// stampFolders are those of Tux Paint's stamps that hold photographs, cut out; what is
// drawn in them says so in its name.
var stampFolders = []string{"animals", "food", "hobbies", "household", "plants", "sports", "vehicles"}

// Load returns all photographs, of size times size pixels in red, green and blue, in an
// order that is always the same. Of a photograph it is the centred square that keeps 7/8
// of the shorter side, as classifiers are shown it; a cut-out is seen whole, on white.
func Load(dir string, size int) (pixels [][]byte, err error) {
	for _, a := range activities {
		list, err := webps(filepath.Join(dir, "gcompris-qt", "rcc", a+".rcc"))
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			pixels = append(pixels, square(p, min(p.Bounds().Dx(), p.Bounds().Dy())*7/8, size))
		}
	}
	for _, folder := range stampFolders {
		list, err := stamps(filepath.Join(dir, "tuxpaint", "stamps", folder))
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			pixels = append(pixels, square(p, max(p.Bounds().Dx(), p.Bounds().Dy()), size))
		}
	}
	return pixels, nil
}

// classes are as many as ImageNet has.
const classes = 1000

// LoadClasses returns a photograph of each class of ImageNet in the order of the classes,
// cut as [Load] does. dir has one file a class, <WordNet number>_<name>.JPEG; sorted by
// name they are in that order (as in github.com/EliSchwartz/imagenet-sample-images).
func LoadClasses(dir string, size int) (pixels [][]byte, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "n????????_*.JPEG"))
	if err != nil {
		return nil, err
	}
	if len(paths) != classes {
		return nil, fmt.Errorf("%s has %d files named n????????_*.JPEG, want one of each of the %d classes", dir, len(paths), classes)
	}
	for _, path := range paths {
		p, err := decode(path, jpeg.Decode)
		if err != nil {
			return nil, err
		}
		pixels = append(pixels, square(p, min(p.Bounds().Dx(), p.Bounds().Dy())*7/8, size))
	}
	return pixels, nil
}

// decode reads the picture in a file.
func decode(path string, from func(io.Reader) (image.Image, error)) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := from(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// webps are the WebP pictures in a Qt resource file, which holds its files as they
// are, one behind another.
func webps(path string) (list []image.Image, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (it is in Debian's package gcompris-qt-data)", err)
	}
	const head = 12 // "RIFF", the size of what follows, "WEBP"
	for {
		i := bytes.Index(b, []byte("RIFF"))
		if i < 0 || len(b) < i+head {
			return list, nil
		}
		b = b[i:]
		if string(b[8:head]) != "WEBP" {
			b = b[4:]
			continue
		}
		n := min(8+int(binary.LittleEndian.Uint32(b[4:])), len(b))
		p, err := webp.Decode(bytes.NewReader(b[:n]))
		if err != nil {
			return nil, fmt.Errorf("%s: picture %d: %w", path, len(list), err)
		}
		list, b = append(list, p), b[n:]
	}
}

// stamps are the photographs in a folder and those below it.
func stamps(dir string) (list []image.Image, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%w (it is in Debian's package tuxpaint-stamps-default)", err)
		}
		if filepath.Ext(path) != ".png" || strings.Contains(path, "cartoon") || strings.Contains(path, "_mirror") {
			return nil
		}
		p, err := decode(path, png.Decode)
		if err != nil {
			return err
		}
		list = append(list, p)
		return nil
	})
	return list, err
}

// square is a square of a side about the middle of a picture, white where there is no
// picture, at another size.
func square(p image.Image, side, size int) []byte {
	b := p.Bounds()
	at := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	whole, small := image.NewRGBA(image.Rect(0, 0, side, side)), image.NewRGBA(image.Rect(0, 0, size, size))
	draw.Draw(whole, whole.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(whole, whole.Bounds(), p, at, draw.Over)
	draw.BiLinear.Scale(small, small.Bounds(), whole, whole.Bounds(), draw.Src, nil)
	out := make([]byte, 0, size*size*3)
	for i, v := range small.Pix {
		if i%4 != 3 {
			out = append(out, v)
		}
	}
	return out
}
