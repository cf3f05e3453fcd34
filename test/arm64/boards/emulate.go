package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed guest/blocks.c
var pluginSource []byte

//go:embed guest/peer.py
var peerScript []byte

// A trace is what one run of a model executed.
type trace struct {
	blocks []block
	caches []cacheCount // in the order of the board's caches
}

// A block is code without a branch inside that ran count times.
type block struct {
	count int64
	addr  uint64
	words []uint32
}

// cacheCount are the lines of 64 bytes that a cache fetched, and those that it wrote
// back.
type cacheCount struct {
	fetched, written int64
}

// instructions returns how many were executed.
func (t *trace) instructions() int64 {
	var n int64
	for _, b := range t.blocks {
		n += b.count * int64(len(b.words))
	}
	return n
}

// An emulator runs models under QEMU.
type emulator struct {
	dir     string // for its own files
	sysroot string // of an arm64 system with Python and the peers; "" for none
}

// newEmulator builds the plugin and the runner of .whet models in dir.
func newEmulator(dir, sysroot string) (*emulator, error) {
	for _, tool := range []string{"qemu-aarch64", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is not installed (Debian: qemu-user, gcc)", tool)
		}
	}
	e := &emulator{dir, sysroot}
	for name, text := range map[string][]byte{"blocks.c": pluginSource, "peer.py": peerScript} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	cc := exec.Command("cc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", "blocks.so", "blocks.c")
	cc.Dir = dir
	if out, err := cc.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cc: %w\n%s", err, out)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "runner"), "github.com/whet-edge/whet/test/arm64/boards/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return e, nil
}

// run executes a model on the emulated board.
func (e *emulator) run(b *board, model string) (*trace, error) {
	counts := filepath.Join(e.dir, "counts")
	plugin := []string{filepath.Join(e.dir, "blocks.so"), "out=" + counts}
	for _, c := range b.caches {
		plugin = append(plugin, fmt.Sprintf("cache=%d/%d", c.bytes, c.ways))
	}
	ours := filepath.Ext(model) == ".whet"
	root := e.sysroot
	if ours {
		root = filepath.Join(e.dir, "root")
	} else if root == "" {
		return nil, fmt.Errorf("%s: another runtime's model needs --sysroot", model)
	}
	if err := pretend(root, b); err != nil {
		return nil, err
	}
	args := []string{"-cpu", b.cpu, "-plugin", strings.Join(plugin, ","), "-L", root}
	if ours {
		args = append(args, filepath.Join(e.dir, "runner"), model)
	} else {
		args = append(args,
			"-E", "PYTHONHOME="+filepath.Join(e.sysroot, "usr"), "-E", "PYTHONPATH="+filepath.Join(e.sysroot, "site"),
			"-E", "OMP_NUM_THREADS=1", "-E", "OPENBLAS_NUM_THREADS=1",
			filepath.Join(e.sysroot, "usr/bin/python3.11"), filepath.Join(e.dir, "peer.py"), model)
	}
	if err := os.Remove(counts); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if out, err := exec.Command("qemu-aarch64", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s as %s: %w\n%s", model, b.cpu, err, out)
	}
	return readTrace(counts)
}

// pretend puts files into a folder from which programs learn which core they run on. QEMU
// opens a file of the folder that it is given by -L before the machine's own of the same name.
func pretend(root string, b *board) error {
	const cores = 4
	write := func(name, text string) error {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, []byte(text+"\n"), 0o644)
	}
	files := map[string]string{
		"proc/cpuinfo":                    "",
		"sys/devices/system/cpu/possible": fmt.Sprintf("0-%d", cores-1), "sys/devices/system/cpu/present": fmt.Sprintf("0-%d", cores-1),
		"sys/devices/system/cpu/online": fmt.Sprintf("0-%d", cores-1), "sys/devices/system/cpu/kernel_max": fmt.Sprint(cores - 1),
	}
	for c := range cores {
		files["proc/cpuinfo"] += fmt.Sprintf("processor\t: %d\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\n"+
			"CPU variant\t: 0x0\nCPU part\t: %#x\nCPU revision\t: 3\n\n", c, b.features, b.part)
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", c)
		files[dir+"cpufreq/cpuinfo_max_freq"] = fmt.Sprint(int(b.ghz * 1e6))
		for i, s := range []string{"1 Data 32", "1 Instruction 32", "2 Unified 512", "3 Unified 2048"} {
			var level, kind, size string
			if _, err := fmt.Sscan(s, &level, &kind, &size); err != nil {
				return err
			}
			index := fmt.Sprintf("%scache/index%d/", dir, i)
			files[index+"level"], files[index+"type"], files[index+"size"] = level, kind, size+"K"
			files[index+"shared_cpu_list"] = fmt.Sprint(c)
		}
	}
	for name, text := range files {
		if err := write(name, text); err != nil {
			return err
		}
	}
	return nil
}

// readTrace reads the file that the plugin wrote.
func readTrace(name string) (*trace, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, errors.New("the program set no marks")
	}
	defer f.Close()
	t := &trace{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			return nil, fmt.Errorf("the plugin wrote %q", lines.Text())
		}
		count, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, err
		}
		switch fields[0] {
		case "block":
			b := block{count: count}
			if b.addr, err = strconv.ParseUint(fields[2], 16, 64); err != nil {
				return nil, err
			}
			for _, w := range fields[3:] {
				word, err := strconv.ParseUint(w, 16, 32)
				if err != nil {
					return nil, err
				}
				b.words = append(b.words, uint32(word))
			}
			t.blocks = append(t.blocks, b)
		case "cache":
			c := cacheCount{}
			if _, err := fmt.Sscan(strings.Join(fields[2:], " "), &c.fetched, &c.written); err != nil {
				return nil, err
			}
			t.caches = append(t.caches, c)
		}
	}
	return t, lines.Err()
}
