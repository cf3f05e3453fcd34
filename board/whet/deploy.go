package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
)

// deployResult is what whet deploy has done.
type deployResult struct {
	Board   string   `json:"board"` // user@host
	Arch    string   `json:"arch"`
	Program string   `json:"program"` // "new", "replaced" or "unchanged"
	Models  []string `json:"models"`  // sent; those that were there already are not
	Service string   `json:"service"` // "systemd" or "process"
}

type deployment struct {
	target  string
	ssh     []string // the command, without the target
	program string
	models  []string
	serve   []string // more arguments of whet serve
	health  time.Duration
}

// deployDir is where whet lives on the board, from the user's home.
const deployDir = ".local/share/whet"

func newDeployCmd() *cobra.Command {
	var d deployment
	var ssh string
	cmd := &cobra.Command{
		Use:   "deploy USER@BOARD [MODEL.whet ...]",
		Short: "Bring this program and models to a board by ssh, and serve there",
		Long: `deploy copies this program and the models to a board and starts whet serve
there, as the user that it logs in as: nothing needs root. The program must run
on the board before it takes over, and the daemon must come up healthy; if not,
the old program serves again and deploy exits with 1.

Everything is in ~/` + deployDir + ` on the board. With systemd the daemon is a
service of that user; "loginctl enable-linger" there lets it start at boot.`,
		Example: `  GOARCH=arm64 CGO_ENABLED=0 go build -o whet-arm64 ./board/whet
  whet deploy --program whet-arm64 pi@raspberrypi.local kws.whet
  whet deploy pi@raspberrypi.local newer.whet`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.target, d.models = args[0], args[1:]
			d.ssh = strings.Fields(ssh)
			if len(d.ssh) == 0 || strings.HasPrefix(d.target, "-") {
				return usagef("deploy to %q by %q: USER@BOARD and a command are needed", d.target, ssh)
			}
			r, err := d.run(cmd.Context())
			if err != nil {
				return err
			}
			return emit(cmd, r, r.text)
		},
	}
	cmd.Flags().StringVar(&d.program, "program", "", "the program for the board's CPU (default: this one)")
	cmd.Flags().StringVar(&ssh, "ssh", "ssh -o BatchMode=yes", "the command that runs another on the board; ports and keys go here")
	cmd.Flags().StringArrayVar(&d.serve, "serve-arg", nil, "an argument of whet serve there, such as --lan; repeat it for more")
	cmd.Flags().DurationVar(&d.health, "health-limit", 2*time.Minute, "most time until the daemon is ready")
	return cmd
}

func (r *deployResult) text(w io.Writer) error {
	fmt.Fprintf(w, "%s (%s): program %s, %d models sent, served by a %s\n", r.Board, r.Arch, r.Program, len(r.Models), r.Service)
	_, err := fmt.Fprintf(w, "  ssh -L 8000:127.0.0.1:8000 %s    # then http://localhost:8000 is its page\n", r.Board)
	return err
}

