package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// write returns the file of a model.
func write(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// seal makes a file of a header and a graph map, without tensors, whose lengths and
// checksum are right: what lies behind the checks of the container gets tested.
func seal(magic string, header, graph []byte) []byte {
	var b bytes.Buffer
	if err := writeFile(&b, magic, header, graph, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// reseal corrects the checksum of header and graph after a change to them.
func reseal(b []byte) []byte {
	if len(b) < fixedLen {
		return b
	}
	n := binary.BigEndian.Uint64(b[20:]) + binary.BigEndian.Uint64(b[29:]) + fixedLen
	if n > uint64(len(b)) || n < fixedLen {
		return b
	}
	b = bytes.Clone(b)
	binary.BigEndian.PutUint64(b[fixedLen-8:], uint64(crc32.Checksum(b[fixedLen:n], castagnoli)))
	return b
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := anyModel.Draw(rt, "model")
		file := write(t, m)
		got, err := FromBytes(file)
		if err != nil {
			rt.Fatal(err)
		}
		sameModel(t, m, got)
		if again := write(t, got); !bytes.Equal(again, file) {
			rt.Fatal("writing what was read gives other bytes")
		}
		got, err = Read(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			rt.Fatal(err)
		}
		sameModel(t, m, got)
		sum, err := Digest(m)
		if err != nil || sum != got.Header.Digest {
			rt.Fatalf("the digest is %x and the file says %x (%v)", sum, got.Header.Digest, err)
		}
	})
}

// The order of Go's maps must not show in a file.
func TestDeterministic(t *testing.T) {
	m := smallModel()
	m.Header.Card = map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}
	first := write(t, m)
	for range 20 {
		if !bytes.Equal(write(t, m), first) {
			t.Fatal("the same model gave different bytes")
		}
	}
}

func TestLayout(t *testing.T) {
	m := smallModel()
	b := write(t, m)
	if got := string(b[6:10]); got != "whet" {
		t.Errorf("the magic is %q", got)
	}
	got, err := FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got.Tensors {
		if !x.Const() {
			continue
		}
		i := bytes.Index(b, x.Data)
		if i%64 != 0 {
			t.Errorf("tensor %q begins at %d, not at a multiple of 64", x.Name, i)
		}
		if head := b[i-5 : i]; head[0] != 0xc6 || int(binary.BigEndian.Uint32(head[1:])) != len(x.Data) {
			t.Errorf("tensor %q is not a bin32 object: % x", x.Name, head)
		}
		if last := b[len(b)-1]; x.Name == "b" && last != 255 {
			t.Errorf("something follows the last tensor: %#x", last)
		}
	}
	if got.Header.WeightBytes != 16 {
		t.Errorf("WeightBytes = %d, want 16", got.Header.WeightBytes)
	}
}

// A file is a plain sequence of msgpack objects to any other reader.
func TestPlainMsgpack(t *testing.T) {
	m := smallModel()
	d := msgpack.NewDecoder(bytes.NewReader(write(t, m)))
	var objects []any
	for {
		v, err := d.DecodeInterface()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if v != nil {
			objects = append(objects, v)
		}
	}
	if len(objects) != 5 {
		t.Fatalf("%d objects besides nil, want array, two maps and two bins", len(objects))
	}
	if fixed, ok := objects[0].([]any); !ok || len(fixed) != 7 || fixed[0] != "whet" {
		t.Errorf("the fixed part is %v", objects[0])
	}
	if h, ok := objects[1].(map[string]any); !ok || h["weight_bytes"] != int8(16) {
		t.Errorf("the header is %v", objects[1])
	}
	if g, ok := objects[2].(map[string]any); !ok || len(g["tensors"].([]any)) != len(m.Tensors) {
		t.Errorf("the graph is %v", objects[2])
	}
	for i, name := range []string{"w", "b"} {
		if b, ok := objects[3+i].([]byte); !ok || !bytes.Equal(b, m.Tensor(name).Data) {
			t.Errorf("tensor %q is %v", name, objects[3+i])
		}
	}
}

