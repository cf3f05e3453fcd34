// Package rooms checks who imports whom.
package rooms

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/whet-edge/whet/"

// mayImport lists, for each room, the rooms it may import. A room is a folder
// of the first level, kernels/amd64, kernels/arm64 and ondevice/grad apart.
var mayImport = map[string][]string{
	"format":        {},
	"kernels/amd64": {},
	"kernels/arm64": {},
	"kernels":       {"kernels/amd64", "kernels/arm64"},
	"runtime":       {"format", "kernels"},
	"ondevice/grad": {"format", "kernels", "runtime"},
	"quant":         {"format", "kernels", "runtime", "ondevice/grad"},
	"ondevice":      {"format", "kernels", "runtime", "ondevice/grad", "quant"},
	"tools/convert": {"format", "runtime", "quant", "ondevice"},
	"board":         {"format", "kernels", "runtime", "ondevice/grad", "quant", "ondevice"},
	"test":          nil, // anything
}

// core rooms are libraries: beyond the standard library they need only these.
var core = map[string]bool{"format": true, "kernels": true, "kernels/amd64": true, "kernels/arm64": true, "runtime": true, "quant": true, "ondevice": true, "ondevice/grad": true}

var coreModules = []string{"github.com/vmihailenco/msgpack/v5", "github.com/klauspost/cpuid/v2", "golang.org/x/sys"}

// preImports are what the decoders and tokenizers of runtime/pre may use on top.
var preImports = map[string]string{"runtime/pre": "golang.org/x/image", "runtime/pre/token": "golang.org/x/text/unicode/norm"}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestRooms(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		for _, p := range list(t, arch) {
			path := strings.TrimPrefix(p.ImportPath, module)
			from := room(path)
			allowed, known := mayImport[from]
			if !known {
				t.Errorf("%s: %q is no room of the house; see mayImport", p.ImportPath, from)
				continue
			}
			for _, imp := range p.Imports {
				to, ours := strings.CutPrefix(imp, module)
				switch {
				case ours:
					if to := room(to); to != from && allowed != nil && !slices.Contains(allowed, to) {
						t.Errorf("%s imports %s: room %s may import only %v", p.ImportPath, imp, from, allowed)
					}
				case core[from] && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
					ok := false
					for _, m := range coreModules {
						ok = ok || imp == m || strings.HasPrefix(imp, m+"/")
					}
					m := preImports[path]
					ok = ok || m != "" && (imp == m || strings.HasPrefix(imp, m+"/"))
					if !ok {
						t.Errorf("%s imports %s: the core needs only %v", p.ImportPath, imp, coreModules)
					}
				case core[from] && path != "runtime/pre" && (imp == "log" || imp == "log/slog" || imp == "net/http"):
					t.Errorf("%s imports %s: a library logs and serves nothing", p.ImportPath, imp)
				}
			}
		}
	}
}

func room(path string) string {
	for _, r := range []string{"kernels/amd64", "kernels/arm64", "ondevice/grad", "tools/convert"} {
		if path == r || strings.HasPrefix(path, r+"/") {
			return r
		}
	}
	first, _, _ := strings.Cut(path, "/")
	return first
}

// list returns the module's packages with their imports, test files excepted.
func list(t *testing.T, arch string) []pkg {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Standard", module+"...")
	cmd.Dir = "../.."
	cmd.Env = append(cmd.Environ(), "GOARCH="+arch, "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages only", len(pkgs))
	}
	return pkgs
}
