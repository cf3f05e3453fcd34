package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func writer(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// both runs a test on the system's file system and on the simulated one.
func both(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS, t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		if err := m.MkdirAll("/dir"); err != nil {
			t.Fatal(err)
		}
		test(t, m, "/dir")
	})
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	b, err := ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The simulated file system behaves as the real one does.
func TestFS(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "a")
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open of nothing: %v", err)
		}
		if _, err := fsys.Create(filepath.Join(dir, "no", "a")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Create in no folder: %v", err)
		}
		f, err := fsys.CreateNew(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fsys.CreateNew(name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("CreateNew twice: %v", err)
		}
		write := func(f File, s string) {
			t.Helper()
			if n, err := io.WriteString(f, s); n != len(s) || err != nil {
				t.Fatal(n, err)
			}
		}
		write(f, "hello")
		write(f, " world")
		if _, err := f.WriteAt([]byte("J"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("!"), 12); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := content(t, fsys, name); got != "Jello world\x00!" {
			t.Errorf("content %q", got)
		}
		if err := f.Truncate(5); err != nil {
			t.Fatal(err)
		}
		if n, err := f.Size(); n != 5 || err != nil {
			t.Errorf("Size = %d, %v", n, err)
		}
		p := make([]byte, 4)
		if n, err := f.ReadAt(p, 2); n != 3 || err != io.EOF || string(p[:3]) != "llo" {
			t.Errorf("ReadAt = %d, %v, %q", n, err, p)
		}
		if n, err := f.ReadAt(p, 9); n != 0 || err != io.EOF {
			t.Errorf("ReadAt beyond the end = %d, %v", n, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(p); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		if f.Close() == nil {
			t.Error("Close twice gave no error")
		}

		if f, err = fsys.Append(name); err != nil {
			t.Fatal(err)
		}
		write(f, "ful")
		write(f, "ly")
		if _, err := f.WriteAt(p, 0); err == nil {
			t.Error("WriteAt of a file for appending gave no error")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if f, err = fsys.Open(name); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(f); string(b) != "Jellofully" || err != nil {
			t.Errorf("ReadAll = %q, %v", b, err)
		}
		if _, err := f.Write(p); err == nil {
			t.Error("Write to a file opened for reading gave no error")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}

		b := filepath.Join(dir, "sub", "deep", "b")
		if err := fsys.MkdirAll(filepath.Dir(b)); err != nil {
			t.Fatal(err)
		}
		if err := fsys.MkdirAll(filepath.Dir(b)); err != nil {
			t.Errorf("MkdirAll twice: %v", err)
		}
		if err := fsys.Rename(name, b); err != nil {
			t.Fatal(err)
		}
		if _, _, err := fsys.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat of the old name: %v", err)
		}
		if n, isDir, err := fsys.Stat(b); n != 10 || isDir || err != nil {
			t.Errorf("Stat = %d, %v, %v", n, isDir, err)
		}
		if _, isDir, err := fsys.Stat(dir); !isDir || err != nil {
			t.Errorf("Stat of a folder: %v, %v", isDir, err)
		}
		if fsys.Remove(filepath.Join(dir, "sub")) == nil {
			t.Error("a folder with something in it was removed")
		}
		if names, err := fsys.List(dir); !slices.Equal(names, []string{"sub"}) || err != nil {
			t.Errorf("List = %q, %v", names, err)
		}
		if err := fsys.Remove(b); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Remove(b); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Remove twice: %v", err)
		}
		if err := fsys.Remove(filepath.Dir(b)); err != nil {
			t.Errorf("Remove of an empty folder: %v", err)
		}
		if err := fsys.SyncDir(dir); err != nil {
			t.Error(err)
		}
		if err := fsys.SyncDir(b); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("SyncDir of nothing: %v", err)
		}
		if _, err := fsys.List(b); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("List of nothing: %v", err)
		}
	})
}

