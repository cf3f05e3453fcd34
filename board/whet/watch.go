package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/board/events"
	"github.com/whet-edge/whet/board/senses"
	"github.com/whet-edge/whet/format/vfs"
)

type watchFlags struct {
	from, address, state, tokenFile, node string
	min                                   float64
	need, of                              int
	all                                   bool

	mqtt, mqttPassword, mqttCA string
	mqttAcks                   bool
	webhook, webhookToken      string
}

func newWatchCmd() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch MODEL --from SOURCE",
		Short: "Show a camera, microphone or folder to a model and tell what changes",
		Long: `watch shows what a camera or microphone sees and hears to a model of the daemon
of this board (whet serve), and prints an event whenever the answer changes. The
model sees the newest frame; frames that come while it computes are dropped.

A SOURCE is one of
  camera:/dev/video0?size=640x480&fps=15   a USB camera; camera: takes the first
  mic:hw:1,0?rate=16000                    a microphone; mic: takes the first
  rpicam:?size=640x480                     a Raspberry Pi camera, by rpicam-vid
  rtsp://HOST/PATH?fps=5                   a network camera, by ffmpeg
  exec:COMMAND ARG...                      a program that writes JPEG pictures
  sound:COMMAND ARG...                     a program that writes mono 16-bit samples
  FILE or DIR                              a picture or sound; new ones in a folder
Sound is cut into windows: window=1s, one each hop=500ms. What fails is started
again, after 1 s, then 2 s and so on up to a minute.

A label is an event when --need of the last --of answers say it with a score of at
least --min. Events go to the terminal, and with --mqtt and --webhook to others;
they are kept in the state directory until they have arrived. With --mqtt each
model is a sensor of Home Assistant, without more ado.`,
		Example: `  whet watch cats --from camera:
  whet watch cats --from rpicam: --mqtt mqtt://homeassistant.local --json
  whet watch words --from mic: --webhook https://example.org/heard
  whet watch cats --from shots/ --all`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "", "what is shown to the model")
	fl.StringVar(&f.address, "address", "", "the daemon: unix:PATH or http://HOST:PORT (default: this board's)")
	fl.StringVar(&f.state, "state", "", "the daemon's state directory (default as for whet serve)")
	fl.StringVar(&f.tokenFile, "token-file", "", "file with a token for the daemon")
	fl.StringVar(&f.node, "name", "", "what this board is called in events (default: its host name)")
	fl.Float64Var(&f.min, "min", 0.8, "least score of an answer that counts")
	fl.IntVar(&f.need, "need", 2, "how many of the last answers must agree")
	fl.IntVar(&f.of, "of", 3, "how many answers are looked at")
	fl.BoolVar(&f.all, "all", false, "print every answer, not only changes")
	fl.StringVar(&f.mqtt, "mqtt", "", "send events to a broker: mqtt://[USER@]HOST[:1883] or mqtts://[USER@]HOST[:8883]")
	fl.StringVar(&f.mqttPassword, "mqtt-password-file", "", "file with the broker's password")
	fl.StringVar(&f.mqttCA, "mqtt-ca", "", "certificates (PEM) that the broker's is signed by (default: the system's)")
	fl.BoolVar(&f.mqttAcks, "mqtt-acks", false, "keep events until somebody writes their id to whet/NAME/acknowledged")
	fl.StringVar(&f.webhook, "webhook", "", "post events as JSON to this address")
	fl.StringVar(&f.webhookToken, "webhook-token-file", "", "file with a bearer token for it")
	return cmd
}

