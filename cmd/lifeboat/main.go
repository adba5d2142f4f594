// Command lifeboat reads what is left of a Kubernetes control plane (a
// kube-backup archive, an etcd snapshot, a database file, a member's data dir)
// and gives back what is wanted, on a host without cluster and network.
//
// The package is the command line and nothing else. Read it in this order:
//
//   - app.go: environment, what every verb is given; run, the whole program as
//     a function of its arguments and streams; verbs, the list of commands;
//   - args.go: flags before and after arguments, checked before anything runs;
//   - exit.go: the exit codes, and the one place that prints errors and hints;
//   - source.go: the one place where archives, snapshots and keys meet;
//   - then one file per verb. A verb parses, opens, calls one function of a
//     library package and prints what came back.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func main() {
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