func TestWriteFile(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "model")
		for _, s := range []string{"first", "second, longer", ""} {
			if err := WriteFile(fsys, name, writer(s)); err != nil {
				t.Fatal(err)
			}
			if got := content(t, fsys, name); got != s {
				t.Errorf("content %q, want %q", got, s)
			}
		}
		// A write that fails leaves the old content and no other file.
		boom := errors.New("boom")
		err := WriteFile(fsys, name, func(w io.Writer) error {
			if _, err := io.WriteString(w, "half"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("err = %v", err)
		}
		if names, err := fsys.List(dir); !slices.Equal(names, []string{"model"}) || err != nil {
			t.Errorf("List = %q, %v", names, err)
		}
		if got := content(t, fsys, name); got != "" {
			t.Errorf("content %q", got)
		}
	})
}

func TestWriteFileRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := WriteFile(OS, "model", writer("x")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, OS, "model"); got != "x" {
		t.Errorf("content %q", got)
	}
	if st, err := os.Stat("model"); err != nil || runtime.GOOS != "windows" && st.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

func TestRemoveTemps(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "model")
		if err := WriteFile(fsys, name, writer("x")); err != nil {
			t.Fatal(err)
		}
		f, err := createTemp(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		// A leftover does not stand in the way of the next write.
		if err := WriteFile(fsys, name, writer("y")); err != nil {
			t.Fatal(err)
		}
		if err := RemoveTemps(fsys, dir); err != nil {
			t.Fatal(err)
		}
		if names, err := fsys.List(dir); !slices.Equal(names, []string{"model"}) || err != nil {
			t.Errorf("List = %q, %v", names, err)
		}
	})
}

// Whichever call fails, the file has the old content or the new, and WriteFile
// says nil only if it has the new.
func TestWriteFileErrors(t *testing.T) {
	for n := 0; ; n++ {
		m := NewMem()
		if err := WriteFile(m, "model", writer("old")); err != nil {
			t.Fatal(err)
		}
		m.FailNth(n, syscall.ENOSPC)
		err := WriteFile(m, "model", writer(strings.Repeat("new", 1000)))
		if err == nil {
			if n < 5 {
				t.Fatalf("only %d calls could fail", n)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d: %v", n, err)
		}
		m.Inject = nil
		got := content(t, m, "model")
		if got != "old" && got != strings.Repeat("new", 1000) {
			t.Errorf("call %d failed and left %d bytes", n, len(got))
		}
		if names, err := m.List("."); !slices.Equal(names, []string{"model"}) || err != nil {
			t.Errorf("call %d failed and left %q, %v", n, names, err)
		}
	}
}

// protocols replace the file "model" in ways that hold and ways that do not. What
// goes wrong with the latter shows that the simulator finds it.
var protocols = []struct {
	name          string
	torn, durable bool // may the file be torn; is the new content there after success
	replace       func(fsys FS, data string) error
}{
	{"WriteFile", false, true, func(fsys FS, data string) error { return WriteFile(fsys, "model", writer(data)) }},
	{"without fsync of the folder", false, false, func(fsys FS, data string) error { return replace(fsys, data, true) }},
	{"without any fsync", true, false, func(fsys FS, data string) error { return replace(fsys, data, false) }},
	{"in place", true, true, func(fsys FS, data string) error {
		f, err := fsys.Create("model")
		if err != nil {
			return err
		}
		if _, err := io.WriteString(f, data); err != nil {
			return err
		}
		return f.Sync()
	}},
}

func replace(fsys FS, data string, sync bool) error {
	f, err := fsys.Create("tmp")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, data); err != nil {
		return err
	}
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return fsys.Rename("tmp", "model")
}

var errStop = errors.New("power is gone")