func (f *watchFlags) run(cmd *cobra.Command, model string) (err error) {
	if f.from == "" {
		return usagef("--from is missing: a camera, a microphone, a program or a folder, see whet watch --help")
	}
	if f.min < 0 || f.min > 1 || f.of < 1 || f.of > 1000 || f.need < 1 || f.need > f.of {
		return usagef("--min is within 0 and 1, --need within 1 and --of")
	}
	source, err := senses.Open(f.from)
	if err != nil {
		return usageError{err}
	}
	address, err := daemonAddress(f.address, f.state)
	if err != nil {
		return err
	}
	client, err := newDaemonClient(address)
	if err != nil {
		return err
	}
	if client.token, err = secret(f.tokenFile); err != nil {
		return err
	}
	if f.node == "" {
		if f.node, err = os.Hostname(); err != nil {
			return usagef("the board has no name: give --name (%v)", err)
		}
	}
	f.node = events.ObjectID(f.node)
	w := &watcher{
		flags: f, model: model, client: client, log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)),
		judge: events.Judge{Min: f.min, Need: f.need, Of: f.of},
	}
	w.print, err = printer(cmd)
	if err != nil {
		return err
	}
	// A model that is not there is a wrong word, not a thing to wait for.
	var about struct{ Error string }
	if code, err := client.get(cmd.Context(), "GET", "/v2/models/"+url.PathEscape(model), &about); err != nil {
		return fmt.Errorf("no daemon answers at %s (whet serve starts one): %w", address, err)
	} else if code != http.StatusOK {
		return fmt.Errorf("the daemon at %s: %s", address, about.Error)
	}
	ctx, stop := context.WithCancel(cmd.Context())
	var sinks sync.WaitGroup
	defer func() {
		stop()
		sinks.Wait()
		for _, box := range w.boxes {
			err = errors.Join(err, box.Close())
		}
	}()
	if err := f.sinks(ctx, w, &sinks); err != nil {
		return err
	}
	var frames senses.Latest
	var sensing sync.WaitGroup
	sensing.Go(func() {
		defer frames.Close()
		senses.Keep(ctx, source, frames.Put, func(err error, wait time.Duration) {
			w.log.Warn("the source fails", "error", err, "again_in", wait)
		})
	})
	err = w.watch(ctx, &frames)
	stop()
	sensing.Wait()
	return err
}

// sinks starts what sends events away.
func (f *watchFlags) sinks(ctx context.Context, w *watcher, running *sync.WaitGroup) error {
	start := func(name string, run func(context.Context, *events.Outbox, func(error, time.Duration))) error {
		state := f.state
		if state == "" {
			var err error
			if state, err = defaultState(); err != nil {
				return err
			}
		}
		// Two watchers must not share an outbox.
		dir := filepath.Join(state, "events")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		box, err := events.OpenOutbox(vfs.OS, filepath.Join(dir, name+"-"+events.ObjectID(w.model)), events.DefaultLimit)
		if err != nil {
			return err
		}
		w.boxes = append(w.boxes, box)
		running.Go(func() {
			run(ctx, box, func(err error, wait time.Duration) {
				w.log.Warn("events do not arrive", "by", name, "error", err, "again_in", wait, "kept", box.Pending())
			})
		})
		return nil
	}
	if f.mqtt != "" {
		m, err := f.broker(w.model)
		if err != nil {
			return err
		}
		if err := start("mqtt", m.Run); err != nil {
			return err
		}
	}
	if f.webhook != "" {
		u, err := url.Parse(f.webhook)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return usagef("--webhook %s: http://HOST/... or https://HOST/... is expected", f.webhook)
		}
		token, err := secret(f.webhookToken)
		if err != nil {
			return err
		}
		h := &events.Webhook{URL: f.webhook, Token: token}
		return start("webhook", h.Run)
	}
	return nil
}

// broker reads the flags of --mqtt.
func (f *watchFlags) broker(model string) (*events.MQTT, error) {
	u, err := url.Parse(f.mqtt)
	if err != nil || u.Hostname() == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return nil, usagef("--mqtt %s: mqtt://[USER@]HOST[:PORT] or mqtts://... is expected", f.mqtt)
	}
	if _, has := u.User.Password(); has {
		return nil, usagef("--mqtt: a password in the address is seen by all programs of the board: give --mqtt-password-file")
	}
	m := &events.MQTT{User: u.User.Username(), Node: f.node, Version: buildVersion(), Models: []string{model}, Acks: f.mqttAcks}
	port := "1883"
	if u.Scheme == "mqtts" {
		port = "8883"
		m.TLS = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		if f.mqttCA != "" {
			pem, err := os.ReadFile(f.mqttCA)
			if err != nil {
				return nil, err
			}
			m.TLS.RootCAs = x509.NewCertPool()
			if !m.TLS.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s: no certificate in PEM form is in it", f.mqttCA)
			}
		}
	}
	if u.Port() != "" {
		port = u.Port()
	}
	m.Address = u.Hostname() + ":" + port
	m.Password, err = secret(f.mqttPassword)
	return m, err
}

// secret reads a file with one line; no file has none.
func secret(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return "", fmt.Errorf("%s: one line with the secret is expected", name)
	}
	return s, nil
}

// A watcher shows frames to a model.
type watcher struct {
	flags  *watchFlags
	model  string
	client daemonClient
	log    *slog.Logger
	judge  events.Judge
	boxes  []*events.Outbox
	print  func(watchLine) error
}

