//go:build man

package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// The tag man adds the command that writes the manual pages; the program that
// people run does without what it needs.
func init() {
	extra = append(extra, func() *cobra.Command {
		return &cobra.Command{
			Use: "man DIR", Hidden: true, Args: cobra.ExactArgs(1), Short: "Write the manual pages into a folder",
			RunE: func(cmd *cobra.Command, args []string) error {
				if err := os.MkdirAll(args[0], 0o755); err != nil {
					return err
				}
				root := cmd.Root()
				root.DisableAutoGenTag = true
				// The same pages whenever they are made.
				epoch := time.Unix(0, 0).UTC()
				return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Date: &epoch, Source: "whet", Manual: "whet"}, args[0])
			},
		}
	})
}
