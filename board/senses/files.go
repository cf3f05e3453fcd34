package senses

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile bounds a file that is read as a frame.
const maxFile = 64 << 20

// mediaTypes are the files that a folder is searched for. The table of the system
// is not asked: it differs from board to board.
var mediaTypes = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".bmp": "image/bmp", ".wav": "audio/wav",
}

func mediaOf(name string) string { return mediaTypes[strings.ToLower(filepath.Ext(name))] }

// A file is read once.
type file string

func (f file) Run(_ context.Context, give func(Frame)) error {
	fr, err := readFile(string(f), string(f), 1)
	if err != nil {
		return err
	}
	give(fr)
	return nil
}

func readFile(source, path string, seq uint64) (Frame, error) {
	media := mediaOf(path)
	if media == "" {
		return Frame{}, fmt.Errorf("%s: neither a picture nor a sound by its name", path)
	}
	st, err := os.Stat(path)
	if err != nil {
		return Frame{}, err
	}
	if st.Size() > maxFile {
		return Frame{}, fmt.Errorf("%s: has more than %d MiB", path, maxFile>>20)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Frame{}, err
	}
	return Frame{Source: source, Seq: seq, Time: time.Now(), Media: media, Name: path, Data: b}, nil
}

// A folder gives the files that come into it after the start. It is read every
// pollTime, and a file is taken when two readings saw it alike, so that one that
// is being written is left alone. There is no inotify on network shares, from
// which such files often come.
type folder struct{ path string }

const pollTime = 500 * time.Millisecond

type stamp struct {
	size int64
	time time.Time
}

func (f *folder) Run(ctx context.Context, give func(Frame)) error {
	given, err := f.read()
	if err != nil {
		return err
	}
	seen := map[string]stamp{}
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	var seq uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := f.read()
		if err != nil {
			return err
		}
		for name, st := range now {
			if given[name] == st {
				continue
			}
			if seen[name] == st {
				given[name] = st
				fr, err := readFile(f.path, filepath.Join(f.path, name), seq+1)
				if os.IsNotExist(err) {
					continue
				}
				if err != nil {
					return err
				}
				seq++
				give(fr)
			}
		}
		for name := range given {
			if _, ok := now[name]; !ok {
				delete(given, name) // it may come again
			}
		}
		seen = now
	}
}

// read returns the pictures and sounds that lie in the folder.
func (f *folder) read() (map[string]stamp, error) {
	list, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	files := map[string]stamp{}
	for _, e := range list {
		if mediaOf(e.Name()) == "" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			files[e.Name()] = stamp{st.Size(), st.ModTime()}
		}
	}
	return files, nil
}
