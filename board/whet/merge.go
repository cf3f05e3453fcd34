package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
)

func newMergeCmd() *cobra.Command {
	var mf modelFlags
	var out string
	cmd := &cobra.Command{
		Use:   "merge MODEL.whet --delta TUNED.whetd -o OUT.whet",
		Short: "Make one model of a model and its delta",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(mf.deltas) == 0 || out == "" {
				return usagef("merge needs --delta and --output")
			}
			m, err := mf.open(args[0])
			if err != nil {
				return err
			}
			if err := format.WriteFile(out, m); err != nil {
				return fileError(out, err)
			}
			merged, err := format.Open(out)
			if err != nil {
				return fileError(out, err)
			}
			defer merged.Close()
			result := struct {
				Output string   `json:"output"`
				Digest string   `json:"digest"`
				Labels []string `json:"labels,omitempty"`
			}{out, fmt.Sprintf("%x", merged.Header.Digest), merged.Header.Labels}
			return emit(cmd, result, func(w io.Writer) error {
				fmt.Fprintf(w, "%s written, digest %.16s\n", out, result.Digest)
				return nil
			})
		},
	}
	mf.addDelta(cmd)
	cmd.Flags().StringVarP(&out, "output", "o", "", "the model to write")
	return cmd
}
