// Boards projects what a model takes on a board that is not there.
//
//	go run ./test/arm64/boards [--boards pi4,pi5] [--hot N] [--json] MODEL.whet ...
//	go run ./test/arm64/boards --sysroot DIR MODEL.tflite MODEL.param MODEL.onnx ...
//
// The model runs under QEMU as the board's core, on one thread, with a plugin that
// counts how often every block of code runs and what a chain of data caches of the
// board's sizes would have fetched. llvm-mca, of the Cortex-A53 its measured issue (package
// model), gives the cycles of every block. From both, with the rates of the board's caches
// and memory, comes a time; see [projection.milliseconds] for what is assumed.
//
// The method does not know whose code it is: with a sysroot (guest/sysroot.sh) it runs
// LiteRT, ncnn and onnxruntime, whose times on these boards are published. A row of such
// a model has the published time and by how much the projection is off.
//
// --hot prints the N blocks that take most, of a .whet model with their functions. Needs
// Debian's qemu-user, gcc and llvm-19.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/whet-edge/whet/test/arm64/model"
)

func main() {
	var o options
	flag.StringVar(&o.sysroot, "sysroot", "", "arm64 system with LiteRT, ncnn and onnxruntime")
	names := flag.String("boards", "", "boards, separated by commas (default all): "+strings.Join(boardNames(), " "))
	flag.IntVar(&o.hot, "hot", 0, "print so many blocks")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if *names != "" {
		o.boards = strings.Split(*names, ",")
	}
	o.models = flag.Args()
	rows, err := run(os.Stdout, o)
	if err == nil && *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", " ")
		err = enc.Encode(rows)
	} else if err == nil {
		err = printRows(os.Stdout, rows)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "boards:", err)
		os.Exit(1)
	}
}

func boardNames() []string {
	var names []string
	for _, b := range boards {
		names = append(names, b.name)
	}
	return names
}

type options struct {
	sysroot string
	boards  []string // empty: all
	hot     int
	models  []string
}

// A row is the projection of a model for a board, clock and number of threads.
type row struct {
	Model        string  `json:"model"`
	Board        string  `json:"board"`
	GHz          float64 `json:"ghz"`
	Threads      int     `json:"threads"`
	Instructions int64   `json:"instructions"`
	Cycles       float64 `json:"core_cycles"`
	Near         float64 `json:"bytes_into_first_cache"`
	Memory       float64 `json:"bytes_of_memory"`
	MS           float64 `json:"projected_ms"`
	Published    float64 `json:"published_ms,omitempty"`
	Source       string  `json:"source,omitempty"`
}

func run(w io.Writer, o options) ([]row, error) {
	if err := model.Installed(); err != nil {
		return nil, err
	}
	for _, name := range o.boards {
		if !slices.Contains(boardNames(), name) {
			return nil, fmt.Errorf("no board is called %q (known: %s)", name, strings.Join(boardNames(), " "))
		}
	}
	dir, err := os.MkdirTemp("", "boards")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	e, err := newEmulator(dir, o.sysroot)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, name := range o.models {
		for i := range boards {
			b := &boards[i]
			if len(o.boards) > 0 && !slices.Contains(o.boards, b.name) {
				continue
			}
			t, err := e.run(b, name)
			if err != nil {
				return nil, err
			}
			p, hot, err := project(b, t)
			if err != nil {
				return nil, err
			}
			if o.hot > 0 {
				if err := e.printHot(w, b, name, p, hot[:min(o.hot, len(hot))]); err != nil {
					return nil, err
				}
			}
			rows = append(rows, rowsOf(b, name, p)...)
		}
	}
	return rows, nil
}

// rowsOf gives the published times of a model on a board beside the projected ones; of a
// model without any the board's own clock, one thread and four.
func rowsOf(b *board, name string, p projection) []row {
	r := row{
		Model: filepath.Base(name), Board: b.name, GHz: b.ghz, Instructions: p.instructions, Cycles: p.cycles,
		Near: p.moved[0], Memory: p.moved[len(p.moved)-1],
	}
	var rows []row
	for _, s := range published {
		if s.model == r.Model && s.board == b.name {
			r.GHz, r.Threads, r.Published, r.Source = s.ghz, s.threads, s.ms, s.source
			r.MS = p.milliseconds(b, s.ghz, s.threads)
			rows = append(rows, r)
		}
	}
	if rows != nil {
		return rows
	}
	for _, n := range []int{1, 4} {
		r.Threads, r.MS = n, p.milliseconds(b, b.ghz, n)
		rows = append(rows, r)
	}
	return rows
}

func printRows(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "model\tboard\tGHz\tinstructions\tcore cycles\tinto L1\tmemory\tthreads\tprojected\tpublished\t")
	for _, r := range rows {
		beside := "-"
		if r.Published > 0 {
			beside = fmt.Sprintf("%.1f ms (%+.0f %%) %s", r.Published, 100*(r.MS/r.Published-1), r.Source)
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.1f M\t%.1f M\t%.1f MB\t%.1f MB\t%d\t%.1f ms\t%s\t\n",
			r.Model, r.Board, r.GHz, float64(r.Instructions)/1e6, r.Cycles/1e6, r.Near/1e6, r.Memory/1e6, r.Threads, r.MS, beside)
	}
	return t.Flush()
}

// printHot prints blocks, where they are, and what they take.
func (e *emulator) printHot(w io.Writer, b *board, name string, p projection, hot []cost) error {
	where := func(addr uint64) string { return fmt.Sprintf("%#x", addr) }
	if filepath.Ext(name) == ".whet" {
		var err error
		if where, err = functions(filepath.Join(e.dir, "runner")); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "%s on %s: %.1f M cycles of the core\n", filepath.Base(name), b.name, p.cycles/1e6)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range hot {
		macs := 0
		for _, word := range c.words {
			macs += model.MACs(word)
		}
		per := c.cycles / float64(c.count)
		fmt.Fprintf(t, "%.1f %%\t%.2f M cycles\t%d times\t%d instructions\t%.1f cycles\t%.1f MAC/cycle\t  %s\n",
			100*c.cycles/p.cycles, c.cycles/1e6, c.count, len(c.words), per, float64(macs)/per, where(c.addr))
	}
	return t.Flush()
}
