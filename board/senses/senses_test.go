package senses

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestMain is also the child that some tests start.
func TestMain(m *testing.M) {
	switch os.Getenv("SENSES_CHILD") {
	case "pictures":
		b, _ := os.ReadFile(os.Getenv("SENSES_PICTURE"))
		for range 3 {
			os.Stdout.Write(b)
			os.Stdout.WriteString("\n")
		}
		fmt.Fprintln(os.Stderr, "starting\nno cameras available")
		os.Exit(1)
	case "sound":
		os.Stdout.Write(bytes.Repeat([]byte{1, 2}, 16000*2))
		os.Exit(0)
	case "silent":
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func self(t *testing.T, role string) []string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SENSES_CHILD", role)
	return []string{exe}
}

func TestChild(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "a.jpg")
	want := testPicture(t)
	if err := os.WriteFile(picture, want, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SENSES_PICTURE", picture)
	c := &child{name: "exec:x", command: self(t, "pictures")}
	n := 0
	err := c.Run(t.Context(), func(f Frame) {
		if n++; !bytes.Equal(f.Data, want) || f.Seq != uint64(n) {
			t.Errorf("frame %d has %d bytes, want %d", f.Seq, len(f.Data), len(want))
		}
	})
	if n != 3 || err == nil || !strings.HasSuffix(err.Error(), ": no cameras available") {
		t.Errorf("%d pictures, then %v", n, err)
	}
}

func TestSoundChild(t *testing.T) {
	c := &soundChild{name: "sound:x", command: self(t, "sound"), options: defaults()}
	n := 0
	err := c.Run(t.Context(), func(f Frame) {
		if n++; len(f.Data) != 44+32000 || f.Media != "audio/wav" {
			t.Errorf("%s of %d bytes", f.Media, len(f.Data))
		}
	})
	if n != 3 || err == nil { // 2 s in windows of 1 s, each half a second
		t.Errorf("%d windows, then %v", n, err)
	}
}

func TestChildStops(t *testing.T) {
	c := &child{name: "exec:x", command: self(t, "silent")}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx, func(Frame) { t.Error("a frame") }); err == nil {
		t.Error("no error")
	}
}

func TestChildNotInstalled(t *testing.T) {
	c := &child{command: []string{"whet-no-such-program"}}
	if err := c.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Error(err)
	}
}

// failing is a source that fails after some time, then ends.
type failing struct {
	after []time.Duration
	n     int
}

func (f *failing) Run(context.Context, func(Frame)) error {
	if f.n == len(f.after) {
		return nil
	}
	time.Sleep(f.after[f.n])
	f.n++
	return errors.New("gone")
}

func TestKeepBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failing{after: []time.Duration{0, 0, 0, 0, 0, 0, 0, 0, time.Hour, 0}}
		var waits []time.Duration
		Keep(t.Context(), s, nil, func(_ error, wait time.Duration) { waits = append(waits, wait/time.Second) })
		if want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 1, 2}; !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
	})
}

func TestFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		put := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("old.jpg", "was there before")
		ctx, stop := context.WithCancel(t.Context())
		var got []string
		var wg sync.WaitGroup
		wg.Go(func() {
			f := &folder{path: dir}
			if err := f.Run(ctx, func(f Frame) { got = append(got, filepath.Base(f.Name)+" "+string(f.Data)) }); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		put("a.jpg", "hal")
		put("notes.txt", "no picture")
		time.Sleep(pollTime + time.Millisecond)
		put("a.jpg", "half, now whole") // it is still growing when it is first seen
		time.Sleep(3 * pollTime)
		put("b.wav", "sound")
		time.Sleep(3 * pollTime)
		stop()
		wg.Wait()
		if want := []string{"a.jpg half, now whole", "b.wav sound"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, spec := range []string{"", "nowhere.jpg", "exec:", "camera:/dev/video0?size=0x0", "camera:/dev/video0?zoom=2", "mic:hw:0?rate=1e9", "rpicam:?fps=%", "http://host/x"} {
		if s, err := Open(spec); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %v, %v", spec, s, err)
		}
	}
}

func TestStreamKeepsItsQuery(t *testing.T) {
	s, err := Open("rtsp://cam/h264?channel=2&fps=5")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(s.(*child).command, " ")
	if !strings.Contains(got, "-i rtsp://cam/h264?channel=2 ") || !strings.Contains(got, "-r 5 ") {
		t.Error(got)
	}
}

func testPicture(t testing.TB) []byte {
	b, err := os.ReadFile("../page/page.jpg")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Pictures without Huffman tables, as cameras send them, decode to the same pixels.
func TestTypicalTables(t *testing.T) {
	var b bytes.Buffer
	want, err := jpeg.Decode(bytes.NewReader(testPicture(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&b, want, nil); err != nil { // Go's encoder uses the typical tables
		t.Fatal(err)
	}
	whole := b.Bytes()
	i := bytes.Index(whole, []byte{0xff, dht})
	n := int(whole[i+2])<<8 | int(whole[i+3])
	bare := slices.Concat(whole[:i], whole[i+2+n:])
	got, err := readJPEG(bufio.NewReader(bytes.NewReader(bare)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := jpeg.Decode(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	y, err := jpeg.Decode(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	for p := range x.Bounds().Dx() {
		if x.At(p, p/2) != y.At(p, p/2) {
			t.Fatalf("pixel %d differs", p)
		}
	}
}

// A thumbnail inside a segment has an end-of-image marker of its own.
func TestThumbnail(t *testing.T) {
	whole := testPicture(t)
	thumb := []byte{0xff, 0xe1, 0, 8, 0xff, soi, 0xff, eoi, 0xff, 0xff}
	with := slices.Concat(whole[:2], thumb, whole[2:])
	r := bufio.NewReader(bytes.NewReader(slices.Concat(with, with)))
	for range 2 {
		got, err := readJPEG(r)
		if err != nil || !bytes.Equal(got, with) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(with), err)
		}
	}
	if _, err := readJPEG(r); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func FuzzReadJPEG(f *testing.F) {
	var b bytes.Buffer
	img, err := jpeg.Decode(bytes.NewReader(testPicture(f)))
	if err != nil {
		f.Fatal(err)
	}
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 1}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes()[:2000])
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		total := 0
		for {
			p, err := readJPEG(r)
			if err != nil {
				return
			}
			if total += len(p); p[0] != 0xff || p[1] != soi || p[len(p)-1] != eoi || total > len(b)+len(typicalTables)*len(b)/8 {
				t.Fatalf("%d bytes come out of %d", total, len(b))
			}
		}
	})
}
