package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/format/vfs"
)

// clock ticks a millisecond a call.
func clock() func() time.Time {
	var mu sync.Mutex
	ms := int64(0)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		ms++
		return time.UnixMilli(ms)
	}
}

func open(t *testing.T, fsys vfs.FS, opt Options) *Store {
	t.Helper()
	if opt.Now == nil {
		opt.Now = clock()
	}
	s, err := Open(fsys, "/state", opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Store, model, label, data string) uint64 {
	t.Helper()
	id, err := s.Add(Sample{Model: model, Label: label, Form: "INT8[4]", Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSamplesComeBack(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{SegmentBytes: 300})
	var want []*Sample
	for i := range 40 {
		smp := Sample{Model: []string{"kws", "vww"}[i%2], Label: fmt.Sprint("label ", i%5), Media: []string{"", "image/png"}[i%2], Form: "INT8[4]", Data: bytes.Repeat([]byte{byte(i)}, i)}
		id, err := s.Add(smp)
		if err != nil {
			t.Fatal(err)
		}
		smp.ID, smp.Time = id, int64(i+1)
		want = append(want, &smp)
	}
	check := func(s *Store) {
		t.Helper()
		for _, w := range want {
			got, err := s.Get(w.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(w, got); d != "" {
				t.Fatalf("sample %d (-want +got)\n%s", w.ID, d)
			}
		}
		c := s.Counts("kws")
		if c.Samples != 20 || len(c.Labels) != 5 || c.Labels["label 0"] != 4 {
			t.Errorf("counts are %+v", c)
		}
		first := s.List("kws", 0, 3)
		if len(first) != 3 || first[0].ID != 1 || first[2].ID != 5 {
			t.Errorf("the first page is %+v", first)
		}
		if rest := s.List("kws", first[2].ID, 1000); len(rest) != 17 || rest[0].ID != 7 {
			t.Errorf("the second page has %d samples", len(rest))
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(Sample{Model: "kws"}); err == nil {
		t.Error("a closed store takes samples")
	}
	s = open(t, fsys, Options{})
	check(s)
	if r := s.Recovered(); r.Samples != 40 || r.TornBytes != 0 || len(r.Damaged) != 0 {
		t.Errorf("a clean log was recovered as %+v", r)
	}
	if id := add(t, s, "kws", "x", "y"); id != 41 {
		t.Errorf("the next id is %d", id)
	}
}

func TestDeleteAndPurge(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{SegmentBytes: 400})
	for i := range 60 {
		add(t, s, []string{"a", "b"}[i%2], "l", fmt.Sprintf("secret-%s-%02d", []string{"a", "b"}[i%2], i))
	}
	if n, err := s.Delete("b", 1, 2, 4, 999); n != 2 || err != nil {
		t.Fatalf("deleted %d, %v", n, err)
	}
	if _, err := s.Get(2); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted sample gives %v", err)
	}
	if _, err := s.Get(1); err != nil {
		t.Errorf("a sample of another model was deleted: %v", err)
	}
	before := s.Bytes()
	n, err := s.Purge("b")
	if n != 28 || err != nil {
		t.Fatalf("purged %d, %v", n, err)
	}
	if s.Bytes() >= before*2/3 {
		t.Errorf("the log has %d bytes after the purge, %d before", s.Bytes(), before)
	}
	for _, name := range logFiles(t, fsys) {
		b, err := vfs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("secret-b")) {
			t.Errorf("%s still holds a purged sample", name)
		}
	}
	check := func(s *Store) {
		t.Helper()
		if got := s.Counts("a").Samples; got != 30 {
			t.Errorf("a has %d samples", got)
		}
		if got := s.Counts("b"); got.Samples != 0 || got.Bytes != 0 || len(got.Labels) != 0 {
			t.Errorf("b has %+v", got)
		}
		for _, i := range s.List("a", 0, 100) {
			got, err := s.Get(i.ID)
			if err != nil || string(got.Data) != fmt.Sprintf("secret-a-%02d", i.ID-1) {
				t.Fatalf("sample %d is %v, %v", i.ID, got, err)
			}
		}
	}
	check(s)
	s = open(t, fsys, Options{})
	check(s)
	if _, err := s.Purge("a"); err != nil {
		t.Fatal(err)
	}
	s = open(t, fsys, Options{})
	if id := add(t, s, "a", "l", "x"); id <= 60 {
		t.Errorf("id %d was given again after all was purged", id)
	}
}

func logFiles(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	names, err := fsys.List("/state/samples")
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = "/state/samples/" + names[i]
	}
	return names
}

func TestQuota(t *testing.T) {
	s := open(t, vfs.NewMem(), Options{Quota: 1000})
	n := 0
	for ; n < 100; n++ {
		if _, err := s.Add(Sample{Model: "m", Data: make([]byte, 100)}); err != nil {
			if !errors.Is(err, ErrQuota) {
				t.Fatal(err)
			}
			break
		}
	}
	if n < 5 || n > 9 || s.Bytes() > 1000 {
		t.Errorf("%d samples of 100 bytes and %d bytes in a quota of 1000", n, s.Bytes())
	}
	if _, err := s.Purge("m"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(Sample{Model: "m", Data: make([]byte, 100)}); err != nil {
		t.Errorf("after a purge: %v", err)
	}
}

func TestGroupCommit(t *testing.T) {
	// The first sync waits until all other appends have queued up behind it:
	// they must then share the second.
	const others = 30
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	add(t, s, "m", "l", "first") // the segment exists
	var mu sync.Mutex
	syncs := 0
	entered, release := make(chan struct{}), make(chan struct{})
	fsys.Inject = func(c vfs.Call) error { return nil }
	s.log.onSync = func(time.Duration) {
		mu.Lock()
		syncs++
		first := syncs == 1
		mu.Unlock()
		if first {
			close(entered)
			<-release
		}
	}
	var wg sync.WaitGroup
	put := func() {
		defer wg.Done()
		if _, err := s.Add(Sample{Model: "m", Data: []byte("x")}); err != nil {
			t.Error(err)
		}
	}
	wg.Add(1 + others)
	go put()
	<-entered
	for range others {
		go put()
	}
	for queued := 0; queued < others; {
		s.log.mu.Lock()
		if s.log.batch != nil {
			queued = len(s.log.batch.recs)
		}
		s.log.mu.Unlock()
	}
	close(release)
	wg.Wait()
	if syncs != 2 {
		t.Errorf("%d appends at a time took %d fsyncs, want 2", others+1, syncs)
	}
	if got := len(s.List("m", 0, 100)); got != others+2 {
		t.Errorf("%d samples are listed", got)
	}
}

func TestFailedSyncStartsANewSegment(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	add(t, s, "m", "l", "before")
	fail := true
	fsys.Inject = func(c vfs.Call) error {
		if fail && c.Op == "sync" {
			return errors.New("I/O error")
		}
		return nil
	}
	if _, err := s.Add(Sample{Model: "m", Data: []byte("lost")}); err == nil {
		t.Fatal("a failed fsync was acknowledged")
	}
	fail = false
	add(t, s, "m", "l", "after")
	if names := logFiles(t, fsys); len(names) != 2 {
		t.Errorf("the log has the files %v, want two", names)
	}
	for _, s := range []*Store{s, open(t, fsys, Options{}), open(t, fsys.Crash(1, 0), Options{})} {
		var got []string
		for _, i := range s.List("m", 0, 10) {
			smp, err := s.Get(i.ID)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(smp.Data))
		}
		if !slices.Equal(got, []string{"before", "after"}) {
			t.Errorf("the samples are %q", got)
		}
	}
}

// TestFullDiskLeavesNoFiles adds samples to a disk that takes no more: each is
// refused, none leaves a file, and what was there stays.
func TestFullDiskLeavesNoFiles(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	add(t, s, "m", "l", "before")
	full := true
	fsys.Inject = func(c vfs.Call) error {
		if full && c.Op == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	for range 20 {
		if _, err := s.Add(Sample{Model: "m", Data: []byte("x")}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("on a full disk: %v", err)
		}
	}
	if names := logFiles(t, fsys); len(names) > 2 {
		t.Errorf("a full disk has the files %v", names)
	}
	full = false
	add(t, s, "m", "l", "after")
	if got := open(t, fsys.Crash(1, 0), Options{}).Counts("m").Samples; got != 2 {
		t.Errorf("%d samples are there", got)
	}
}

// TestDeletingOnAFullDisk lets every write fail as long as the ballast is there.
func TestDeletingOnAFullDisk(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{SegmentBytes: 300})
	for range 9 {
		add(t, s, "m", "l", "some data to fill a segment with")
	}
	room := 0
	fsys.Inject = func(c vfs.Call) error {
		switch {
		case c.Op == "remove":
			room += 4 // writes that fit where the file was
		case c.Op == "write" && room == 0:
			return syscall.ENOSPC
		case c.Op == "write":
			room--
		}
		return nil
	}
	if _, err := s.Add(Sample{Model: "m", Data: []byte("x")}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	room = 0
	if n, err := s.Delete("m", 3); n != 1 || err != nil {
		t.Fatalf("deleted %d, %v", n, err)
	}
	if n, err := s.Purge("m"); n != 8 || err != nil {
		t.Fatalf("purged %d, %v", n, err)
	}
	fsys.Inject = nil
	s = open(t, fsys.Crash(1, 0), Options{})
	if c := s.Counts("m").Samples; c != 0 {
		t.Errorf("%d samples are left", c)
	}
	if size, _, err := s.fsys.Stat(s.path(ballastName)); err != nil || size != 1<<20 {
		t.Errorf("the ballast was not taken in again: %d bytes, %v", size, err)
	}
}

// TestBitFlips changes every byte of a log, one at a time: no flip may give a
// sample that was not put there, and records before the flip stay.
func TestBitFlips(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	for i := range 4 {
		add(t, s, "m", "label", fmt.Sprint("sample ", i+1))
	}
	name := logFiles(t, fsys)[0]
	whole, err := vfs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << (at % 8)
		put(t, fsys, name, bad)
		s := open(t, fsys, Options{})
		list := s.List("m", 0, 10)
		if at >= segHeaderLen && len(list) < (at-segHeaderLen)*4/(len(whole)-segHeaderLen) {
			t.Errorf("byte %d: only %d samples are left", at, len(list))
		}
		if at < segHeaderLen && at < 44 && len(s.Recovered().Damaged) != 1 {
			t.Errorf("byte %d of the header: %+v", at, s.Recovered())
		}
		for _, i := range list {
			got, err := s.Get(i.ID)
			if err != nil || string(got.Data) != fmt.Sprint("sample ", i.ID) || got.Label != "label" {
				t.Fatalf("byte %d: sample %d is %+v, %v", at, i.ID, got, err)
			}
		}
	}
}

// TestDamagedHeaderKeepsItsFile loses the header of the newest segment: what is
// added afterwards must not overwrite it, nor take its ids.
func TestDamagedHeaderKeepsItsFile(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{SegmentBytes: 100})
	last := uint64(0)
	for range 4 {
		last = add(t, s, "m", "l", "some data to fill a segment with")
	}
	names := logFiles(t, fsys)
	newest := names[len(names)-1]
	b, err := vfs.ReadFile(fsys, newest)
	if err != nil {
		t.Fatal(err)
	}
	b[9] ^= 1
	put(t, fsys, newest, b)
	s = open(t, fsys, Options{})
	if id := add(t, s, "m", "l", "after"); id <= last {
		t.Errorf("id %d was given again", id)
	}
	for _, s := range []*Store{s, open(t, fsys, Options{})} {
		if r := s.Recovered(); len(r.Damaged) != 1 || !strings.Contains(r.Damaged[0], newest) {
			t.Errorf("recovered %+v", r)
		}
		if n := s.Counts("m").Samples; n != len(names) && s.Recovered().Samples != len(names)-1 {
			t.Errorf("%d samples are left of %d segments", n, len(names))
		}
	}
	if now, err := vfs.ReadFile(fsys, newest); err != nil || !bytes.Equal(now, b) {
		t.Errorf("the damaged file was changed: %v", err)
	}
}

func put(t *testing.T, fsys vfs.FS, name string, body []byte) {
	t.Helper()
	if err := writeFile(fsys, name, body); err != nil {
		t.Fatal(err)
	}
}

func TestVersions(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{Versions: 2})
	if vs, cur := s.Versions("kws"); len(vs) != 0 || cur != Base {
		t.Errorf("a new model has %v, %s", vs, cur)
	}
	pub := func(delta string) Version {
		t.Helper()
		v, err := s.Publish("kws", Version{Base: "b", Parent: Base, Report: []byte(`{"accuracy":0.5}`)}, []byte(delta))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	two, three := pub("two"), pub("three")
	if two.Version != "2" || three.Version != "3" || pub("two").Version != "2" {
		t.Errorf("versions are %v, %v", two, three)
	}
	if _, err := s.Rollback("kws"); !errors.Is(err, ErrNotFound) {
		t.Errorf("rolling back the base: %v", err)
	}
	if err := s.Promote("kws", "7"); !errors.Is(err, ErrNotFound) {
		t.Errorf("promoting what is not there: %v", err)
	}
	for _, v := range []string{"2", "3", "3"} {
		if err := s.Promote("kws", v); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, fsys, Options{Versions: 2})
	if _, cur := s.Versions("kws"); cur != "3" {
		t.Errorf("%s is current after opening again", cur)
	}
	if got := s.Fallbacks("kws"); !slices.Equal(got, []string{"3", "2", "1"}) {
		t.Errorf("the fallbacks are %v", got)
	}
	if v, b, err := s.Delta("kws", "3"); err != nil || string(b) != "three" || v.Base != "b" {
		t.Errorf("version 3 is %v, %q, %v", v, b, err)
	}
	for _, d := range []string{"four", "five", "six"} {
		pub(d)
	}
	var names []string
	vs, _ := s.Versions("kws")
	for _, v := range vs {
		names = append(names, v.Version)
	}
	if !slices.Equal(names, []string{"2", "3", "5", "6"}) {
		t.Errorf("kept versions %v: want those in use and the newest two", names)
	}
	for _, want := range []string{"2", "1"} {
		if got, err := s.Rollback("kws"); err != nil || got != want {
			t.Errorf("rolled back to %s, %v; want %s", got, err, want)
		}
	}
	put(t, fsys, s.deltaName("kws", three.Delta), []byte("thrxe"))
	if _, _, err := s.Delta("kws", "3"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a changed delta gives %v", err)
	}
}

func TestDamagedManifest(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	v, err := s.Publish("kws", Version{}, []byte("delta"))
	if err != nil {
		t.Fatal(err)
	}
	name := s.path("versions", "kws", manifestName)
	b, err := vfs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	put(t, fsys, name, b)
	s = open(t, fsys, Options{})
	if r := s.Recovered(); len(r.Damaged) != 1 || !strings.Contains(r.Damaged[0], name) {
		t.Errorf("recovered %+v", r)
	}
	if _, err := vfs.ReadFile(fsys, s.deltaName("kws", v.Delta)); err != nil {
		t.Errorf("the delta of a damaged manifest is gone: %v", err)
	}
	if _, cur := s.Versions("kws"); cur != Base {
		t.Errorf("%s is current", cur)
	}
}

func TestJobs(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	if err := s.SaveJob("kws", []byte("task")); err != nil {
		t.Fatal(err)
	}
	put(t, fsys, s.JobFile("kws"), []byte("weights"))
	fsys = fsys.Crash(1, 0)
	s = open(t, fsys, Options{})
	jobs, err := s.Jobs()
	if err != nil || string(jobs["kws"]) != "task" || len(jobs) != 1 {
		t.Fatalf("jobs are %q, %v", jobs, err)
	}
	for range 2 { // ending it again does nothing
		if err := s.EndJob("kws", []byte("passed")); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, fsys.Crash(1, 0), Options{})
	if o, err := s.Outcome("kws"); err != nil || string(o) != "passed" {
		t.Errorf("the job's outcome is %q, %v", o, err)
	}
	if o, err := s.Outcome("other"); err != nil || o != nil {
		t.Errorf("no job has the outcome %q, %v", o, err)
	}
	if jobs, err := s.Jobs(); err != nil || len(jobs) != 0 {
		t.Errorf("jobs are %q, %v", jobs, err)
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "kws-v1.2_int8", "7", strings.Repeat("x", 128)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".x", "a/b", "a\\b", "a b", "ä", "-a", strings.Repeat("x", 129), "a\x00"} {
		if CheckName(bad) == nil {
			t.Errorf("%q is taken for a name", bad)
		}
		if _, err := open(t, vfs.NewMem(), Options{}).Add(Sample{Model: bad}); err == nil {
			t.Errorf("a sample of model %q is taken", bad)
		}
	}
}

func FuzzSegment(f *testing.F) {
	fsys := vfs.NewMem()
	s, err := Open(fsys, "/state", Options{Now: clock()})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if _, err := s.Add(Sample{Model: "m", Label: "l", Data: []byte{byte(i)}}); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := s.Delete("m", 2); err != nil {
		f.Fatal(err)
	}
	name := "/state/samples/" + segmentName(1)
	whole, err := vfs.ReadFile(fsys, name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfs.NewMem()
		open(t, fsys, Options{})
		put(t, fsys, name, b)
		s := open(t, fsys, Options{})
		for _, i := range s.List("m", 0, 100) {
			if _, err := s.Get(i.ID); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("sample %d: %v", i.ID, err)
			}
		}
	})
}
