// Package book is what a guest of test/power has promised, and whether a disk
// keeps it.
//
// The guest prints a line before and after what it does:
//
//	add ID SEED    the sample was acknowledged
//	drop ID        it is being deleted
//	gone ID        that was acknowledged
//	version V SEED the version was published; its delta is Delta(SEED)
//	want V         the version is being made current
//	current V      that was acknowledged
//	wrong TEXT     a promise was broken before the eyes of the guest
package book

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"

	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// Model is the one that the guest teaches.
const Model = "fashion"

// sampleBytes is the size of a sample: a picture of 28x28.
const sampleBytes = 28 * 28

// Sample is the data of a sample; it carries its seed, so that one that nobody
// was told of can be checked, too.
func Sample(seed uint64) []byte { return content(seed, sampleBytes) }

// Delta is the content of a version.
func Delta(seed uint64) []byte { return content(seed, 64<<10) }

// Label is a sample's.
func Label(seed uint64) string { return fmt.Sprint("kind ", seed%4) }

func content(seed uint64, n int) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, n), seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b[:n]
}

// whole reports whether data is what its seed says.
func whole(data []byte) bool {
	return len(data) >= 8 && bytes.Equal(data, content(binary.LittleEndian.Uint64(data), len(data)))
}

// A Book is what was promised so far. Its zero value is that of an empty disk.
type Book struct {
	samples  map[uint64]uint64 // id: seed
	dropping map[uint64]bool
	gone     map[uint64]bool
	versions map[string]uint64
	current  string
	wanted   string

	Added, Deleted, Published, Switched int // what was acknowledged
}

// New is an empty book.
func New() *Book {
	return &Book{samples: map[uint64]uint64{}, dropping: map[uint64]bool{}, gone: map[uint64]bool{}, versions: map[string]uint64{}, current: store.Base, wanted: store.Base}
}

// Intent reports whether a line says what is about to be done. The guest waits
// until the host has it: it may be done on disk before a slow console has shown
// the line.
func Intent(line string) bool {
	return strings.HasPrefix(line, "drop ") || strings.HasPrefix(line, "want ")
}

// Note enters a line of the guest.
func (b *Book) Note(line string) error {
	what, rest, _ := strings.Cut(line, " ")
	var id, seed uint64
	var version string
	var err error
	switch what {
	case "add":
		if _, err = fmt.Sscan(rest, &id, &seed); err == nil {
			if _, twice := b.samples[id]; twice {
				return fmt.Errorf("sample %d was given twice", id)
			}
			b.Added++
			if !b.gone[id] { // another client may have deleted it before this one could tell
				b.samples[id] = seed
			}
		}
	case "drop":
		if _, err = fmt.Sscan(rest, &id); err == nil {
			b.dropping[id] = true
		}
	case "gone":
		if _, err = fmt.Sscan(rest, &id); err == nil {
			delete(b.samples, id)
			delete(b.dropping, id)
			b.gone[id] = true
			b.Deleted++
		}
	case "version":
		if _, err = fmt.Sscan(rest, &version, &seed); err == nil {
			b.versions[version] = seed
			b.Published++
		}
	case "want":
		_, err = fmt.Sscan(rest, &b.wanted)
	case "current":
		if _, err = fmt.Sscan(rest, &version); err == nil {
			b.current = version
			b.Switched++
		}
	default:
		return fmt.Errorf("the guest says: %s", line)
	}
	if err != nil {
		return fmt.Errorf("the line %q: %w", line, err)
	}
	return nil
}

// Check opens the state directory and compares it with the book. extra is how
// many samples may be there that nobody was told of: one for each client whose
// answer was on its way. What the disk shows is promised from then on.
func (b *Book) Check(dir string, extra int) error {
	s, err := store.Open(vfs.OS, dir, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if d := s.Recovered().Damaged; len(d) > 0 {
		return fmt.Errorf("damaged files: %q", d)
	}
	if err := b.checkSamples(s, extra); err != nil {
		return err
	}
	versions, current := s.Versions(Model)
	if current != b.current && current != b.wanted {
		return fmt.Errorf("version %s is current, neither the old %s nor the new %s", current, b.current, b.wanted)
	}
	kept := map[string]bool{}
	for _, v := range versions {
		_, delta, err := s.Delta(Model, v.Version)
		if err != nil {
			return err
		}
		seed, told := b.versions[v.Version]
		if told && !bytes.Equal(delta, Delta(seed)) {
			return fmt.Errorf("version %s has another delta", v.Version)
		}
		kept[v.Version] = true
	}
	if current != store.Base && !kept[current] {
		return fmt.Errorf("version %s is current and not there", current)
	}
	b.current, b.wanted = current, current
	return nil
}

func (b *Book) checkSamples(s *store.Store, extra int) error {
	there := map[uint64]bool{}
	for _, i := range s.List(Model, 0, 1<<30) {
		got, err := s.Get(i.ID)
		if err != nil {
			return err
		}
		seed, told := b.samples[i.ID]
		switch {
		case b.gone[i.ID]:
			return fmt.Errorf("sample %d was deleted and is back", i.ID)
		case !whole(got.Data):
			return fmt.Errorf("sample %d is not what anybody sent", i.ID)
		case told && binary.LittleEndian.Uint64(got.Data) != seed:
			return fmt.Errorf("sample %d is another one", i.ID)
		case !told:
			extra--
			b.samples[i.ID] = binary.LittleEndian.Uint64(got.Data)
		}
		there[i.ID] = true
	}
	if extra < 0 {
		return fmt.Errorf("%d samples more than were on their way", -extra)
	}
	for id := range b.samples {
		switch {
		case there[id]:
		case b.dropping[id]:
			delete(b.samples, id)
			b.gone[id] = true
		default:
			return fmt.Errorf("acknowledged sample %d is lost", id)
		}
	}
	clear(b.dropping)
	return nil
}

// Clone returns a copy, for a look at a disk that does not count.
func (b *Book) Clone() *Book {
	c := *b
	c.samples, c.dropping = maps.Clone(b.samples), maps.Clone(b.dropping)
	c.gone, c.versions = maps.Clone(b.gone), maps.Clone(b.versions)
	return &c
}