// watchLine is what whet watch prints, one line an event, or with --all an answer.
type watchLine struct {
	Time    time.Time `json:"time"`
	Model   string    `json:"model"`
	Version string    `json:"version"`
	Source  string    `json:"source"`
	Frame   uint64    `json:"frame"`
	File    string    `json:"file,omitempty"`
	Label   string    `json:"label"`
	Score   float64   `json:"score"`
	Event   bool      `json:"event"` // the label is seen from now on
	Was     string    `json:"was"`
	MS      float64   `json:"ms"` // from the frame to the answer
	Dropped uint64    `json:"dropped"`
}

func printer(cmd *cobra.Command) (func(watchLine) error, error) {
	asJSON, err := cmd.Flags().GetBool("json")
	out := cmd.OutOrStdout()
	if asJSON {
		e := json.NewEncoder(out)
		return func(l watchLine) error { return e.Encode(l) }, err
	}
	return func(l watchLine) error {
		_, err := io.WriteString(out, l.text())
		return err
	}, err
}

func (l watchLine) text() string {
	what := l.Label
	if what == "" {
		what = "nothing"
	}
	s := fmt.Sprintf("%s  %-24s %5.1f %%  %6.1f ms", l.Time.Format(time.TimeOnly), what, 100*l.Score, l.MS)
	if l.File != "" {
		s += "  " + filepath.Base(l.File)
	}
	if l.Event && l.Was != "" {
		s += "  (was " + l.Was + ")"
	}
	return s + "\n"
}

// watch asks the model until the frames end or the context is done. Being told to
// stop is its way to end.
func (w *watcher) watch(ctx context.Context, frames *senses.Latest) error {
	failing := false
	for {
		f, ok := frames.Next(ctx)
		if !ok {
			return nil
		}
		a, version, err := w.ask(ctx, f)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// The daemon may be starting again, and a frame may be broken: said once.
			if !failing {
				w.log.Warn("the model does not answer", "error", err)
			}
			failing = true
			continue
		}
		failing = false
		l := watchLine{
			Time: f.Time, Model: w.model, Version: version, Source: f.Source, Frame: f.Seq, File: f.Name,
			Label: a.Label, Score: a.Score, MS: float64(time.Since(f.Time).Microseconds()) / 1000, Dropped: frames.Dropped(),
		}
		label, score, was, changed := w.judge.Look(a)
		if changed {
			l.Event, l.Was = true, was
			if !w.flags.all {
				l.Label, l.Score = label, score
			}
			w.keep(events.Event{Time: f.Time.UnixMilli(), Model: w.model, Version: version, Source: f.Source, Label: label, Score: score, Was: was})
		}
		if changed || w.flags.all {
			if err := w.print(l); err != nil {
				return err
			}
		}
	}
}

// keep puts an event into all outboxes. A full disk must not stop the watching.
func (w *watcher) keep(e events.Event) {
	for _, box := range w.boxes {
		if _, err := box.Add(e); err != nil {
			w.log.Error("an event is lost", "label", e.Label, "error", err)
		}
	}
}

// manyClasses is more than any classifier has, so that scores can be made to
// probabilities here.
const manyClasses = 1 << 20

// ask shows a frame to the model.
func (w *watcher) ask(ctx context.Context, f senses.Frame) (a events.Answer, version string, err error) {
	var reply struct {
		Error   string
		Version string `json:"model_version"`
		Outputs []struct{ Data []string }
	}
	path := "/v2/models/" + url.PathEscape(w.model) + "/infer?classification=" + strconv.Itoa(manyClasses)
	code, err := w.client.send(ctx, "POST", path, f.Media, f.Data, &reply)
	if err != nil {
		return a, "", err
	}
	if code != http.StatusOK {
		return a, "", errors.New(reply.Error)
	}
	if len(reply.Outputs) == 0 || len(reply.Outputs[0].Data) == 0 {
		return a, "", errors.New("the model gives no classes")
	}
	a, err = best(reply.Outputs[0].Data)
	return a, reply.Version, err
}

// best returns the first of the classes, which come as VALUE:INDEX[:LABEL] in falling
// order, with its probability: the value itself if all of them add up to one, else
// its softmax.
func best(classes []string) (a events.Answer, err error) {
	var sum, exps, top float64
	positive := true
	for i, c := range classes {
		value, rest, _ := strings.Cut(c, ":")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return a, fmt.Errorf("class %q has no score", c)
		}
		if i == 0 {
			index, label, _ := strings.Cut(rest, ":")
			if top, a.Label = v, label; label == "" {
				a.Label = "class " + index
			}
		}
		positive = positive && v >= 0
		sum += v
		exps += math.Exp(v - top)
	}
	if a.Score = 1 / exps; positive && sum > 0.9 && sum < 1.1 {
		a.Score = top
	}
	return a, nil
}
