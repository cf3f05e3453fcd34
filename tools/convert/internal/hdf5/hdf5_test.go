package hdf5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/tools/convert/internal/bounded"
	"github.com/whet-edge/whet/tools/convert/internal/ziptest"
)

// files returns the files of testdata/files.zip, which testdata/make.py made
// with h5py for several versions of the format.
func files(t testing.TB) map[string][]byte { return ziptest.Files(t, "testdata/files.zip") }

func open(t testing.TB, b []byte) *File {
	f, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAttributes(t *testing.T) {
	for name, b := range files(t) {
		f := open(t, b)
		for attr, want := range map[string][]string{
			"text": {"a string of variable length: é"}, "bytes": {"bytes"}, "fixed": {"of fixed length"},
			"list": {"one", "three", ""}, "varlist": {"one", "two", "", "four"},
		} {
			a, err := f.Attr(attr)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got, err := a.Strings(); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %s = %q, %v", name, attr, got, err)
			}
			if s, err := a.Str(); (err == nil) != (len(want) == 1) || err == nil && s != want[0] {
				t.Errorf("%s: Str of %s = %q, %v", name, attr, s, err)
			}
		}
		if a, err := f.Attr("number"); err != nil {
			t.Error(err)
		} else if _, err := a.Strings(); err == nil {
			t.Errorf("%s: a number read as strings", name)
		}
		if _, err := f.Attr("missing"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error %v", name, err)
		}
		g, err := f.Lookup("attributes")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			a, err := g.Attr(fmt.Sprintf("attribute%02d", i))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if s, err := a.Str(); s != fmt.Sprintf("value %d", i) {
				t.Errorf("%s: attribute %d = %q, %v", name, i, s, err)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	for name, b := range files(t) {
		f := open(t, b)
		names, err := f.Names()
		if want := []string{"attributes", "circle", "hard", "layouts", "many", "outside", "soft", "types"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: members %q, %v", name, names, err)
		}
		for i := range 200 {
			g, err := f.Lookup(fmt.Sprintf("/many/member%03d", i))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if a, err := g.Attr("i"); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if s, _ := a.Str(); s != fmt.Sprint(i) {
				t.Errorf("%s: member %d is %q", name, i, s)
			}
		}
		for path, ok := range map[string]bool{"soft": true, "types/near": true, "hard/contiguous": true, "layouts//scalar/": true,
			"circle": false, "outside": false, "types/none": false, "types/i1/none": false} {
			if f.Has(path) != ok {
				t.Errorf("%s: Has(%q) = %v", name, path, !ok)
			}
		}
		if _, err := f.Lookup("types/none"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// number returns element i of data as make.py's numbers have it.
func number(typ Type, data []byte, i int) float64 {
	e := data[i*typ.Size:][:typ.Size]
	switch {
	case typ.Class == ClassFloat && typ.Size == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(e)))
	case typ.Class == ClassFloat && typ.Size == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(e))
	case typ.Class == ClassFloat: // small integers as binary16
		h := binary.LittleEndian.Uint16(e)
		if h == 0 {
			return 0
		}
		return math.Ldexp(float64(1<<10|h&0x3ff), int(h>>10)-25)
	}
	v := 0.0
	for k := typ.Size - 1; k >= 0; k-- {
		v = v*256 + float64(e[k])
	}
	return v
}

func TestDatasets(t *testing.T) {
	for name, b := range files(t) {
		f := open(t, b)
		for _, group := range []string{"types", "layouts"} {
			g, err := f.Lookup(group)
			if err != nil {
				t.Fatal(err)
			}
			members, err := g.Names()
			if err != nil {
				t.Fatal(err)
			}
			for _, member := range members {
				d, err := g.Lookup(member)
				if err != nil {
					t.Fatal(err)
				}
				data, err := d.Read()
				if err != nil {
					if !strings.Contains(err.Error(), "h5repack") || name != "v110.h5" {
						t.Errorf("%s: %s: %v", name, d.Path(), err)
					}
					continue
				}
				n := 1
				for _, s := range d.Shape() {
					n *= s
				}
				if !d.IsDataset() || len(data) != n*d.Type().Size {
					t.Errorf("%s: %s: %d bytes for %v", name, d.Path(), len(data), d.Shape())
					continue
				}
				for i := range n {
					want := float64(i * 7 % 251)
					switch member {
					case "i1", "near":
						want = math.Mod(want, 128)
					case "?":
						want = min(want, 1)
					case "unwritten":
						want = 2.5
					}
					if got := number(d.Type(), data, i); got != want {
						t.Errorf("%s: %s[%d] = %v, want %v", name, d.Path(), i, got, want)
						break
					}
				}
			}
		}
	}
}

// everything reads all that can be reached.
func everything(o *Object, seen map[*Object]bool) {
	if seen[o] {
		return
	}
	seen[o] = true
	for _, a := range o.head.attrs {
		a.Strings()
	}
	o.Attr("none")
	o.Read()
	names, _ := o.Names()
	for _, n := range names {
		if m, err := o.Lookup(n); err == nil {
			everything(m, seen)
		}
	}
}

// A damaged file must give an error or some other content, and no panic.
func TestDamage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, b := range files(t) {
		for range 60 {
			c := slices.Clone(b)
			for range 1 + rnd.IntN(8) {
				c[rnd.IntN(min(len(c), 1<<rnd.IntN(20)))] = byte(rnd.Uint32())
			}
			c = c[:len(c)-rnd.IntN(2)*rnd.IntN(len(c))]
			if f, err := Open(c); err == nil {
				everything(f.Object, map[*Object]bool{})
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range files(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded.Check(t, len(b), func() {
			if h, err := Open(b); err == nil {
				everything(h.Object, map[*Object]bool{})
			}
		})
	})
}