func (d *deployment) run(ctx context.Context) (*deployResult, error) {
	for _, m := range d.models {
		if err := checkModel(m); err != nil {
			return nil, err
		}
	}
	r := &deployResult{Board: d.target, Models: []string{}}
	machine, err := d.remote(ctx, nil, "uname -sm")
	if err != nil {
		return nil, err
	}
	if r.Arch, err = archOf(machine); err != nil {
		return nil, err
	}
	if d.program == "" {
		if goruntime.GOOS != "linux" || goruntime.GOARCH != r.Arch {
			return nil, usagef("the board is linux/%s and this program is for %s/%s: make one with GOOS=linux GOARCH=%s CGO_ENABLED=0 go build -o whet-%[1]s ./board/whet and give --program whet-%[1]s",
				r.Arch, goruntime.GOOS, goruntime.GOARCH, r.Arch)
		}
		if d.program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	if _, err := d.remote(ctx, nil, "mkdir -p "+deployDir+"/bin "+deployDir+"/models "+deployDir+"/state && chmod 700 "+deployDir); err != nil {
		return nil, err
	}
	for _, m := range d.models {
		sent, err := d.send(ctx, m, deployDir+"/models/"+filepath.Base(m), "644")
		if err != nil {
			return nil, err
		}
		if sent {
			r.Models = append(r.Models, filepath.Base(m))
		}
	}
	if r.Program, err = d.sendProgram(ctx); err != nil {
		return nil, err
	}
	script := fmt.Sprintf(startScript, deployDir, quote(d.serve), int(d.health.Seconds()))
	out, err := d.remote(ctx, nil, script)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	r.Service = lines[len(lines)-1]
	return r, nil
}

// sendProgram brings the program beside the one that serves and lets it prove
// that it runs there.
func (d *deployment) sendProgram(ctx context.Context) (string, error) {
	bin := deployDir + "/bin/whet"
	sum, err := fileSum(d.program)
	if err != nil {
		return "", err
	}
	have, err := d.remote(ctx, nil, "[ -e "+bin+" ] && sha256sum "+bin+" || true")
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(have, sum) {
		return "unchanged", nil
	}
	if _, err := d.send(ctx, d.program, bin+".new", "755"); err != nil {
		return "", err
	}
	if _, err := d.remote(ctx, nil, bin+".new doctor --json >/dev/null"); err != nil {
		return "", fmt.Errorf("the program does not run on %s, nothing was changed: %w", d.target, err)
	}
	if have == "" {
		return "new", nil
	}
	return "replaced", nil
}

// startScript takes the new program into use, starts the daemon and waits until
// it is healthy; if it does not become so, the old program comes back. Its last
// line says what runs the daemon.
const startScript = `cd %[1]s || exit 1
serve="serve --models $PWD/models --state $PWD/state"
set -- %[2]s
start() {
	if systemctl --user is-active default.target >/dev/null 2>&1; then
		mkdir -p ~/.config/systemd/user
		printf '[Unit]\nDescription=whet\nStartLimitIntervalSec=0\n[Service]\nType=notify\nNotifyAccess=main\nExecStart=%%s\nRestart=always\nRestartSec=2\nKillMode=mixed\n[Install]\nWantedBy=default.target\n' \
			"$PWD/bin/whet $serve $*" > ~/.config/systemd/user/whet.service
		systemctl --user daemon-reload && systemctl --user enable whet.service >/dev/null 2>&1
		systemctl --user stop whet.service # or the old daemon might answer for the new one
		systemctl --user start --no-block whet.service
		by=systemd
		return
	fi
	stop
	setsid nohup bin/whet $serve "$@" >>whet.log 2>&1 </dev/null &
	echo $! >whet.pid
	by=process
}
stop() {
	pid=$(cat whet.pid 2>/dev/null) && [ "$(readlink /proc/$pid/exe 2>/dev/null | sed 's/ (deleted)$//')" != "" ] || return 0
	case $(tr '\0' ' ' </proc/$pid/cmdline 2>/dev/null) in *bin/whet*serve*) kill "$pid" 2>/dev/null ;; *) return 0 ;; esac
	n=0
	while kill -0 "$pid" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
	kill -9 "$pid" 2>/dev/null || true
}
healthy() { bin/whet ps --state "$PWD/state" --wait "$1s" >/dev/null; }
changed=
if [ -e bin/whet.new ]; then
	changed=1
	rm -f bin/whet.old
	[ ! -e bin/whet ] || cp -p bin/whet bin/whet.old
	mv bin/whet.new bin/whet
fi
start "$@"
if ! healthy %[3]d; then
	tail -n 5 whet.log >&2 2>/dev/null
	if [ "$changed" ] && [ -e bin/whet.old ]; then
		mv bin/whet.old bin/whet
		start "$@"
		if healthy %[3]d; then echo "the new version did not come up; the old one serves again" >&2; else echo "neither the new nor the old version came up" >&2; fi
	else
		echo "the daemon did not come up" >&2
	fi
	exit 1
fi
echo $by`

// send copies a file unless the board has the same one, and reports whether it
// did. It is written beside its place and renamed when its sum is right.
func (d *deployment) send(ctx context.Context, file, place, mode string) (bool, error) {
	sum, err := fileSum(file)
	if err != nil {
		return false, err
	}
	to := quote([]string{place})
	have, err := d.remote(ctx, nil, "[ -e "+to+" ] && sha256sum "+to+" || true")
	if err != nil {
		return false, err
	}
	if strings.HasPrefix(have, sum) {
		return false, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	part := quote([]string{place + ".part"})
	_, err = d.remote(ctx, f, "cat >"+part+" && sync "+part+" && chmod "+mode+" "+part+" && [ \"$(sha256sum <"+part+" | cut -c1-64)\" = "+sum+" ] && mv "+part+" "+to)
	if err != nil {
		return false, fmt.Errorf("%s did not arrive: %w", file, err)
	}
	return true, nil
}

// remote runs a command on the board.
func (d *deployment) remote(ctx context.Context, stdin io.Reader, script string) (string, error) {
	args := append(slices.Clone(d.ssh[1:]), "--", d.target, script)
	cmd := exec.CommandContext(ctx, d.ssh[0], args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && stderr.Len() > 0:
		return "", fmt.Errorf("%s: %s", d.target, strings.TrimSpace(stderr.String()))
	case err != nil:
		return "", fmt.Errorf("%s by %s: %w", d.target, d.ssh[0], err)
	}
	return stdout.String(), nil
}

// quote makes words for a POSIX shell.
func quote(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}

// archOf is Go's name of what uname -sm says.
func archOf(uname string) (string, error) {
	system, machine, _ := strings.Cut(strings.TrimSpace(uname), " ")
	arch := map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "riscv64": "riscv64"}[machine]
	if system != "Linux" || arch == "" {
		return "", fmt.Errorf("the board is %s: deploy knows Linux on x86_64, aarch64, armv7l, armv6l and riscv64", strings.TrimSpace(uname))
	}
	return arch, nil
}

func fileSum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fileError(file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkModel refuses before anything is sent what the daemon would refuse.
func checkModel(file string) error {
	if filepath.Ext(file) != ".whet" {
		return usagef("%s: models to deploy end in .whet; whet-convert makes them", file)
	}
	m, err := format.Open(file)
	if err != nil {
		return fileError(file, err)
	}
	return m.Close()
}
