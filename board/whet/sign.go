package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/whet-edge/whet/board/sign"
	"github.com/whet-edge/whet/format/vfs"
)

// signedResult is what sign and verify print.
type signedResult struct {
	File      string `json:"file"`
	Signature string `json:"signature"`
	sign.Claim
}

func (r signedResult) emit(cmd *cobra.Command, what string) error {
	return emit(cmd, r, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s: model %s, counter %d\n", r.File, what, r.Model, r.Counter)
		return err
	})
}

// modelOf is the name under which whet serve serves a file.
func modelOf(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

func newSignCmd() *cobra.Command {
	var secret, model string
	var counter uint64
	cmd := &cobra.Command{
		Use:   "sign FILE --key SECRET --counter N",
		Short: "Sign a model or a delta, so that whet serve --keys lets it in",
		Long: `sign writes FILE.minisig beside FILE, in the format of minisign, which makes the
keys: minisign -G. The counter is how new the file is: a daemon that has accepted
one refuses what has a lower one.`,
		Example: `  minisign -G -p whet.pub -s whet.sec
  whet sign kws.whet --key whet.sec --counter 3
  whet serve --models . --keys whet.pub`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if secret == "" || !cmd.Flags().Changed("counter") {
				return usagef("sign needs --key and --counter")
			}
			if model == "" {
				model = modelOf(name)
			}
			key, err := sign.ReadSecretKey(secret, func() (string, error) { return askPassword(cmd, secret) })
			if err != nil {
				return err
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			r := signedResult{name, name + sign.Suffix, sign.Claim{Model: model, Counter: counter}}
			text, err := sign.Sign(key, f, r.Claim)
			if err != nil {
				return fileError(name, err)
			}
			err = vfs.WriteFile(vfs.OS, r.Signature, func(w io.Writer) error {
				_, err := w.Write(text)
				return err
			})
			if err != nil {
				return err
			}
			return r.emit(cmd, "signed")
		},
	}
	cmd.Flags().StringVar(&secret, "key", "", "minisign secret key")
	cmd.Flags().Uint64Var(&counter, "counter", 0, "how new the file is; higher is newer")
	cmd.Flags().StringVar(&model, "model", "", "the model that the file is, or is a delta of (default: the file's name)")
	return cmd
}

func newVerifyCmd() *cobra.Command {
	var public, model string
	var least uint64
	cmd := &cobra.Command{
		Use:   "verify FILE --keys PUBLIC",
		Short: "Check the signature of a model or a delta",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if public == "" {
				return usagef("verify needs --keys")
			}
			if model == "" {
				model = modelOf(name)
			}
			keys, err := sign.ReadKeys(public)
			if err != nil {
				return err
			}
			c, err := keys.VerifyFile(name, model, least)
			if err != nil {
				return err
			}
			return signedResult{name, name + sign.Suffix, c}.emit(cmd, "is signed")
		},
	}
	cmd.Flags().StringVar(&public, "keys", "", "minisign public keys, of which one must have signed it")
	cmd.Flags().StringVar(&model, "model", "", "the model that it must be signed for (default: the file's name)")
	cmd.Flags().Uint64Var(&least, "counter", 0, "refuse what is older than this")
	return cmd
}

// askPassword reads the password of a secret key: from the terminal without
// showing it, else a line of standard input.
func askPassword(cmd *cobra.Command, key string) (string, error) {
	if in, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprintf(cmd.ErrOrStderr(), "Password of %s: ", key)
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(b), err
	}
	var line strings.Builder
	buf := make([]byte, 1)
	for {
		n, err := cmd.InOrStdin().Read(buf)
		if n > 0 && buf[0] == '\n' || errors.Is(err, io.EOF) {
			return strings.TrimSuffix(line.String(), "\r"), nil
		}
		if err != nil {
			return "", err
		}
		line.Write(buf[:n])
	}
}
