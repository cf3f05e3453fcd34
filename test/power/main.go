// Power takes the power away from whet's store and daemon on a real ext4 under
// a real kernel, again and again, and checks that nothing that was acknowledged
// is lost.
//
//	test/power/kernel DIR
//	go run ./test/power cuts   --kernel DIR [--cuts 50] [--load serve|store] [--unsafe]
//	go run ./test/power replay --kernel DIR [--points 5000] [--unsafe]
//
// cuts kills the virtual machine at random moments, always with the same disk.
// replay logs every write to the disk, makes from the log what a disk with a
// cache of its own may hold after a cut before each flush, and recovers and
// checks each of these. Both print a line of JSON. With --unsafe the guest
// leaves out all fsyncs, so both must fail: that shows that they can.
//
// It needs Debian's qemu-system-x86 and e2fsprogs. On another machine than amd64
// there is no kernel for it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/test/power/book"
	"github.com/whet-edge/whet/test/power/vm"
)

type options struct {
	kernel string
	cuts   int
	load   string
	points int
	unsafe bool
	seed   uint64
}

func main() {
	usage := func() {
		fmt.Fprintln(os.Stderr, "usage: power cuts|replay --kernel DIR [flags]")
		os.Exit(2)
	}
	if len(os.Args) < 2 {
		usage()
	}
	run := map[string]func(*options, string) (any, error){"cuts": cuts, "replay": replay}[os.Args[1]]
	if run == nil {
		usage()
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.kernel, "kernel", "", "folder that test/power/kernel has filled")
	flags.IntVar(&o.cuts, "cuts", 50, "cuts: how many")
	flags.StringVar(&o.load, "load", "serve", "cuts: whether the daemon works in the guest or the store alone")
	flags.IntVar(&o.points, "points", 5000, "replay: flushes before which the power goes")
	flags.BoolVar(&o.unsafe, "unsafe", false, "without fsync, in the store alone")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of when the power goes and what a disk's cache has kept")
	_ = flags.Parse(os.Args[2:]) // it exits
	if err := o.run(run); err != nil {
		fmt.Fprintf(os.Stderr, "power: seed %d: %v\n", o.seed, err)
		os.Exit(1)
	}
}

