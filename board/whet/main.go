// Whet runs, measures, tunes and serves quantized neural networks.
//
//	whet demo
//	whet run mobilenet_v2.whet --input cat.jpg
//
// Results go to standard output, as text or with --json as JSON; progress and
// errors go to standard error. It exits 0 when the work is done, 1 when it
// failed and 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	_ "github.com/whet-edge/whet/runtime/more" // any model runs
)

func main() {
	// A second signal, after stop, ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// A usageError is a call that cannot be carried out whatever the files hold.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCmd()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "whet: %v\n", err)
		return exitUsage
	case !started: // the library found the fault before the command ran
		fmt.Fprintf(stderr, "whet: %v\nusage: %s\n%s --help says more\n", err, cmd.UseLine(), cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "whet: stopped: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stderr, "whet: %v\n", err)
	return exitFailed
}

// extra are commands of builds with a tag.
var extra []func() *cobra.Command

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "whet",
		Short: "Run, measure, tune and serve quantized neural networks",
		Long: `whet runs quantized neural networks on small boards and keeps sharpening them there.

See it first:          whet demo
A model's inside:      whet inspect MODEL.whet
A picture's name:      whet run MODEL.whet --input cat.jpg
How fast:              whet bench MODEL.whet
Your own classes:      whet tune MODEL.whet --data DIR -o MINE.whetd

whet-convert makes .whet models of those of TensorFlow, PyTorch (ONNX) and Keras.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().Bool("json", false, "print the result as JSON")
	root.AddCommand(
		newBenchCmd(), newBuildCmd(), newChangeCmd(), newDemoCmd(), newDeployCmd(), newDoctorCmd(), newEvalCmd(), newExplainCmd(), newGenerateCmd(), newInspectCmd(),
		newMergeCmd(), newPsCmd(), newPublishCmd(), newPullCmd(), newRollbackCmd(), newRunCmd(), newSamplesCmd(), newServeCmd(), newSignCmd(), newTuneCmd(), newVerifyCmd(), newWatchCmd(),
	)
	for _, c := range extra {
		root.AddCommand(c())
	}
	return root
}
