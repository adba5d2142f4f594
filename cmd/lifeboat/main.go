//go:debug tarinsecurepath=0

// Command lifeboat reads what is left of a Kubernetes control plane (a
// kube-backup archive, an etcd snapshot, a database file, a member's data dir)
// and gives back what is wanted, on a host without cluster and network.
//
// The package is the program's start and the list of its verbs, and the tests
// of the whole program. The command line is built elsewhere:
//
//   - cmd/internal/console: what all verbs share: the environment, flags before
//     and after arguments, exit codes, output, progress, help;
//   - cmd/objects, cmd/archives, cmd/etcd, cmd/simulations, cmd/drills, cmd/keys:
//     the verbs, one file each. A verb parses, opens, calls one function of a
//     library package and prints what came back.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func main() {
	noCore()
	sandbox.Main()                    // does not return in a process that was started as the first of a sandbox
	drill.Main()                      // does not return in a process that was started as a drill's worker
	etcdproc.Main(datadir.Tasks()...) // does not return in a process that was started as the etcd child
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(int(code))
}

// untilSignal gives a context that the first signal cancels, so that clean-up
// runs. It lets go of the signals then: the second one kills.
//
// SIGPIPE is ignored so that a reader who went away (`| head`) is an error that
// unwinds, instead of a sudden death that leaves a scratch folder. A SIGHUP
// that nohup(1) had switched off stays off.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