func (o *options) run(run func(*options, string) (any, error)) error {
	if o.load != "serve" && o.load != "store" {
		return fmt.Errorf("--load %s: serve or store", o.load)
	}
	// Memory is faster than a disk, and what is tested is in the guest.
	parent := "/dev/shm"
	if st, err := os.Stat(parent); err != nil || !st.IsDir() {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "power")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	result, err := run(o, dir)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// guest builds what a guest needs and returns its initrd.
func (o *options) guest(dir string) (*vm.Kernel, string, error) {
	k, err := vm.FindKernel(o.kernel)
	if err != nil {
		return nil, "", err
	}
	files := map[string]string{"load": filepath.Join(dir, "load")}
	programs := map[string]string{"init": "test/power/init", "load": "test/power/load"}
	if o.load == "serve" {
		programs["whet"] = "board/whet"
		files["whet"] = filepath.Join(dir, "whet")
		if err := tune(dir); err != nil {
			return nil, "", err
		}
		files["models/"+book.Model+".whet"] = filepath.Join(dir, "base")
		files["tuned.whetd"] = filepath.Join(dir, "delta")
	}
	for name, pkg := range programs {
		if err := vm.Build(filepath.Join(dir, name), "github.com/whet-edge/whet/"+pkg); err != nil {
			return nil, "", err
		}
	}
	initrd := filepath.Join(dir, "initrd")
	return k, initrd, k.Initrd(initrd, filepath.Join(dir, "init"), files)
}

// A cutsResult is how often the power went and what had been acknowledged by then.
type cutsResult struct {
	Cuts      int     `json:"cuts"`
	Added     int     `json:"samples_acknowledged"`
	Deleted   int     `json:"deletions_acknowledged"`
	Published int     `json:"versions_published"`
	Switched  int     `json:"version_changes"`
	Seconds   float64 `json:"seconds"`
}

// A guest is cut after this time of work.
const (
	soonest = 50 * time.Millisecond
	latest  = 4 * time.Second
	// bootTime is more than an emulated CPU needs to boot and to open the store.
	bootTime = 3 * time.Minute
)

func cuts(o *options, dir string) (any, error) {
	start := time.Now()
	if o.unsafe {
		o.load = "store"
	}
	k, initrd, err := o.guest(dir)
	if err != nil {
		return nil, err
	}
	disk := filepath.Join(dir, "disk")
	if err := vm.MakeDisk(disk, 64); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(o.seed, 1))
	b := book.New()
	config := vm.Config{Kernel: k, Initrd: initrd, Disk: disk, Run: []string{"/load", o.load}}
	if o.unsafe {
		config.Run = []string{"/load", "store", "--unsafe"}
	}
	for cut := range o.cuts {
		work := soonest + time.Duration(rng.Int64N(int64(latest-soonest)))
		if cut == 0 {
			work = 0 // while the very first things are being written
		}
		before := b.Added
		if err := cutOnce(config, b, work); err != nil {
			return nil, fmt.Errorf("cut %d: %w", cut+1, err)
		}
		if err := checkCopy(disk, dir, b); err != nil {
			return nil, fmt.Errorf("cut %d, after %v of work: %w", cut+1, work, err)
		}
		fmt.Fprintf(os.Stderr, "cut %d after %v: %d samples more were acknowledged, none is lost\n", cut+1, work.Round(time.Millisecond), b.Added-before)
	}
	return cutsResult{o.cuts, b.Added, b.Deleted, b.Published, b.Switched, time.Since(start).Seconds()}, nil
}

// cutOnce lets the guest work for a time and takes its power away.
func cutOnce(config vm.Config, b *book.Book, work time.Duration) error {
	m, err := vm.Boot(config)
	if err != nil {
		return err
	}
	var broken error
	boot := time.NewTimer(bootTime)
	defer boot.Stop()
	off := boot.C
	for on := true; on; {
		select {
		case line, more := <-m.Lines:
			switch {
			case !more:
				on = false
			case line == "ready":
				off = time.After(work)
			default:
				if broken = b.Note(line); broken != nil {
					on = false
				} else if book.Intent(line) {
					_ = m.Send("") // a guest that is off needs no answer
				}
			}
		case <-off:
			off = nil
			if err := m.Cut(); err != nil {
				return err
			}
		}
	}
	if broken != nil {
		_ = m.Cut() // what is wrong is known
		_ = m.Wait()
		return broken
	}
	if err := m.Wait(); err != nil {
		return err
	}
	if off != nil {
		return fmt.Errorf("it was not up after %v", bootTime)
	}
	return nil
}

// checkCopy recovers a copy of the disk, so that the next boot recovers the disk
// itself, and compares it with the book.
func checkCopy(disk, dir string, b *book.Book) error {
	image := filepath.Join(dir, "copy")
	if err := copyFile(image, disk); err != nil {
		return err
	}
	return checkImage(image, dir, b, extra)
}

// extra is how many answers may be on their way when the power goes: a serial
// line is slow, and the guest's buffers before it are full of them.
const extra = 4000

// checkImage recovers an image and compares it with the book.
func checkImage(image, dir string, b *book.Book, extra int) error {
	found := filepath.Join(dir, "found")
	if err := os.RemoveAll(found); err != nil {
		return err
	}
	if err := vm.DumpDisk(image, found); err != nil {
		return err
	}
	return b.Check(filepath.Join(found, "state"), extra)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// tune makes the daemon's model and a delta of it.
func tune(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "base"), demo.BaseFile(), 0o644); err != nil {
		return err
	}
	report, err := demo.Run(context.Background(), demo.Options{})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "delta"), report.Delta(), 0o644)
}
