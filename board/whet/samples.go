package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format/vfs"
)

func newSamplesCmd() *cobra.Command {
	var daemon daemonFlags
	cmd := &cobra.Command{
		Use:   "samples",
		Short: "List, export and delete the samples that a daemon keeps",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("samples needs one of list, export, delete and purge")
		},
	}
	daemon.add(cmd)
	cmd.AddCommand(newSamplesListCmd(&daemon), newSamplesExportCmd(&daemon), newSamplesDeleteCmd(&daemon), newSamplesPurgeCmd(&daemon))
	return cmd
}

// sampleList is a reply to GET .../samples, and what whet samples list prints.
type sampleList struct {
	Model   string         `json:"model_name"`
	Count   int            `json:"count"`
	Bytes   int64          `json:"bytes"`
	Labels  map[string]int `json:"labels"`
	Samples []sampleInfo   `json:"samples"`
}

type sampleInfo struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Time  int64  `json:"time"` // Unix milliseconds
	Media string `json:"media,omitempty"`
	Form  string `json:"form"`
	Bytes int    `json:"bytes"`
}

func newSamplesListCmd(daemon *daemonFlags) *cobra.Command {
	var limit int
	var after uint64
	cmd := &cobra.Command{
		Use:   "list MODEL",
		Short: "Count a model's samples by label and list them, the oldest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &sampleList{}
			path := fmt.Sprintf("/samples?limit=%d&after=%d", limit, after)
			if err := daemon.ask(cmd.Context(), "GET", args[0], path, nil, nil, r); err != nil {
				return err
			}
			return emit(cmd, r, r.text)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to list, at most 10000")
	cmd.Flags().Uint64Var(&after, "after", 0, "list those behind this number")
	return cmd
}

func (r *sampleList) text(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d samples, %s\n", r.Model, r.Count, byteCount(r.Bytes))
	tw := table(w)
	for _, l := range slices.Sorted(maps.Keys(r.Labels)) {
		fmt.Fprintf(tw, "  %s\t%d\n", l, r.Labels[l])
	}
	if len(r.Samples) > 0 {
		fmt.Fprintln(tw, "SAMPLE\tLABEL\tADDED\tBYTES\tKIND")
	}
	for _, s := range r.Samples {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\n", s.ID, s.Label, time.UnixMilli(s.Time).UTC().Format(time.DateTime), s.Bytes, s.Form)
	}
	return tw.Flush()
}

func newSamplesExportCmd(daemon *daemonFlags) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export MODEL -o FILE.npz",
		Short: "Write a model's samples to a file that whet tune, whet eval and NumPy read",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("samples export needs -o: the .npz to write")
			}
			resp, err := daemon.request(cmd.Context(), "GET", args[0], "/samples/export", nil, nil)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			r := struct {
				Model  string `json:"model_name"`
				Output string `json:"output"`
				Bytes  int64  `json:"output_bytes"`
			}{Model: args[0], Output: out}
			// What breaks off on the way leaves no file.
			err = vfs.WriteFile(vfs.OS, out, func(w io.Writer) error {
				r.Bytes, err = io.Copy(w, resp.Body)
				return err
			})
			if err != nil {
				return err
			}
			return emit(cmd, r, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s: %s\n", r.Output, byteCount(r.Bytes))
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the .npz to write")
	return cmd
}

// samplesDeleted is what whet samples delete and purge print.
type samplesDeleted struct {
	Model   string `json:"model_name"`
	Deleted int    `json:"deleted"`
}

func (d *samplesDeleted) text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %d samples deleted\n", d.Model, d.Deleted)
	return err
}

func newSamplesDeleteCmd(daemon *daemonFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "delete MODEL SAMPLE...",
		Short: "Delete samples by their numbers",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args[1:] {
				if _, err := strconv.ParseUint(id, 10, 64); err != nil {
					return usagef("%q is no sample's number: whet samples list %s has them", id, args[0])
				}
			}
			d := &samplesDeleted{Model: args[0]}
			for _, id := range args[1:] {
				var one samplesDeleted
				if err := daemon.ask(cmd.Context(), "DELETE", args[0], "/samples/"+id, nil, nil, &one); err != nil {
					return fmt.Errorf("%d deleted, then sample %s: %w", d.Deleted, id, err)
				}
				d.Deleted += one.Deleted
			}
			return emit(cmd, d, d.text)
		},
	}
}

func newSamplesPurgeCmd(daemon *daemonFlags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge MODEL --yes",
		Short: "Delete all samples of a model, and their bytes from the disk",
		Long: `purge deletes all samples of a model and every file that holds one. The bytes are
not overwritten: what a flash card keeps of them is up to the card.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usageError{errors.New("purge deletes all samples for good: say --yes")}
			}
			d := &samplesDeleted{Model: args[0]}
			if err := daemon.ask(cmd.Context(), "DELETE", d.Model, "/samples", nil, nil, d); err != nil {
				return err
			}
			return emit(cmd, d, d.text)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "all samples are to go")
	return cmd
}