// What the header says must not change the digest: two models that compute the
// same are the same to a delta.
func TestDigestLeavesHeaderOut(t *testing.T) {
	m := smallModel()
	a, err := FromBytes(write(t, m))
	if err != nil {
		t.Fatal(err)
	}
	m.Header.Labels = append(m.Header.Labels, "a third, somewhat longer label")
	b, err := FromBytes(write(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if a.Header.Digest != b.Header.Digest {
		t.Error("a label changed the digest")
	}
	m.Tensor("w").Data[0]++
	c, err := FromBytes(write(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if c.Header.Digest == b.Header.Digest {
		t.Error("a weight did not change the digest")
	}
}

func TestTruncated(t *testing.T) {
	b := write(t, smallModel())
	for n := range b {
		for _, c := range [][]byte{b[:n], reseal(b[:n])} {
			if _, err := FromBytes(c); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, err := Read(bytes.NewReader(b[:n]), int64(len(b))); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a reader that ends after %d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := FromBytes(append(bytes.Clone(b), nilByte)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte more: %v", err)
	}
}

func TestBitFlips(t *testing.T) {
	m := smallModel()
	b := write(t, m)
	for i := range len(b) * 8 {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		if _, err := FromBytes(c); err == nil {
			t.Fatalf("bit %d of byte %d flipped, and nobody noticed", i%8, i/8)
		}
		// With the checksum corrected the file may be valid, and then it must be
		// one that can be written.
		if got, err := FromBytes(reseal(c)); err == nil {
			write(t, got)
		}
	}
}

func TestFlippedWeightIsFoundByDigestAndChecksum(t *testing.T) {
	b := write(t, smallModel())
	path := filepath.Join(t.TempDir(), "m.whet")
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), `checksum of tensor "b"`) {
		t.Errorf("Open = %v", err)
	}
	// A weight changed together with its checksum: only the digest shows it.
	m := smallModel()
	other := smallModel()
	other.Tensor("w").Data[0]++
	header, graph := write(t, m), write(t, other)
	h := binary.BigEndian.Uint64(header[20:])
	mixed := reseal(append(bytes.Clone(header[:fixedLen+h]), graph[fixedLen+h:]...))
	if err := os.WriteFile(path, mixed, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err != nil {
		t.Errorf("Open = %v", err)
	}
	if _, err := Open(path, Options{Digest: true}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open with Digest = %v", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.whet")
	m := smallModel()
	if err := WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {Map: true}, {Digest: true}, {Map: true, Digest: true}} {
		got, err := Open(path, o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		sameModel(t, m, got)
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
		if err := got.Close(); err != nil {
			t.Fatalf("closing twice: %v", err)
		}
	}
	delta := filepath.Join(dir, "d.whetd")
	d, err := Diff(m, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteDeltaFile(delta, d); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		want error
		text string
	}{
		{filepath.Join(dir, "none"), os.ErrNotExist, "none"},
		{dir, ErrCorrupt, "not a regular file"},
		{empty, ErrCorrupt, "empty: format: at byte 0"},
		{delta, ErrCorrupt, "it is a delta"},
	} {
		for _, o := range []Options{{}, {Map: true}} {
			if _, err := Open(tt.path, o); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Open(%s) = %v, want %v with %q", tt.path, err, tt.want, tt.text)
			}
		}
	}
	if _, err := OpenDelta(path); err == nil || !strings.Contains(err.Error(), "it is a model") {
		t.Errorf("OpenDelta of a model: %v", err)
	}
}

func TestOpenHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.whet")
	if err := WriteFile(path, smallModel()); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := OpenHeader(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&m.Header, h); d != "" {
		t.Error(d)
	}
	b := write(t, smallModel())
	b[fixedLen] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHeader(path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged header: %v", err)
	}
	if _, err := OpenHeader(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A mapped model's constants are the file's pages, not copies.
func TestMapSharesPages(t *testing.T) {
	if !canMap {
		t.Skip("this system maps no files")
	}
	path := filepath.Join(t.TempDir(), "m.whet")
	if err := WriteFile(path, smallModel()); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path, Options{Map: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{42}, st.Size()-1); err != nil {
		t.Fatal(err)
	}
	if data := m.Tensor("b").Data; data[len(data)-1] != 42 {
		t.Error("a write to the file does not show in the mapped tensor")
	}
}

func TestFromBytesAliases(t *testing.T) {
	b := write(t, smallModel())
	m, err := FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] = 42
	if data := m.Tensor("b").Data; data[len(data)-1] != 42 {
		t.Error("FromBytes copied a tensor")
	}
}

func TestLimits(t *testing.T) {
	b := write(t, smallModel())
	path := filepath.Join(t.TempDir(), "m.whet")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	size := int64(len(b))
	header, graph := int64(binary.BigEndian.Uint64(b[20:])), int64(binary.BigEndian.Uint64(b[29:]))
	for _, tt := range []struct {
		name      string
		fits, not Limits
	}{
		{"File", Limits{File: size}, Limits{File: size - 1}},
		{"Header", Limits{Header: header}, Limits{Header: header - 1}},
		{"Graph", Limits{Graph: graph}, Limits{Graph: graph - 1}},
		{"Tensors", Limits{Tensors: 7}, Limits{Tensors: 6}},
		{"Nodes", Limits{Nodes: 5}, Limits{Nodes: 4}},
		{"Items", Limits{Items: 250}, Limits{Items: 100}},
		{"Elems", Limits{Elems: 8}, Limits{Elems: 7}},
		{"Name", Limits{Name: 65}, Limits{Name: 64}},
	} {
		m := smallModel()
		if tt.name == "Name" { // short texts are read into scratch memory and need no limit
			m.Header.Labels[0] = strings.Repeat("x", 65)
		}
		b := write(t, m)
		if _, err := fromBytes(b, Options{Limits: tt.fits}); tt.name != "Header" && err != nil {
			t.Errorf("%s: within the limit: %v", tt.name, err)
		}
		if _, err := fromBytes(b, Options{Limits: tt.not}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: above the limit: %v", tt.name, err)
		}
	}
	if _, err := Open(path, Options{Limits: Limits{File: size - 1}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Open of a file that is too large: %v", err)
	}
	deep := seal(modelMagic, headerWith(bytes.Repeat([]byte{0x91}, 40)), nil)
	if _, err := FromBytes(deep); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Depth: %v", err)
	}
	if _, err := fromBytes(deep, Options{Limits: Limits{Depth: 50}}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Depth: a deeper limit lets the file fail elsewhere: %v", err)
	}
}

// headerWith is a header whose first value, of an unknown key, is v, which
// continues into the rest of the header.
func headerWith(v []byte) []byte {
	b := append([]byte{0x8f, 0xa1, 'u'}, v...)
	return append(b, make([]byte, -len(b)&63)...)
}

func TestVersions(t *testing.T) {
	b := write(t, smallModel())
	binary.BigEndian.PutUint64(b[11:], version+1)
	if _, err := FromBytes(b); !errors.Is(err, ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
	h := smallModel().Header
	h.Opset = Opset + 1
	header, err := encodeHeader(&h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromBytes(seal(modelMagic, header, []byte{0x80})); !errors.Is(err, ErrVersion) {
		t.Errorf("a later op table: %v", err)
	}
}

// Unknown keys of the header are passed over, whatever their value; elsewhere they
// are an error.
func TestUnknownKeys(t *testing.T) {
	m := smallModel()
	graph, l, err := encodeGraph(m)
	if err != nil {
		t.Fatal(err)
	}
	header := func(values ...[]byte) []byte {
		e := newEncoder()
		e.object(3 + len(values))
		e.str("opset")
		e.int(1)
		e.str("digest")
		e.bin(make([]byte, 32))
		for i, v := range values {
			e.str("unknown" + string(rune('a'+i)))
			e.buf.Write(v)
		}
		e.pad()
		return e.buf.Bytes()
	}
	file := func(header, graph []byte) []byte {
		var b bytes.Buffer
		if err := writeFile(&b, modelMagic, header, graph, l.blobs); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	got, err := FromBytes(file(header(
		[]byte{0xc0}, []byte{0xc3}, []byte{0x05}, []byte{0xe0}, []byte{0xcc, 1}, []byte{0xcd, 1, 2}, []byte{0xce, 1, 2, 3, 4}, []byte{0xcf, 1, 2, 3, 4, 5, 6, 7, 8},
		[]byte{0xd0, 1}, []byte{0xd1, 1, 2}, []byte{0xd2, 1, 2, 3, 4}, []byte{0xd3, 1, 2, 3, 4, 5, 6, 7, 8},
		[]byte{0xca, 1, 2, 3, 4}, []byte{0xcb, 1, 2, 3, 4, 5, 6, 7, 8},
		[]byte{0xa1, 'x'}, []byte{0xd9, 1, 'x'}, []byte{0xc4, 1, 0}, []byte{0xc5, 0, 1, 0},
		[]byte{0xd4, 7, 1}, []byte{0xd8, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, []byte{0xc7, 2, 9, 1, 2},
		[]byte{0x92, 0x91, 0xc0, 0x81, 0xa1, 'k', 0x90}, []byte{0x82, 1, 2, 3, 4}, []byte{0xdc, 0, 1, 0xc0}, []byte{0xde, 0, 1, 0xc0, 0xc0},
	), graph))
	if err != nil {
		t.Fatal(err)
	}
	m.Header = Header{}
	sameModel(t, m, got)

	for name, b := range map[string][]byte{
		"an invalid byte":        file(header([]byte{0xc1}), graph),
		"a string without end":   file(header([]byte{0xdb, 0xff, 0xff, 0xff, 0xff}), graph),
		"an ext without end":     file(header([]byte{0xc9, 0xff, 0xff, 0xff, 0xff, 1}), graph),
		"a list without end":     file(header([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}), graph),
		"a map without end":      file(header([]byte{0xdf, 0xff, 0xff, 0xff, 0xff}), graph),
		"an unknown key in node": file(header(), bytes.Replace(graph, []byte("\xa2op\xa4Gemm"), []byte("\xa2oq\xa4Gemm"), 1)),
	} {
		if _, err := FromBytes(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each of these once broke some reader of msgpack; see also FuzzRead.
func TestHostile(t *testing.T) {
	header, err := encodeHeader(&Header{})
	if err != nil {
		t.Fatal(err)
	}
	graph := func(edit func(e *encoder)) []byte {
		e := newEncoder()
		e.object(4)
		edit(e)
		return seal(modelMagic, header, e.buf.Bytes())
	}
	tensor := func(edit func(e *encoder)) []byte {
		return graph(func(e *encoder) {
			e.str("tensors")
			e.array(1)
			e.object(4)
			edit(e)
		})
	}
	raw := func(b ...byte) []byte { return b }
	for name, tt := range map[string]struct {
		file []byte
		want string
	}{
		"bin32 of 4 GiB":         {raw(0xc6, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0), "ends within its first"},
		"array32 of 4 Gi":        {raw(0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0), "ends within its first"},
		"map32 of 4 Gi in graph": {seal(modelMagic, header, raw(0xdf, 0xff, 0xff, 0xff, 0xff)), "goes beyond the end"},
		"nil as a map":           {seal(modelMagic, header, raw(0xc0)), "expected a map"},
		"array32 of graphs":      {graph(func(e *encoder) { e.str("graphs"); e.buf.Write(raw(0xdd, 0xff, 0xff, 0xff, 0xff)) }), "goes beyond the end"},
		"a key twice": {graph(func(e *encoder) {
			e.str("symbols")
			e.strs(nil)
			e.str("symbols")
			e.strs(nil)
		}), "twice"},
		"nil as a list":   {graph(func(e *encoder) { e.str("symbols"); e.buf.WriteByte(0xc0) }), "expected an array"},
		"nil as a string": {graph(func(e *encoder) { e.str("symbols"); e.array(1); e.buf.WriteByte(0xc0) }), "expected a string"},
		"bin as a string": {graph(func(e *encoder) { e.str("symbols"); e.array(1); e.bin([]byte("x")) }), "expected a string"},
		"str32 of 4 GiB":  {graph(func(e *encoder) { e.str("symbols"); e.array(1); e.buf.Write(raw(0xdb, 0xff, 0xff, 0xff, 0xff)) }), "goes beyond the end"},
		"not UTF-8":       {graph(func(e *encoder) { e.str("symbols"); e.array(1); e.str("\xff") }), "not UTF-8"},
		"unknown type":    {tensor(func(e *encoder) { e.str("type"); e.str("int9") }), "unknown type"},
		"float as a size": {tensor(func(e *encoder) { e.str("shape"); e.array(1); e.float64(1) }), "expected an integer"},
		"huge size":       {tensor(func(e *encoder) { e.str("shape"); e.array(1); e.int(1 << 32) }), "an integer is outside"},
		"uint64 wraps around": {tensor(func(e *encoder) {
			e.str("shape")
			e.array(1)
			e.buf.Write(raw(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
		}), "an integer is outside"},
		"sizes overflow":    {tensor(func(e *encoder) { e.str("shape"); e.shape(Shape{1 << 30, 1 << 30, 1 << 30}) }), "has more than"},
		"17 dimensions":     {tensor(func(e *encoder) { e.str("shape"); e.shape(make(Shape, 17)) }), "17 dimensions"},
		"zero point of 2³²": {tensor(func(e *encoder) { e.str("quant"); e.object(1); e.str("zero"); e.array(1); e.int(1 << 32) }), "an integer is outside"},
		"data outside": {tensor(func(e *encoder) {
			e.buf.Reset()
			e.object(1)
			e.str("tensors")
			e.array(1)
			e.typed("t", Int8, Shape{1}, nil, 3)
			for _, k := range []string{"offset", "length", "crc"} {
				e.str(k)
				e.int(0)
			}
			e.buf.Write(bytes.Repeat([]byte{0xc0}, 9))
		}), "not within the file"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := FromBytes(tt.file)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: a file of %d bytes made the reader allocate %d", name, len(tt.file), n)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, smallModel()))
	for i := range 3 {
		f.Add(write(f, anyModel.Example(i)))
	}
	f.Add(seal(modelMagic, headerWith(bytes.Repeat([]byte{0x91}, 100)), []byte{0x80}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, reseal(b)} {
			m, err := FromBytes(b)
			if err != nil {
				continue
			}
			// What was read can be written, and what was written is read as the same.
			again := write(t, m)
			m2, err := FromBytes(again)
			if err != nil {
				t.Fatal(err)
			}
			sameModel(t, m, m2)
		}
	})
}

// FuzzMaps mutates header and graph of models and deltas in files that are whole
// otherwise, so that every input gets past lengths and checksum.
func FuzzMaps(f *testing.F) {
	m := smallModel()
	graph, l, err := encodeGraph(m)
	if err != nil {
		f.Fatal(err)
	}
	header, err := encodeHeader(&m.Header)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(header, graph, false)
	tuned := smallModel()
	tuned.Tensors[1].Data = l.blobs[0].data // the blobs of both files are the same
	tuned.Tensors[2].Data = []byte{9, 9, 9, 9, 9, 9, 9, 9}
	tuned.Header.Labels = []string{"a", "b", "c"}
	tuned.Graphs[0].Nodes = tuned.Graphs[0].Nodes[:4]
	tuned.Graphs[0].Outputs = []string{"z"}
	tuned.Header.Metrics = nil
	d, err := Diff(m, tuned)
	if err != nil {
		f.Fatal(err)
	}
	dh, err := d.encodeHeader()
	if err != nil {
		f.Fatal(err)
	}
	dg, dl, err := d.encodePatch()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(dh, dg, true)
	f.Fuzz(func(t *testing.T, header, graph []byte, delta bool) {
		header = append(header, make([]byte, -len(header)&(dataAlign-1))...)
		var b bytes.Buffer
		if delta {
			if err := writeFile(&b, deltaMagic, header, graph, dl.blobs); err != nil {
				t.Fatal(err)
			}
			d, err := DeltaFromBytes(b.Bytes())
			if err != nil {
				return
			}
			writeDelta(t, d)
			if m, err := Apply(m, d); err == nil {
				write(t, m)
			}
			return
		}
		if err := writeFile(&b, modelMagic, header, graph, l.blobs); err != nil {
			t.Fatal(err)
		}
		if got, err := FromBytes(b.Bytes()); err == nil {
			again, err := FromBytes(write(t, got))
			if err != nil {
				t.Fatal(err)
			}
			sameModel(t, got, again)
		}
	})
}

// TestRelease gives pages of a mapped model back and reads them again; bytes that
// do not lie in the file are left alone.
func TestRelease(t *testing.T) {
	m := &Model{Header: Header{Opset: Opset}, Graphs: []*Graph{{Name: "main", Inputs: []Input{{Tensor: "x"}}, Outputs: []string{"y"},
		Nodes: []*Node{{Name: "n", Op: "Add", Inputs: []string{"x", "c"}, Outputs: []string{"y"}}}}}}
	c := make([]byte, 4*100_000)
	for i := range c {
		c[i] = byte(i>>8) & 0x3f
	}
	shape := Shape{100_000}
	m.Tensors = []*Tensor{{Name: "x", Type: Float32, Shape: shape}, {Name: "c", Type: Float32, Shape: shape, Data: c}, {Name: "y", Type: Float32, Shape: shape}}
	path := filepath.Join(t.TempDir(), "m.whet")
	if err := WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path, Options{Map: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	data, own := m.Tensor("c").Data, bytes.Clone(c)
	m.Release(data)
	m.Release(own)
	m.Release(nil)
	if !bytes.Equal(data, c) || !bytes.Equal(own, c) {
		t.Error("released bytes have changed")
	}
}
