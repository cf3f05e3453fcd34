package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/whet-edge/whet/test/power/vm"
)

const (
	cutsEnv   = "WHET_CRASH_CUTS"   // how often the power of a training board is cut; 20 takes ten minutes
	kernelEnv = "WHET_CRASH_KERNEL" // folder that test/power/kernel has filled
)

// TestJobPower cuts the power of a virtual machine in which a job trains, boots it again
// on the same disk and goes on, until the job is done. No checkpoint that was written may
// be lost, and the delta must have the bytes of an unbroken run.
//
//	go run ./test/power/kernel DIR
//	WHET_CRASH_CUTS=20 WHET_CRASH_KERNEL=DIR go test ./test/crash -run JobPower -v -timeout 1h
func TestJobPower(t *testing.T) {
	cuts, err := strconv.Atoi(os.Getenv(cutsEnv))
	if err != nil || cuts < 1 {
		t.Skipf("set %s=20 and %s to cut the power of a virtual machine (ten minutes)", cutsEnv, kernelEnv)
	}
	kernel, err := vm.FindKernel(os.Getenv(kernelEnv))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := vm.Build(file("init"), "github.com/whet-edge/whet/test/power/init"); err != nil {
		t.Fatal(err)
	}
	if err := kernel.Initrd(file("initrd"), file("init"), map[string]string{"job": buildJob(t)}); err != nil {
		t.Fatal(err)
	}
	// boot runs the job on a disk and, some time after its first step, cuts the power.
	boot := func(disk string, epochs int, after time.Duration) (first, last int, trained time.Duration, done bool) {
		m, err := vm.Boot(vm.Config{Kernel: kernel, Initrd: file("initrd"), Disk: disk, Run: []string{"/job", "/disk", "sgd", fmt.Sprint(epochs)}})
		if err != nil {
			t.Fatal(err)
		}
		var cut *time.Timer
		var start time.Time // of the first step
		for line := range m.Lines {
			var n int
			switch _, err := fmt.Sscanf(line, "step %d", &n); {
			case line == "done":
				done, trained = true, time.Since(start)
			case err != nil:
				t.Logf("guest: %s", line)
			case first == 0:
				first, last, start = n, n, time.Now()
				if after > 0 {
					cut = time.AfterFunc(after, func() { _ = m.Cut() })
				}
			default:
				last = n
			}
		}
		if cut != nil {
			cut.Stop()
		}
		if err := m.Wait(); err != nil && !done {
			t.Fatal(err)
		}
		return first, last, trained, done
	}
	newDisk := func(name string) string {
		if err := vm.MakeDisk(file(name), 32); err != nil {
			t.Fatal(err)
		}
		return file(name)
	}
	delta := func(disk string) []byte {
		found := t.TempDir()
		if err := vm.DumpDisk(disk, found); err != nil {
			t.Fatal(err)
		}
		return read(t, filepath.Join(found, "delta"))
	}
	const epochs = 100
	disk := newDisk("whole")
	_, steps, trained, done := boot(disk, epochs, 0)
	if !done {
		t.Fatal("the unbroken job did not end")
	}
	want := delta(disk)
	t.Logf("unbroken: %d steps in %v, a delta of %d bytes", steps, trained.Round(time.Second/10), len(want))
	rng := rand.New(rand.NewPCG(uint64(cuts), 3))
	for n, job := 0, 0; n < cuts; job++ {
		disk := newDisk(fmt.Sprint("disk", job))
		last := 0
		for done := false; !done; {
			after := time.Duration(rng.Int64N(int64(trained) / 2)) // a job is cut about four times
			if n >= cuts {
				after = 0
			}
			var first, reached int
			first, reached, _, done = boot(disk, epochs, after)
			// The checkpoint of every step before the last that was announced is on the disk.
			if first != 0 && first < last {
				t.Fatalf("cut %d: step %d was announced, and the job goes on with step %d", n, last, first)
			}
			last = max(last, reached)
			if !done {
				n++
			}
		}
		if !bytes.Equal(delta(disk), want) {
			t.Fatalf("after %d cuts the delta differs from the unbroken run's", n)
		}
		t.Logf("job %d: the same delta after %d cuts in all", job, n)
	}
}