func TestCrash(t *testing.T) {
	oldData, newData := strings.Repeat("old ", 700), strings.Repeat("new content ", 500)
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			torn, lost := 0, 0
			for stop := 0; ; stop++ { // the power goes before call number stop
				m := NewMem()
				if err := WriteFile(m, "model", writer(oldData)); err != nil {
					t.Fatal(err)
				}
				at := m.Calls() + stop
				m.Inject = func(c Call) error {
					if c.N >= at {
						return errStop
					}
					return nil
				}
				err := p.replace(m, newData)
				for seed := range uint64(100) {
					c := m.Crash(seed, float64(seed%5)/4)
					b, rerr := ReadFile(c, "model")
					switch {
					case rerr != nil || string(b) != oldData && string(b) != newData:
						torn++
					case err == nil && string(b) != newData:
						lost++
					}
				}
				if err == nil {
					break
				}
			}
			if got := torn > 0; got != p.torn {
				t.Errorf("the file was torn in %d cases", torn)
			}
			if got := lost == 0; got != p.durable {
				t.Errorf("the new content was lost in %d cases", lost)
			}
		})
	}
}

func TestCrashIsReplayable(t *testing.T) {
	m := NewMem()
	for i := range 20 {
		if err := m.MkdirAll(fmt.Sprintf("dir%d", i%3)); err != nil {
			t.Fatal(err)
		}
		f, err := m.Create(fmt.Sprintf("dir%d/file%d", i%3, i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Repeat([]byte{byte(i)}, 3000)); err != nil {
			t.Fatal(err)
		}
		if i%4 == 0 {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	state := func(m *Mem) string {
		var b strings.Builder
		for _, name := range sorted(m.now) {
			if node := m.now[name]; node != nil {
				fmt.Fprintf(&b, "%s %x\n", name, node.now)
			} else {
				fmt.Fprintf(&b, "%s/\n", name)
			}
		}
		return b.String()
	}
	differ := 0
	for seed := range uint64(20) {
		first := state(m.Crash(seed, 0.5))
		if state(m.Crash(seed, 0.5)) != first {
			t.Fatalf("seed %d gave two results", seed)
		}
		if first != state(m.Crash(seed+1, 0.5)) {
			differ++
		}
	}
	if differ == 0 {
		t.Error("all seeds give one result")
	}
	if len(m.Crash(1, 0).now) != 2 {
		t.Error("something unsynced survived with keep 0")
	}
	all := m.Crash(1, 1)
	if got, want := strings.Count(all.Dump(), "\n"), strings.Count(m.Dump(), "\n"); got != want {
		t.Errorf("%d of %d files survived with keep 1", got, want)
	}
}

// After a failed fsync the data is lost although a second fsync succeeds.
func TestFailedSyncLosesData(t *testing.T) {
	m := NewMem()
	f, err := m.Create("log")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "record"); err != nil {
		t.Fatal(err)
	}
	m.FailNth(0, syscall.EIO)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync = %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, m, "log"); got != "record" {
		t.Errorf("before the crash: %q", got)
	}
	if got := content(t, m.Crash(1, 1), "log"); got == "record" {
		t.Error("the data survived a failed fsync")
	}
}

// Appended and synced records survive as a prefix; the last, unsynced one may be
// torn at any byte.
func TestCrashLog(t *testing.T) {
	m := NewMem()
	f, err := m.Append("log")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	var synced string
	for i := range 50 {
		record := fmt.Sprintf("record %d;", i)
		if _, err := io.WriteString(f, record); err != nil {
			t.Fatal(err)
		}
		if got := content(t, m.Crash(uint64(i), 0.5), "log"); !strings.HasPrefix(got, synced) {
			t.Fatalf("synced %q, found %q", synced, got)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		synced += record
	}
	if got := content(t, m.Crash(1, 0), "log"); got != synced {
		t.Errorf("synced %q, found %q", synced, got)
	}
}

func TestInjectedShortWrite(t *testing.T) {
	m := NewMem()
	f, err := m.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	m.FailNth(0, syscall.ENOSPC)
	if n, err := io.WriteString(f, "12345678"); n != 4 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write = %d, %v", n, err)
	}
	if got := content(t, m, "f"); got != "1234" {
		t.Errorf("content %q", got)
	}
}
