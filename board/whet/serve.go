package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/sign"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime"
)

// The daemon's address unless --listen says otherwise: Triton's port, which
// clients of the protocol try first.
const defaultListen = "127.0.0.1:8000"

type serveFlags struct {
	models, state string
	listen        []string
	lan           bool
	access        serve.AccessFiles
	deltas        []string
	threads       int
	sessions      int
	queue         int
	wait, timeout time.Duration
	memory        string
	quota         string
	evict         bool
	sampleKey     string
	config        string
	checkOnly     bool
	childMemory   string
	warm          time.Duration
	settle        time.Duration
	keys          string
	verbose       bool
}

func newServeCmd() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve models over HTTP, keep samples, tune in the background",
		Long: `serve answers inference requests by the Open Inference Protocol v2 for every
model of a folder: DIR/NAME.whet is model NAME.

It keeps labelled samples (POST /v2/models/NAME/samples), tunes the model on
them (POST .../train), and lets the result serve (POST .../promote) or takes it
back (POST .../rollback). What it has acknowledged is on disk.

It listens on a unix socket in the state directory and on ` + defaultListen + `.
With --lan it also serves its page to the network, encrypted, and prints a link
and a code to scan. Each works once and lets one browser in; others see nothing.

An address that other machines can reach otherwise needs a token file, with a line
NAME SCOPE[,SCOPE] TOKEN for each client, and TLS. Of the scopes, infer allows
to ask, sample to add and read samples, train to train and to choose the version
that serves, admin everything. Clients send "Authorization: Bearer TOKEN"; on
the unix socket the file's permissions decide instead.`,
		Example: `  whet serve --models models          # then open http://localhost:8000
  whet serve --models models --lan    # then scan the code with a phone
  curl localhost:8000/v2/models/kws

  (umask 077; echo "camera infer,sample $(openssl rand -hex 32)" > tokens)
  whet serve --listen 0.0.0.0:8443 --token-file tokens --tls-cert cert.pem --tls-key key.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := configure(cmd, f.config)
			if err != nil {
				return err
			}
			if err := f.validate(); err != nil {
				return err
			}
			if f.checkOnly {
				return f.check(cmd, from)
			}
			return runServe(cmd, &f)
		},
	}
	cmd.Flags().StringVar(&f.config, "config", "", "JSON file with flags by their names; the environment (WHET_SERVE_MAX_WAIT for --max-wait) comes before it, the command line before both")
	cmd.Flags().BoolVar(&f.checkOnly, "check", false, "only say whether it could start, and each setting with where it comes from")
	cmd.Flags().StringVar(&f.models, "models", ".", "folder of the models")
	cmd.Flags().StringVar(&f.state, "state", "", "folder of samples, versions and jobs (default $STATE_DIRECTORY or $XDG_STATE_HOME/whet)")
	cmd.Flags().StringArrayVar(&f.listen, "listen", nil, "unix:PATH or HOST:PORT; repeat it for more (default unix:STATE/whet.sock and "+defaultListen+")")
	cmd.Flags().BoolVar(&f.lan, "lan", false, "let browsers of the network in that were shown a link, on port "+lanPort+" with a certificate of the board's own")
	cmd.Flags().StringVar(&f.access.Tokens, "token-file", "", "who may do what over TCP: lines of NAME SCOPE[,SCOPE] TOKEN")
	cmd.Flags().StringVar(&f.access.Cert, "tls-cert", "", "certificate (PEM) for TLS over TCP")
	cmd.Flags().StringVar(&f.access.Key, "tls-key", "", "its private key")
	cmd.Flags().StringVar(&f.access.ClientCA, "client-ca", "", "clients must show a certificate signed by one of these, too")
	cmd.Flags().StringArrayVar(&f.deltas, "delta", nil, "a .whetd made by whet tune to serve over its model")
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads that share one inference (default: all cores)")
	cmd.Flags().IntVar(&f.sessions, "sessions", 1, "inferences of one model at a time")
	cmd.Flags().IntVar(&f.queue, "queue", 64, "requests that may wait for one model; others are answered with 503")
	cmd.Flags().DurationVar(&f.wait, "max-wait", 0, "refuse a request that would wait longer than this for its turn, at once where that can be foreseen (default: none)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "most time that a request may take")
	cmd.Flags().StringVar(&f.memory, "memory", "", "most memory of all models; where two versions of one do not fit, the old one goes first (default: three quarters of the board's or the control group's)")
	cmd.Flags().StringVar(&f.quota, "quota", "1GiB", "most bytes of samples")
	cmd.Flags().BoolVar(&f.evict, "evict", false, "make room for new samples by deleting the oldest of the label that has most (default: refuse new ones)")
	cmd.Flags().StringVar(&f.sampleKey, "sample-key", "", "file with a key of 32 bytes, with which samples are encrypted on disk; without it they cannot be read again")
	cmd.Flags().StringVar(&f.childMemory, "child-memory", "", "most memory of training, and of a model's first run (default: half of the board's or the control group's)")
	cmd.Flags().DurationVar(&f.warm, "warm-up-limit", 20*time.Second, "most time that loading a model and its first run may take")
	cmd.Flags().DurationVar(&f.settle, "stable-after", time.Minute, "a daemon that dies sooner after it was ready has crashed early: after five times it comes up in safe mode")
	cmd.Flags().StringVar(&f.keys, "keys", "", "minisign public keys; models and deltas that none of them has signed are refused (see whet sign)")
	cmd.AddCommand(newWorkerCmd())
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log every request, not only changes and failures")
	return cmd
}

// validate refuses values that no daemon can have.
func (f *serveFlags) validate() error {
	if f.threads < 0 || f.threads > 1024 || f.sessions < 1 || f.sessions > 1024 {
		return usagef("--threads and --sessions: 1 to 1024 are possible")
	}
	if f.queue < 1 || f.queue > 1<<20 {
		return usagef("--queue: 1 to %d are possible", 1<<20)
	}
	if f.warm <= 0 || f.timeout <= 0 || f.wait < 0 {
		return usagef("--warm-up-limit and --timeout must be positive, --max-wait not negative")
	}
	return nil
}

// storeOptions are those of the flags.
func (f *serveFlags) storeOptions() (opt store.Options, err error) {
	opt.Evict = f.evict
	if opt.Quota, err = parseBytes(f.quota); err != nil {
		return opt, usagef("--quota %s: %v", f.quota, err)
	}
	if f.sampleKey != "" {
		opt.Key, err = store.ReadKey(f.sampleKey)
	}
	return opt, err
}

func runServe(cmd *cobra.Command, f *serveFlags) error {
	opt, err := f.storeOptions()
	if err != nil {
		return err
	}
	if f.state == "" {
		if f.state, err = defaultState(); err != nil {
			return err
		}
	}
	serve.PrivateFiles()
	if err := os.MkdirAll(f.state, 0o700); err != nil {
		return err
	}
	lock, err := serve.Lock(f.state)
	if err != nil {
		return err
	}
	defer lock.Close()
	st, err := store.Open(vfs.OS, f.state, opt)
	if err != nil {
		return err
	}
	err = serveStore(cmd, f, st)
	return errors.Join(err, st.Stopped(), st.Close())
}

// defaultState is where systemd's StateDirectory= puts the state, else the
// user's own place for it.
func defaultState() (string, error) {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "whet"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usagef("there is no place for the state: give --state DIR (%v)", err)
	}
	return filepath.Join(home, ".local", "state", "whet"), nil
}

func serveStore(cmd *cobra.Command, f *serveFlags, st *store.Store) error {
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	if r := st.Recovered(); r.TornBytes > 0 || len(r.Damaged) > 0 {
		log.Warn("the state was repaired", "samples", r.Samples, "torn_bytes", r.TornBytes, "damaged", r.Damaged)
	}
	safe, err := st.Start()
	if err != nil {
		log.Warn("this start could not be counted", "error", err)
	}
	if safe != "" {
		log.Error(safe)
	}
	var pairs *pairing
	if f.lan {
		if pairs, err = newPairing(cmd, f); err != nil {
			return err
		}
	}
	access, err := serve.NewAccess(f.access)
	if err != nil {
		return accessError(err)
	}
	if pairs != nil {
		access.Pair(pairs.Pairing)
	}
	var keys sign.Keys
	if f.keys != "" {
		if keys, err = sign.ReadKeys(f.keys); err != nil {
			return usagef("--keys: %w", err)
		}
	}
	child, err := f.child()
	if err != nil {
		return err
	}
	memory, err := f.budget()
	if err != nil {
		return err
	}
	threads := f.threads
	if threads == 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	if f.wait > 0 {
		keepListening()
	}
	srv, err := serve.New(serve.Config{
		Memory: memory,
		Models: f.models, Store: st, Engine: engine(threads), Trainer: child, Trial: child,
		Keys: keys, Safe: safe, Board: func() *info.Board { return boardWarned(safe) },
		Log: log, Version: buildVersion(), Access: access,
		Sessions: f.sessions, MaxQueue: f.queue, MaxWait: f.wait, Timeout: f.timeout,
	})
	if err != nil {
		return err
	}
	listeners, err := f.open(access)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(cmd.Context())
	defer fail(nil)
	go serve.Watchdog(ctx, func() { srv.Models() })
	go func() {
		err := bringUp(ctx, cmd, f, srv, listeners)
		if err != nil && ctx.Err() == nil {
			fail(err)
		}
		if pairs != nil {
			pairs.show()
		}
		if err == nil {
			srv.Settle(ctx, f.settle)
		}
	}()
	err = srv.Serve(ctx, listeners...)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// boardWarned is the board as it is now, with a warning of the daemon's own.
func boardWarned(warning string) *info.Board {
	b := info.Read("/")
	if warning != "" {
		b.Warnings = append(b.Warnings, warning)
	}
	return b
}

// keepListening lets one more thread run Go code than there are cores. With a
// model on every core, Go's scheduler asks the network only between two runs,
// and hands a session to the next request before it reads another: under
// overload thousands would lie unread instead of being refused. The kernel's
// scheduler lets a thread that mostly sleeps have its turn at once. It costs a
// request on a board of one core a fifth of a millisecond, so that it is done
// only where somebody has said how long a request may wait.
func keepListening() {
	if os.Getenv("GOMAXPROCS") == "" {
		goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(0) + 1)
	}
}

func engine(threads int) serve.Runtime {
	if threads == 0 {
		return serve.Runtime{}
	}
	return serve.Runtime{Options: []runtime.Option{runtime.WithThreads(threads)}}
}

// trainingQuiet is how long training may show no progress: one step of a large
// model on a slow board takes seconds.
const trainingQuiet = 10 * time.Minute

// child is this program again, as the worker of the daemon.
func (f *serveFlags) child() (*serve.Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if goruntime.GOOS == "linux" {
		self = "/proc/self/exe" // the same program even after an upgrade has replaced the file
	}
	c := &serve.Child{
		Command: []string{self, "serve", "worker", "--threads", strconv.Itoa(f.threads)},
		Warm:    f.warm, Quiet: trainingQuiet,
	}
	if f.childMemory != "" {
		if c.Memory, err = parseBytes(f.childMemory); err != nil {
			return nil, usagef("--child-memory %s: %v", f.childMemory, err)
		}
		return c, nil
	}
	b := info.Read("/")
	c.Memory = b.MemTotal / 2
	if b.MemLimit > 0 {
		c.Memory = min(c.Memory, b.MemLimit/2)
	}
	return c, nil
}

// budget is how much memory the models may have.
func (f *serveFlags) budget() (int64, error) {
	if f.memory != "" {
		n, err := parseBytes(f.memory)
		if err != nil {
			return 0, usagef("--memory %s: %v", f.memory, err)
		}
		return n, nil
	}
	b := info.Read("/")
	if b.MemLimit > 0 {
		return b.MemLimit / 4 * 3, nil
	}
	return b.MemTotal / 4 * 3, nil
}

func newWorkerCmd() *cobra.Command {
	var threads int
	cmd := &cobra.Command{
		Use:    "worker",
		Short:  "Train or try a model for the daemon that started this process",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			serve.PrivateFiles()
			// Training leaves half of the cores to those who wait for an answer.
			tuner := serve.Tuner{Options: []runtime.Option{runtime.WithThreads(max(1, goruntime.GOMAXPROCS(0)/2))}}
			// The daemon says when to stop: a signal that both get must not look
			// to it like training that failed.
			ctx := context.WithoutCancel(cmd.Context())
			return serve.Work(ctx, cmd.InOrStdin(), cmd.OutOrStdout(), engine(threads), tuner)
		},
	}
	cmd.Flags().IntVar(&threads, "threads", 0, "threads that share one inference")
	return cmd
}

// accessError makes an error a wrong use of the flags if it is one.
func accessError(err error) error {
	if errors.Is(err, serve.ErrAddress) {
		return usageError{err}
	}
	return err
}

// open opens all listeners, or none.
func (f *serveFlags) open(access *serve.Access) ([]net.Listener, error) {
	addrs := f.listen
	if len(addrs) == 0 {
		addrs = []string{"unix:" + filepath.Join(f.state, "whet.sock"), defaultListen}
	}
	if f.lan {
		addrs = append(slices.Clone(addrs), "0.0.0.0:"+lanPort)
	}
	var ls []net.Listener
	for _, a := range addrs {
		l, err := serve.Listen(a, access)
		if err != nil {
			for _, l := range ls {
				err = errors.Join(err, l.Close())
			}
			return nil, accessError(err)
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// bringUp loads the models while the server already answers, then says that it
// is ready.
func bringUp(ctx context.Context, cmd *cobra.Command, f *serveFlags, srv *serve.Server, ls []net.Listener) error {
	if err := srv.Load(ctx); err != nil {
		return err
	}
	for _, name := range f.deltas {
		if err := addDelta(ctx, srv, name); err != nil {
			return err
		}
	}
	debug.FreeOSMemory() // loading needs more than serving; what is left may be years
	ready, unavailable := srv.Models()
	if err := serve.Notify(fmt.Sprintf("READY=1\nSTATUS=%d models serve, %d do not load", ready, unavailable)); err != nil {
		return err
	}
	result := struct {
		Listen      []string `json:"listen"`
		Ready       int      `json:"models_ready"`
		Unavailable int      `json:"models_unavailable"`
		State       string   `json:"state"`
	}{Ready: ready, Unavailable: unavailable, State: f.state}
	for _, l := range ls {
		result.Listen = append(result.Listen, serve.Address(l))
	}
	return emit(cmd, result, func(w io.Writer) error {
		fmt.Fprintf(w, "serving %d models", ready)
		if unavailable > 0 {
			fmt.Fprintf(w, " (%d more do not load: POST /v2/repository/index says why)", unavailable)
		}
		for _, a := range result.Listen {
			fmt.Fprintf(w, "\n  %s", a)
		}
		_, err := fmt.Fprintln(w)
		return err
	})
}

// addDelta makes a delta file a version of the model that it belongs to.
func addDelta(ctx context.Context, srv *serve.Server, name string) error {
	d, err := format.OpenDelta(name)
	if err != nil {
		return fileError(name, err)
	}
	if d.Parent != [len(d.Parent)]byte{} {
		return fmt.Errorf("%s is a delta of a delta: make one model of them with whet merge", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	signature, err := os.ReadFile(name + sign.Suffix)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, _, err = srv.AddDelta(ctx, hex.EncodeToString(d.Base[:]), b, signature)
	return fileError(name, err)
}

// version is set by release builds.
var version string

// buildVersion is the release's or the module's version, or "devel".
func buildVersion() string {
	if version != "" {
		return version
	}
	b, ok := debug.ReadBuildInfo()
	if !ok || slices.Contains([]string{"", "(devel)"}, b.Main.Version) {
		return "devel"
	}
	return b.Main.Version
}
