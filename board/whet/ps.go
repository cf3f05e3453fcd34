package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// psReport is what whet ps found.
type psReport struct {
	Address string    `json:"address"`
	Version string    `json:"version"`
	Ready   bool      `json:"ready"`
	Models  []psModel `json:"models"`
}

type psModel struct {
	Name     string  `json:"name"`
	Version  string  `json:"version,omitempty"`
	State    string  `json:"state"`
	Reason   string  `json:"reason,omitempty"`
	Requests int64   `json:"requests"`
	MeanMS   float64 `json:"mean_ms"` // of an inference
	Memory   int64   `json:"memory_bytes"`
	Job      string  `json:"job,omitempty"`
}

func newPsCmd() *cobra.Command {
	var state, address string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "Say what a daemon on this board serves",
		Long: `ps asks the daemon of this board, by its socket in the state directory, what it
serves and how it is. It exits with 1 if the daemon does not answer, is not ready
or has a model that does not load.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := daemonAddress(address, state)
			if err != nil {
				return err
			}
			r, err := askDaemon(cmd.Context(), address, wait)
			if err != nil {
				return err
			}
			if err := emit(cmd, r, r.text); err != nil {
				return err
			}
			return r.wrong()
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "the daemon's state directory (default as for whet serve)")
	cmd.Flags().StringVar(&address, "address", "", "unix:PATH or http://HOST:PORT instead")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait until it is ready")
	return cmd
}

// askDaemon asks until the daemon is ready or the time is up.
func askDaemon(ctx context.Context, address string, wait time.Duration) (*psReport, error) {
	c, err := newDaemonClient(address)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(wait)
	for {
		r, err := c.report(ctx, address)
		if err == nil && r.Ready || time.Now().After(deadline) {
			if err != nil {
				err = fmt.Errorf("no daemon answers at %s: %w", address, err)
			}
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c daemonClient) report(ctx context.Context, address string) (*psReport, error) {
	r := &psReport{Address: address, Models: []psModel{}}
	var server struct{ Version, Error string }
	code, err := c.get(ctx, "GET", "/v2", &server)
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, errors.New(server.Error)
	}
	r.Version = server.Version
	var ready struct{ Ready bool }
	if _, err := c.get(ctx, "GET", "/v2/health/ready", &ready); err != nil {
		return nil, err
	}
	r.Ready = ready.Ready
	if _, err := c.get(ctx, "POST", "/v2/repository/index", &r.Models); err != nil {
		return nil, err
	}
	var stats struct {
		Models []struct {
			Name       string
			Inferences int64 `json:"inference_count"`
			Stats      struct {
				Success struct{ Count, NS int64 }
			} `json:"inference_stats"`
			Memory []struct {
				Bytes int64 `json:"byte_size"`
			} `json:"memory_usage"`
		} `json:"model_stats"`
	}
	if _, err := c.get(ctx, "GET", "/v2/models/stats", &stats); err != nil {
		return nil, err
	}
	for i := range r.Models {
		m := &r.Models[i]
		for _, s := range stats.Models {
			if s.Name != m.Name {
				continue
			}
			m.Requests = s.Inferences
			if n := s.Stats.Success.Count; n > 0 {
				m.MeanMS = float64(s.Stats.Success.NS) / float64(n) / 1e6
			}
			for _, u := range s.Memory {
				m.Memory += u.Bytes
			}
		}
		var job struct{ State string }
		if code, err := c.get(ctx, "GET", "/v2/models/"+m.Name+"/train", &job); err == nil && code == http.StatusOK {
			m.Job = job.State
		}
	}
	return r, nil
}

// wrong is the first thing that is not as it should be.
func (r *psReport) wrong() error {
	if !r.Ready {
		return errors.New("the daemon is not ready: it loads its models")
	}
	for _, m := range r.Models {
		if m.State != "READY" {
			return fmt.Errorf("model %s is %s: %s", m.Name, strings.ToLower(m.State), m.Reason)
		}
	}
	return nil
}

func (r *psReport) text(w io.Writer) error {
	state := "ready"
	if !r.Ready {
		state = "not ready"
	}
	fmt.Fprintf(w, "whet %s at %s: %s\n", r.Version, r.Address, state)
	tw := table(w)
	fmt.Fprintln(tw, "MODEL\tVERSION\tSTATE\tREQUESTS\tMEAN\tMEMORY\tTRAINING")
	for _, m := range r.Models {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%.2f ms\t%s\t%s\n", m.Name, m.Version, strings.ToLower(m.State), m.Requests, m.MeanMS, byteCount(m.Memory), m.Job)
	}
	return tw.Flush()
}
