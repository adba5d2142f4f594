package main

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/archives"
	"github.com/lifeboat-dr/lifeboat/cmd/drills"
	"github.com/lifeboat-dr/lifeboat/cmd/etcd"
	"github.com/lifeboat-dr/lifeboat/cmd/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/cmd/keys"
	"github.com/lifeboat-dr/lifeboat/cmd/objects"
	"github.com/lifeboat-dr/lifeboat/cmd/simulations"
)

// verbs are the commands in the order of the help text. help.go adds "help".
func verbs(env *console.Environment) []*cli.Command {
	return []*cli.Command{
		objects.ExtractCommand(env),
		objects.GetCommand(env),
		objects.HistoryCommand(env),
		objects.DiffCommand(env),
		objects.InspectCommand(env),
		objects.ServeCommand(env),
		objects.KubectlCommand(env),
		etcd.EtcdCommand(env),
		host.HostCommand(env),
		simulations.SimCommand(env),
		drills.DrillCommand(env),
		archives.ArchiveCommand(env),
		archives.ProveCommand(env),
		keys.KeyCommand(env),
		console.CompletionCommand(env),
		console.VersionCommand(env),
	}
}

// run is the whole program as a function of its arguments and streams.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) console.ExitCode {
	return console.Run(ctx, args, stdin, stdout, stderr, verbs)
}
