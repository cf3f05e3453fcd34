package events

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format/vfs"
)

func TestJudge(t *testing.T) {
	j := Judge{Min: 0.8, Need: 2, Of: 3}
	var got []string
	for _, a := range []Answer{
		{"cat", 0.9}, {"dog", 0.9}, {"cat", 0.7}, // three minds
		{"cat", 0.9}, {"cat", 1.0}, {"dog", 0.99}, {"cat", 0.9}, // a cat, once
		{"dog", 0.5}, {"cat", 0.4}, // nothing sure
		{"dog", 0.9}, {"dog", 0.9},
	} {
		if label, score, was, changed := j.Look(a); changed {
			got = append(got, fmt.Sprintf("%s>%s %.2f", was, label, score))
		}
	}
	if want := []string{">cat 0.95", "cat> 0.45", ">dog 0.90"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What was acknowledged is there after a crash at any call, and has its id alone.
func TestOutboxCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fsys := vfs.NewMem()
		fail := rapid.IntRange(0, 60).Draw(t, "fails")
		if fail > 0 {
			fsys.FailNth(fail, errors.New("no space left"))
		}
		acked := map[uint64]string{}
		var settled uint64
		if o, err := OpenOutbox(fsys, "box", 100); err == nil {
			for i := range 20 {
				label := strings.Repeat("x", i)
				if id, err := o.Add(Event{Label: label}); err == nil {
					if _, twice := acked[id]; twice {
						t.Fatalf("id %d was given twice", id)
					}
					acked[id] = label
				}
				if i%7 == 6 {
					settled = o.Last() - 3
					_ = o.Settle(settled) // that it is lost is allowed
				}
			}
		}
		fsys = fsys.Crash(rapid.Uint64().Draw(t, "seed"), rapid.Float64Range(0, 1).Draw(t, "keep"))
		o, err := OpenOutbox(fsys, "box", 100)
		if err != nil {
			t.Fatal(err)
		}
		there := map[uint64]string{}
		for _, e := range o.After(0, 1000) {
			there[e.ID] = e.Label
		}
		for id, label := range acked {
			if got, ok := there[id]; id > settled && (!ok || got != label) {
				t.Fatalf("event %d is lost: %d of %d are there", id, len(there), len(acked))
			}
			if id > o.Last() {
				t.Fatalf("id %d could be given again", id)
			}
		}
	})
}

// A failed write costs the event that was not acknowledged, and no other.
func TestOutboxGoesOnAfterFailure(t *testing.T) {
	fsys := vfs.NewMem()
	o, err := OpenOutbox(fsys, "box", 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Add(Event{Label: "a"}); err != nil {
		t.Fatal(err)
	}
	fsys.FailNth(1, errors.New("sync failed"))
	if _, err := o.Add(Event{Label: "b"}); err == nil {
		t.Fatal("no error")
	}
	if _, err := o.Add(Event{Label: "c"}); err != nil {
		t.Fatal(err)
	}
	fsys = fsys.Crash(1, 0)
	if o, err = OpenOutbox(fsys, "box", 100); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, e := range o.After(0, 10) {
		got += e.Label
	}
	if got != "ac" {
		t.Errorf("%q is left", got)
	}
}

func TestOutboxFullAndSmall(t *testing.T) {
	fsys := vfs.NewMem()
	o, err := OpenOutbox(fsys, "box", 3)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := o.Add(Event{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Add(Event{}); !errors.Is(err, ErrFull) {
		t.Errorf("a fourth event: %v", err)
	}
	// The log does not grow with what has arrived.
	for range 5000 {
		if err := o.Settle(o.Last()); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Add(Event{Label: strings.Repeat("long ", 20)}); err != nil {
			t.Fatal(err)
		}
	}
	if size, _, err := fsys.Stat("box/" + logName); err != nil || size > 2*compactAt {
		t.Errorf("the log of one event has %d bytes, %v", size, err)
	}
}

func FuzzOutboxLog(f *testing.F) {
	b, err := appendLine(nil, line{Event: &Event{ID: 7, Label: "cat"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Fuzz(func(t *testing.T, log string) {
		fsys := vfs.NewMem()
		if err := fsys.MkdirAll("box"); err != nil {
			t.Fatal(err)
		}
		w, err := fsys.Create("box/" + logName)
		if err == nil {
			_, err = w.Write([]byte(log))
		}
		if err != nil {
			t.Fatal(err)
		}
		o, err := OpenOutbox(fsys, "box", 10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Add(Event{}); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	})
}
