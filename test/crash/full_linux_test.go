package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/whet-edge/whet/board/demo"
)

// TestServeFullDisk gives `whet serve` a disk of 16 MB of which other files have
// most, adds samples until it is full, then takes the last bytes, too. Every request must be answered
// meanwhile, samples refused with 507, samples deleted with no byte free, and
// nothing lost that was acknowledged, also when the daemon is killed then. It
// needs root:
//
//	WHET_CRASH_DISK=1 go test ./test/crash -run ServeFullDisk -v
func TestServeFullDisk(t *testing.T) {
	if os.Getenv("WHET_CRASH_DISK") == "" || os.Geteuid() != 0 {
		t.Skip("set WHET_CRASH_DISK=1 to fill a disk of 16 MB under whet serve (as root)")
	}
	dir, err := os.MkdirTemp("", "whet") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	whet := filepath.Join(dir, "whet")
	if out, err := exec.Command("go", "build", "-o", whet, "../../board/whet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, sub := range []string{"models", "state"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "models", "fashion.whet"), demo.BaseFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	unmount := mountExt4(t, dir, state, 16<<20)
	defer unmount()
	if err := os.WriteFile(filepath.Join(state, "others"), make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}

	b := &book{samples: map[uint64]uint64{}, deleted: map[uint64]bool{}, deleting: map[uint64]bool{}, strays: map[uint64]bool{}, current: "1", wanted: "1"}
	d := startDaemon(t, whet, dir)
	b.check(t, d, rand.New(rand.NewPCG(1, 1)))
	stop, asked := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				asked <- n
				return
			default:
				b.ask(t, d)
			}
		}
	}()
	// One sample after the other until ten in a row are refused.
	seed, refused := uint64(0), 0
	for ; refused < 10; seed++ {
		switch id, code := b.add(t, d, seed); code {
		case http.StatusCreated:
			b.samples[id], refused = seed, 0
			b.added++
		case http.StatusInsufficientStorage:
			refused++
		default:
			t.Fatalf("sample %d is answered %d", seed, code)
		}
	}
	added := b.added
	takeAll(t, filepath.Join(state, "filler"))
	if _, code := b.add(t, d, seed); code != http.StatusInsufficientStorage {
		t.Errorf("with no byte free a sample is answered %d", code)
	}
	for range added / 2 {
		if err := b.delete(t, d); err != nil {
			t.Fatal(err)
		}
	}
	again := 0
	for range 100 {
		if id, code := b.add(t, d, seed); code == http.StatusCreated {
			b.samples[id] = seed
			again++
		}
		seed++
	}
	if again == 0 {
		t.Error("deleting has made no room")
	}
	takeAll(t, filepath.Join(state, "filler2"))
	close(stop)
	answered := <-asked
	d.kill(t)
	d = startDaemon(t, whet, dir) // with no byte free
	b.check(t, d, rand.New(rand.NewPCG(1, 2)))
	b.ask(t, d)
	d.kill(t)
	for _, f := range []string{"filler", "filler2"} {
		if err := os.Remove(filepath.Join(state, f)); err != nil {
			t.Error(err)
		}
	}
	b.checkAll(t, state)
	t.Logf("%d samples on a disk of 16 MB, %d deleted and %d added with no byte free, %d requests answered meanwhile", added, len(b.deleted), again, answered)
	if added < 500 || answered < 100 {
		t.Error("too little was going on")
	}
}

// add adds the sample of a seed.
func (b *book) add(t *testing.T, d *daemon, seed uint64) (id uint64, code int) {
	t.Helper()
	head := fmt.Sprintf(`{"label":%q,"inputs":[%s]}`, label(seed), b.tensor())
	code, body, err := b.send(d, "/samples", head, pixels(seed))
	if err != nil {
		t.Fatal(err)
	}
	if code == http.StatusCreated {
		if id, err = sampleID(body); err != nil {
			t.Fatal(err)
		}
	}
	return id, code
}

// ask asks for an inference, which must be answered.
func (b *book) ask(t *testing.T, d *daemon) {
	t.Helper()
	code, body, err := b.send(d, "/infer", fmt.Sprintf(`{"inputs":[%s]}`, b.tensor()), pixels(1))
	if err != nil || code != http.StatusOK {
		t.Errorf("a request is answered %d %s %v", code, body, err)
	}
}

// mountExt4 makes a file system of that size in a file and mounts it.
func mountExt4(t *testing.T, dir, at string, size int64) (unmount func()) {
	t.Helper()
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range [][]string{{"mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", image}, {"mount", "-o", "loop", image, at}} {
		out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput()
		if err == nil {
			continue
		}
		t.Logf("no ext4 (%v: %s): tmpfs stands in", err, bytes.TrimSpace(out))
		if err := syscall.Mount("tmpfs", at, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
			t.Skipf("no disk can be mounted: %v", err)
		}
		break
	}
	return func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
}

// takeAll writes a file until not a byte is free.
func takeAll(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 64<<10); len(piece) > 0; {
		if _, err := f.Write(piece); errors.Is(err, syscall.ENOSPC) {
			piece = piece[:len(piece)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
