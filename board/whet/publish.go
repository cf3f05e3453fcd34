package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/sign"
)

// published is what whet publish prints.
type published struct {
	Model    string  `json:"model_name"`
	Version  string  `json:"version"`
	Delta    string  `json:"delta"`              // its SHA-256
	Previous string  `json:"previous,omitempty"` // the version that served before
	Canary   float64 `json:"canary,omitempty"`   // the share of requests that try it
	Waits    bool    `json:"waits"`              // it is kept and serves nothing yet
}

func newPublishCmd() *cobra.Command {
	var daemon daemonFlags
	var canary float64
	var keep bool
	cmd := &cobra.Command{
		Use:   "publish MODEL TUNED.whetd",
		Short: "Give a daemon a tuned version of one of its models",
		Long: `publish sends what whet tune has made to the daemon, which keeps it as a version
of the model and lets it serve. The version before goes on answering until the new
one has been tried, and whet rollback brings it back.

With --canary the new version answers a share of the requests first. It stays if it
does as well as the old one, and goes by itself if it does not.

A signature is taken from TUNED.whetd.minisig if that is there.`,
		Example: `  whet tune kws.whet --data words -o mine.whetd
  whet publish kws mine.whetd
  whet publish kws mine.whetd --canary 0.1`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("canary") && !(canary > 0 && canary < 1) {
				return usagef("--canary %v: a share above 0 and below 1 is expected", canary)
			}
			if keep && canary > 0 {
				return usagef("--keep and --canary: one of them")
			}
			p, err := publish(cmd, &daemon, args[0], args[1])
			if err != nil {
				return err
			}
			switch {
			case keep:
				p.Waits = true
			case canary > 0:
				p.Canary = canary
				err = daemon.change(cmd, p.Model, "/canary", map[string]any{"version": p.Version, "share": canary}, &struct{}{})
			default:
				err = daemon.change(cmd, p.Model, "/promote", map[string]any{"version": p.Version}, p)
			}
			if err != nil {
				return fmt.Errorf("version %s is kept, but does not serve: %w", p.Version, err)
			}
			return emit(cmd, p, p.text)
		},
	}
	daemon.add(cmd)
	cmd.Flags().Float64Var(&canary, "canary", 0, "the share of requests that try it first, such as 0.1")
	cmd.Flags().BoolVar(&keep, "keep", false, "only keep it: POST /v2/models/MODEL/promote lets it serve")
	return cmd
}

// publish sends the file and its signature.
func publish(cmd *cobra.Command, daemon *daemonFlags, model, file string) (*published, error) {
	delta, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	signature, err := os.ReadFile(file + sign.Suffix)
	switch {
	case err == nil:
		header.Set(serve.SignatureHeader, base64.StdEncoding.EncodeToString(signature))
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	p := &published{}
	return p, daemon.ask(cmd.Context(), "POST", model, "/versions", header, delta, p)
}

// change asks for a change of what a model serves.
func (f *daemonFlags) change(cmd *cobra.Command, model, path string, what map[string]any, v any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return f.ask(cmd.Context(), "POST", model, path, nil, body, v)
}

func (p *published) text(w io.Writer) error {
	fmt.Fprintf(w, "%s: version %s ", p.Model, p.Version)
	var err error
	switch {
	case p.Waits:
		_, err = fmt.Fprintln(w, "is kept")
	case p.Canary > 0:
		_, err = fmt.Fprintf(w, "answers %.3g %% of the requests on trial\n", 100*p.Canary)
	default:
		_, err = fmt.Fprintf(w, "serves (before: %s)\n", p.Previous)
	}
	return err
}

// rolledBack is what whet rollback prints.
type rolledBack struct {
	Model    string `json:"model_name"`
	Version  string `json:"version"`
	Previous string `json:"previous"`
}

func newRollbackCmd() *cobra.Command {
	var daemon daemonFlags
	cmd := &cobra.Command{
		Use:   "rollback MODEL",
		Short: "Let a daemon serve the version that it served before",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &rolledBack{}
			if err := daemon.change(cmd, args[0], "/rollback", map[string]any{}, r); err != nil {
				return err
			}
			return emit(cmd, r, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s: version %s serves (before: %s)\n", r.Model, r.Version, r.Previous)
				return err
			})
		},
	}
	daemon.add(cmd)
	return cmd
}
