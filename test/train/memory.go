package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
)

// memoryCases are thirty jobs: a network, what is trained of it, the size of a batch and
// the number of samples.
var memoryCases = func() (list [][4]string) {
	for net, tails := range map[string][]string{
		"article": {"head", "last:2", "last:3", "bias", "all"}, "digits": {"head", "last:2", "all"}, "mobilenet": {"head", "last:3"},
	} {
		for _, tail := range tails {
			for _, size := range [][2]string{{"1", "50"}, {"16", "400"}, {"64", "1600"}} {
				if net == "mobilenet" {
					size[1] = map[string]string{"1": "30", "16": "160", "64": "640"}[size[0]]
				}
				list = append(list, [4]string{net, tail, size[0], size[1]})
			}
		}
	}
	return list
}()

// memory runs jobs inside a control group whose limit is what was planned: none may be
// killed, and none may have been planned far too large. It takes root, and Linux.
func memory(ctx context.Context, c *config) ([]check, error) {
	group, err := newGroup()
	if err != nil {
		fmt.Fprintln(os.Stderr, "SKIPPED: memory:", err)
		return nil, nil
	}
	defer group.remove()
	if err := memoryModels(ctx, c); err != nil {
		return nil, err
	}
	fit := filepath.Join(c.work, "fit")
	build := exec.CommandContext(ctx, "go", "build", "-o", fit, "./test/train/fit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	var killed, least, most = 0.0, 10.0, 0.0
	fmt.Printf("\nmemory, inside a control group (%s) of the planned size\n%-34s %14s %14s %8s\n", group.version, "", "planned", "measured", "part")
	for _, k := range memoryCases {
		args := []string{filepath.Join(c.work, k[0]+".whet"), k[1], k[2], k[3]}
		out, err := exec.CommandContext(ctx, fit, args...).Output()
		if err != nil {
			return nil, fmt.Errorf("%v: plan: %w", k, err)
		}
		planned := number(out, "planned")
		out, err = group.run(ctx, planned, fit, append(args, fmt.Sprintf("%.0f", planned))...)
		measured := number(out, "measured")
		name := fmt.Sprintf("%s %s, batch %s, %s samples", k[0], k[1], k[2], k[3])
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() < 0 { // by the kernel
			killed++
			fmt.Printf("%-34s %14.0f %14s\n", name, planned, "KILLED")
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		part := measured / planned
		least, most = min(least, part), max(most, part)
		fmt.Printf("%-34s %14.0f %14.0f %8.3f\n", name, planned, measured, part)
	}
	return []check{
		atMost("memory: jobs killed", killed, 0),
		atLeast("memory: measured of planned, least", least, 0.85),
		atMost("memory: measured of planned, most", most, 1),
	}, nil
}

// number reads the number behind a word at the begin of a line.
func number(out []byte, word string) float64 {
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// memoryModels writes the networks, int8, as files.
func memoryModels(ctx context.Context, c *config) error {
	for name, build := range map[string]func() (*format.Model, error){
		"article": func() (*format.Model, error) {
			return article(make([]float32, 32*9+32+64*288+64+128*1600+128+1280+10))
		},
		"digits":    func() (*format.Model, error) { return digitNet(1) },
		"mobilenet": func() (*format.Model, error) { return mobileNet(96) },
	} {
		m, err := build()
		if err != nil {
			return err
		}
		n := m.Tensor(m.Main().Inputs[0].Tensor).Shape.Elems()
		q, err := quant.Quantize(ctx, m, func(yield func(quant.Sample, error) bool) {
			v := make([]float32, n)
			for i := range 4 {
				for k := range v {
					v[k] = float32((k*31+i*17)%256) / 255
				}
				if !yield(quant.Sample{v}, nil) {
					return
				}
			}
		}, quant.Options{Plain: true, Method: quant.MinMax})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := format.WriteFile(filepath.Join(c.work, name+".whet"), q.Model); err != nil {
			return err
		}
	}
	return nil
}

// A group is a control group with a memory limit.
type group struct {
	dir, version, limit string
}

// newGroup makes one, of version 1 or 2, whichever this machine has.
func newGroup() (*group, error) {
	name := fmt.Sprint("whet-memory-", os.Getpid())
	for _, g := range []*group{
		{"/sys/fs/cgroup/memory", "v1", "memory.limit_in_bytes"},
		{"/sys/fs/cgroup", "v2", "memory.max"},
	} {
		marker := map[string]string{"v1": "memory.limit_in_bytes", "v2": "cgroup.controllers"}[g.version]
		if _, err := os.Stat(filepath.Join(g.dir, marker)); err != nil {
			continue
		}
		g.dir = filepath.Join(g.dir, name)
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			return nil, err
		}
		return g, nil
	}
	return nil, errors.New("there is no control group for memory")
}

func (g *group) remove() { _ = os.Remove(g.dir) } // it is empty

// run runs a program that may not have more memory than limit.
func (g *group) run(ctx context.Context, limit float64, program string, args ...string) ([]byte, error) {
	if err := os.WriteFile(filepath.Join(g.dir, g.limit), []byte(fmt.Sprintf("%.0f", limit)), 0o644); err != nil {
		return nil, err
	}
	// The shell goes into the group and becomes the program.
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, g.dir, program}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, err
}
