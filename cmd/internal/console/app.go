// Package console is what all verbs of the command line share. Read it in this
// order:
//
//   - environment.go: what a verb may touch of the world; app.go: the whole
//     program as a function of its arguments, its streams and its verbs (package
//     argv reads the arguments, flags before and after them);
//   - exit.go: the exit codes, and the one place that prints errors and hints;
//   - flags.go: the flags that stand wherever SRC stands; source.go opens it;
//   - output.go, section.go: the result, and what is said beside it;
//   - help.go, topics.go, completion.go, version.go: the words about it all
//     (package manual lays them out).
package console

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/argv"
)

// Run is a whole program: it parses args (args[0] is the program's name),
// runs one of its verbs, prints its error, and returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, verbs func(*Environment) []*cli.Command) ExitCode {
	env := NewEnvironment(stdin, stdout, stderr)
	env.interrupted = ctx.Done()
	env.Format = formatWanted(args) // so that a usage error is printed in it, too
	env.Progress.ForProgram(env.Format == FormatJSON)
	err := runCommand(ctx, env, NewApp(env, verbs(env)), args[1:])
	if err != nil && ctx.Err() != nil && !errors.Is(err, errSpoken) {
		err = errors.Join(context.Canceled, err)
	}
	env.Progress.Stop()
	return report(env, err)
}

func runCommand(ctx context.Context, env *Environment, app *cli.App, args []string) error {
	call, err := argv.Permute(app, args)
	switch wrong := (*argv.Error)(nil); {
	case errors.As(err, &wrong):
		return WithHint(UsageError(err), cmp.Or(elsewhere(wrong.Path, wrong.Word, wrong.Rest), wrong.Hint))
	case call.Help:
		return env.writeHelp(program(app).Help(call.Path))
	}
	return app.RunContext(ctx, append([]string{app.Name}, call.Call...))
}

// NewApp builds the command tree over cmds. Help, exit codes and error printing
// are ours: the library's would print to stdout and end the process by itself.
func NewApp(env *Environment, cmds []*cli.Command) *cli.App {
	app := &cli.App{
		Name:  "lifeboat",
		Usage: "offline disaster recovery for Kubernetes control planes",
		UsageText: `lifeboat inspect kube-backup.tar.gz
lifeboat get kube-backup.tar.gz pods -n infra-production
lifeboat extract kube-backup.tar.gz -n infra-production --to restored/
kubectl create -R -f restored/`,
		ArgsUsage:                 "COMMAND SRC [ARGUMENTS] [FLAGS]",
		HideHelp:                  true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true, // -i 'a,b.txt' is one file
		Writer:                    env.Stdout,
		ErrWriter:                 env.stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return UsageError(err) },
		Commands:                  cmds,
	}
	app.Commands = append(app.Commands, helpCommand(env, app), completeCommand(env, app), manualCommand(app))
	for _, cmd := range app.Commands {
		prepare(env, cmd)
	}
	return app
}

// prepare gives cmd, and those below it, what all commands share.
func prepare(env *Environment, cmd *cli.Command) {
	cmd.HideHelp = true
	cmd.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return UsageError(err) }
	if len(cmd.Subcommands) == 0 {
		cmd.Flags = append(slices.Clip(cmd.Flags), ProgressFlag(env))
	}
	for _, flag := range cmd.Flags {
		if slice, ok := flag.(*cli.StringSliceFlag); ok {
			slice.KeepSpace = true // else "key " would open the file "key"
		}
	}
	for _, sub := range cmd.Subcommands {
		prepare(env, sub)
	}
}
