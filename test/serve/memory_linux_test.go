package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format"
)

// TestMemoryLimit runs whet serve in a control group of 192 MB, asks it 30 times
// a second and lets it train: nothing may be killed for want of memory. A model
// that does not fit must be refused with the figure that it needs. It needs root:
//
//	WHET_MEMORY=10m WHET_MODEL=mobilenet_v2.whet go test -v -timeout 20m -run MemoryLimit ./test/serve
func TestMemoryLimit(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("WHET_MEMORY"))
	if err != nil {
		t.Skip("set WHET_MEMORY=10m to load whet serve for that long in 192 MB (as root)")
	}
	const limit = 192 << 20
	g := newGroup(t, limit)
	body := demo.BaseFile()
	if file := os.Getenv("WHET_MODEL"); file != "" {
		if body, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	url, _ := start(t, []string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, g.dir}, map[string][]byte{"model": body, "large": largeModel(t, limit)})
	l := newLoad(t, url)
	l.teach(40)
	stop := l.train(1000)
	o := l.at(steadyRate, d)
	steps := stop()
	most, killed := g.most(), g.killed()
	t.Logf("%d answered, %d not, %d steps of training; at most %d MiB of %d were in use, files' pages with them; %d processes killed", len(o.took), o.refused+o.other, steps, most>>20, limit>>20, killed)
	if killed > 0 || o.refused+o.other > 0 || steps == 0 || most == 0 {
		t.Error("not as it should be")
	}
	resp, err := l.client.Post("http://"+url+"/v2/repository/models/large/load", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said := make([]byte, 1<<10)
	n, _ := resp.Body.Read(said)
	t.Logf("the large model: %d %s", resp.StatusCode, said[:n])
	need := regexp.MustCompile(`needs (\d+) bytes`).FindSubmatch(said[:n])
	if resp.StatusCode/100 != 4 && resp.StatusCode/100 != 5 || need == nil {
		t.Fatal("it is not refused with what it needs")
	}
	if bytes, err := strconv.Atoi(string(need[1])); err != nil || bytes < limit {
		t.Errorf("it is said to need %s bytes, and has %d", need[1], limit)
	}
}

// largeModel is a matrix product with so many bytes of weights.
func largeModel(t *testing.T, size int) []byte {
	t.Helper()
	const in = 1 << 10
	out := size / (4 * in)
	file := filepath.Join(t.TempDir(), "large.whet")
	err := format.WriteFile(file, &format.Model{
		Header: format.Header{Opset: 1},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
			Nodes: []*format.Node{{Name: "dense", Op: "MatMul", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
		}},
		Tensors: []*format.Tensor{
			{Name: "x", Type: format.Float32, Shape: format.Shape{1, in}},
			{Name: "w", Type: format.Float32, Shape: format.Shape{in, out}, Data: make([]byte, 4*in*out)},
			{Name: "y", Type: format.Float32, Shape: format.Shape{1, out}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A group is a control group of version 1 or 2 with a limit of memory.
type group struct {
	t           *testing.T
	dir         string
	peak, kills string // files
}

func newGroup(t *testing.T, limit int) *group {
	t.Helper()
	for _, g := range []struct{ root, marker, limit, peak, killed string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"},
		{"/sys/fs/cgroup", "cgroup.controllers", "memory.max", "memory.peak", "memory.events"},
	} {
		if _, err := os.Stat(filepath.Join(g.root, g.marker)); err != nil {
			continue
		}
		dir := filepath.Join(g.root, fmt.Sprint("whet-", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("no control group can be made (root?): %v", err)
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // nothing is in it any more
		if err := os.WriteFile(filepath.Join(dir, g.limit), []byte(strconv.Itoa(limit)), 0o644); err != nil {
			t.Skipf("memory cannot be limited: %v", err)
		}
		return &group{t, dir, g.peak, g.killed}
	}
	t.Skip("this machine has no control groups for memory")
	return nil
}

// most is the greatest use of memory so far, in bytes.
func (g *group) most() int {
	b, err := os.ReadFile(filepath.Join(g.dir, g.peak))
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// killed is how many processes were killed for want of memory.
func (g *group) killed() int {
	b, err := os.ReadFile(filepath.Join(g.dir, g.kills))
	if err != nil {
		g.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^oom_kill (\d+)$`).FindSubmatch(b)
	if m == nil {
		g.t.Fatalf("%s does not count: %s", g.kills, b)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}
