package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/board/pull"
	"github.com/whet-edge/whet/board/sign"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
)

// pullReport is what whet pull prints.
type pullReport struct {
	Model  string `json:"model"`
	From   string `json:"from"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"` // that was asked for and checked
	Digest string `json:"digest"`

	Signed *sign.Claim `json:"signed,omitempty"`
}

func newPullCmd() *cobra.Command {
	var out, keys string
	cmd := &cobra.Command{
		Use:   "pull ADDRESS",
		Short: "Bring a model from a web address or an OCI registry",
		Long: `pull brings a model to this board. An ADDRESS is
  https://HOST/PATH/NAME.whet[#sha256=HEX]
  oci://REGISTRY/REPOSITORY[:TAG|@sha256:HEX]

A pull that was interrupted goes on where it was. The file gets its name when it is
whole, has the digest that the registry or #sha256= says, and is a model that whet
can read. With --keys it must also be signed for its name (whet sign) by one of them;
the signature comes from NAME.whet.minisig beside the model.`,
		Example: `  whet pull oci://registry.example.org/zoo/cats:v2
  whet pull https://example.org/cats.whet#sha256=1f0c... -o models/cats.whet`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runPull(cmd, args[0], out, keys) },
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the file, or a folder for it (default: its own name, here)")
	cmd.Flags().StringVar(&keys, "keys", "", "minisign public keys, of which one must have signed the model")
	return cmd
}

// maxSignature bounds a signature in bytes.
const maxSignature = 4096

func runPull(cmd *cobra.Command, from, out, keyFile string) error {
	var keys sign.Keys
	if keyFile != "" {
		var err error
		if keys, err = sign.ReadKeys(keyFile); err != nil {
			return err
		}
	}
	p := &pull.Puller{}
	b, err := p.Find(cmd.Context(), from)
	if err != nil {
		return err
	}
	if st, err := os.Stat(out); out == "" || err == nil && st.IsDir() {
		name := filepath.Base(filepath.Clean("/" + b.Name))
		if !strings.HasSuffix(name, ".whet") {
			return usagef("%s does not say what the model is called: give -o NAME.whet", from)
		}
		out = filepath.Join(out, name)
	}
	var signature []byte
	if keys != nil {
		if b.Signature == nil {
			return fmt.Errorf("%s: %w", from, sign.ErrUnsigned)
		}
		if signature, err = p.Bytes(cmd.Context(), b.Signature, maxSignature); err != nil {
			return fmt.Errorf("the signature: %w", err)
		}
	}
	var bar *progress
	p.Progress = func(done, total int64) {
		if bar == nil {
			bar = newProgress(cmd, int(min(total, math.MaxInt32)), filepath.Base(out))
		}
		bar.set(int(min(done, math.MaxInt32)))
	}
	r := &pullReport{Model: out, From: from, SHA256: b.SHA256}
	err = p.Get(cmd.Context(), b, out, func(part string) error {
		m, err := format.Open(part)
		if err != nil {
			return fileError(out, err)
		}
		defer m.Close()
		r.Digest = fmt.Sprintf("%x", m.Header.Digest)
		st, err := os.Stat(part)
		if err != nil {
			return err
		}
		r.Bytes = st.Size()
		if keys == nil {
			return nil
		}
		f, err := os.Open(part)
		if err != nil {
			return err
		}
		defer f.Close()
		claim, err := keys.Verify(f, signature, modelOf(out), 0)
		r.Signed = &claim
		return fileError(out, err)
	})
	if bar != nil {
		bar.done()
	}
	if err != nil {
		return err
	}
	if signature != nil {
		// The daemon asks for it, too.
		err := vfs.WriteFile(vfs.OS, out+sign.Suffix, func(w io.Writer) error { _, err := w.Write(signature); return err })
		if err != nil {
			return err
		}
	}
	return emit(cmd, r, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s\n", r.Model, byteCount(r.Bytes))
		return err
	})
}
