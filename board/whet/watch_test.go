package main

import (
	"bytes"
	"encoding/json"
	"image/jpeg"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/events"
	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// clothingDaemon answers with the demo's network, called clothing.
func clothingDaemon(t *testing.T) (url string) {
	dir := t.TempDir()
	st, err := store.Open(vfs.OS, t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if err := os.WriteFile(filepath.Join(dir, "clothing.whet"), demo.BaseFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Config{Models: dir, Store: st, Engine: serve.Runtime{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return h.URL
}

// picture is a test picture of a class that the network recognises.
func picture(t *testing.T, class int) *bytes.Buffer {
	sets, err := demo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for i, label := range sets[0].Label {
		if label == class {
			var b bytes.Buffer
			if err := png.Encode(&b, sets[0].Image(i)); err != nil {
				t.Fatal(err)
			}
			return &b
		}
	}
	t.Fatal("no picture of that class")
	return nil
}

func TestWatchFile(t *testing.T) {
	url := clothingDaemon(t)
	name := filepath.Join(t.TempDir(), "shoe.png")
	write(t, name, picture(t, 7).Bytes())
	out := must(t, "watch", "clothing", "--address", url, "--from", name, "--all", "--json", "--name", "x")
	var got watchLine
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Label != "Sneaker" || got.Score < 0.5 || got.Score > 1 || got.Frame != 1 || got.File != name {
		t.Errorf("%+v", got)
	}
	if code, _, msg := whet(t, "watch", "cats", "--address", url, "--from", name); code != exitFailed || !strings.Contains(msg, "cats") {
		t.Errorf("a model that is not there: %d %s", code, msg)
	}
	for _, args := range [][]string{
		{"watch", "clothing"},
		{"watch", "clothing", "--from", "nowhere.png"},
		{"watch", "clothing", "--from", name, "--need", "4"},
		{"watch", "clothing", "--from", name, "--address", "ftp://x"},
		{"watch", "clothing", "--from", name, "--address", url, "--mqtt", "mqtt://me:secret@host"},
		{"watch", "clothing", "--from", name, "--address", url, "--webhook", "host"},
	} {
		if code, _, msg := whet(t, args...); code != exitUsage {
			t.Errorf("%v: %d %s", args, code, msg)
		}
	}
}

// A program that writes pictures, a daemon, and an address that gets the events.
func TestWatchEvents(t *testing.T) {
	url := clothingDaemon(t)
	got := make(chan events.Event, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e events.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		got <- e
	}))
	defer hook.Close()
	var stream bytes.Buffer
	img, err := png.Decode(picture(t, 7))
	if err == nil {
		err = jpeg.Encode(&stream, img, &jpeg.Options{Quality: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "shoe.jpg")
	write(t, name, stream.Bytes())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("WHET_TEST_CAMERA", name)
	state := t.TempDir()
	_, stop := background(t, "watch", "clothing", "--address", url, "--from", "exec:"+exe, "--state", state, "--name", "hall", "--min", "0.3", "--webhook", hook.URL)
	e := <-got
	if e.Label != "Sneaker" || e.Was != "" || e.ID != 1 || e.Model != "clothing" || e.Again {
		t.Errorf("%+v", e)
	}
	if code, stderr := stop(); code != exitDone {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
