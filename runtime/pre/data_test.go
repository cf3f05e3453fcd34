package pre

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder(t *testing.T) {
	dir := tree(t, map[string]string{
		"zebra/1.txt": "1 2", "ant/1.txt": "3 4", "ant/2.txt": "5 6", "cat/x.txt": "7 8", "readme.md": "", "ant/.hidden": "",
	})
	p := newPipeline(t, tensor(format.Int8, format.PerTensor(1, 0), 1, 2))
	d, err := OpenData(dir, p, []string{"dog", "cat"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"dog", "cat", "ant", "zebra"}; !slices.Equal(d.Labels, want) {
		t.Errorf("labels %v, want %v", d.Labels, want)
	}
	if want := []int{2, 2, 1, 3}; !slices.Equal(d.Class, want) {
		t.Errorf("classes %v, want %v", d.Class, want)
	}
	got := make([]byte, 2)
	if err := d.Input(1, got); err != nil || got[0] != 5 || got[1] != 6 {
		t.Errorf("sample 1: %v, %v", got, err)
	}
	s := d.Subset([]int{3, 1})
	if err := s.Input(0, got); err != nil || got[0] != 1 || s.Label(0) != "zebra" || s.Len() != 2 {
		t.Errorf("subset: %v, %v, %q", got, err, s.Label(0))
	}
}

func TestFolderOfNumbers(t *testing.T) {
	dir := tree(t, map[string]string{"10/a.txt": "1", "2/a.txt": "1"})
	p := newPipeline(t, tensor(format.Int8, format.PerTensor(1, 0), 1))
	d, err := OpenData(dir, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Class, []int{10, 2}) || len(d.Labels) != 11 || d.Labels[10] != "10" {
		t.Errorf("classes %v, labels %v", d.Class, d.Labels)
	}
}

func TestTable(t *testing.T) {
	dir := tree(t, map[string]string{"iris.csv": "a,Class,b\n1,setosa,2\n3,virginica,4\n"})
	p := newPipeline(t, tensor(format.Int8, format.PerTensor(0.5, 0), 1, 2))
	d, err := OpenData(filepath.Join(dir, "iris.csv"), p, []string{"virginica"})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if err := d.Input(1, got); err != nil || got[0] != 6 || got[1] != 8 || !slices.Equal(d.Class, []int{1, 0}) {
		t.Errorf("row 2: %v, %v, classes %v", got, err, d.Class)
	}
}

func TestArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.npz")
	x := &Array{Type: format.Int8, Shape: format.Shape{2, 3, 1}, Data: []byte{1, 2, 3, 4, 5, 6}}
	y := &Array{Type: format.Int8, Shape: format.Shape{2, 1}, Data: []byte{0, 2}}
	writeNPZ(t, path, map[string]*Array{"x": x, "y": y})
	p := newPipeline(t, tensor(format.Int8, format.PerTensor(0.5, 0), 1, 3))
	d, err := OpenData(path, p, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if err := d.Input(1, got); err != nil || got[0] != 4 || got[2] != 6 {
		t.Errorf("row 1: %v, %v", got, err)
	}
	if !slices.Equal(d.Class, []int{0, 2}) || !slices.Equal(d.Labels, []string{"a", "1", "2"}) {
		t.Errorf("classes %v, labels %v", d.Class, d.Labels)
	}
}

func TestOpenDataRefuses(t *testing.T) {
	dir := tree(t, map[string]string{
		"empty/x.md": "", "deep/a/b/c.txt": "1", "other/a/b.mp3": "",
		"header.csv": "1,2\n3,4\n", "word.csv": "a,label\nx,y\n", "one.csv": "a\n1\n", "none.csv": "a,b\n", "ragged.csv": "a,b\n1,2\n3\n",
		"data.txt": "1", "bad.npz": "PK",
	})
	bad := filepath.Join(dir, "y.npz")
	writeNPZ(t, bad, map[string]*Array{"x": floats([]float32{1, 2}, 2), "y": floats([]float32{0.5, 1}, 2)})
	long := filepath.Join(dir, "long.npz")
	writeNPZ(t, long, map[string]*Array{"x": floats([]float32{1, 2}, 2), "y": floats([]float32{1}, 1)})
	minus := filepath.Join(dir, "minus.npz")
	writeNPZ(t, minus, map[string]*Array{"x": floats([]float32{1}, 1), "y": floats([]float32{-1}, 1)})
	p := newPipeline(t, tensor(format.Int8, format.PerTensor(1, 0), 1))
	for name, want := range map[string]string{
		"empty": "no samples", "deep": "neither", "other": "neither", "header.csv": "first line has numbers",
		"word.csv": `line 2, column 1: "x" is not a number`, "one.csv": "one column only", "none.csv": "no rows", "ragged.csv": "wrong number of fields",
		"data.txt": "data must be", "bad.npz": "zip", "missing": "o such file",
		"y.npz": "not a whole number", "long.npz": "do not go together", "minus.npz": "y[0] is -1",
	} {
		_, err := OpenData(filepath.Join(dir, name), p, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}
