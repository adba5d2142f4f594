package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// environment is what a verb may touch of the world outside its arguments.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer // stdout carries the result alone, stderr all the rest

	// Whether the streams are terminals: ask for a passphrase only on one,
	// write binary only off one.
	stdinTerminal, stdoutTerminal bool

	color    bool      // stdout may carry colour; there is always a word beside it
	format   format    // the value of -o, set before the verb runs
	progress *progress // on stderr, silent for the first half second
}

// verbs are the commands in the order of the help text. help.go adds "help".
func verbs(env *environment) []*cli.Command {
	return []*cli.Command{
		extractCommand(env),
		getCommand(env),
		inspectCommand(env),
		etcdCommand(env),
		simCommand(env),
		drillCommand(env),
		archiveCommand(env),
		keyCommand(env),
		completionCommand(env),
		versionCommand(env),
	}
}

// run is the whole program: it parses args (args[0] is the program's name),
// runs one verb, prints its error, and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) exitCode {
	env := newEnvironment(stdin, stdout, stderr)
	env.format = formatWanted(args) // so that a usage error is printed in it, too
	env.progress.program = env.format == formatJSON
	err := runCommand(ctx, env, newApp(env, verbs(env)), args[1:])
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Canceled, err)
	}
	env.progress.stop()
	return report(env, err)
}

func newEnvironment(stdin io.Reader, stdout, stderr io.Writer) *environment {
	dumb := os.Getenv("TERM") == "dumb"
	env := &environment{
		stdin: stdin, stdout: stdout,
		stdinTerminal: isTerminal(stdin), stdoutTerminal: isTerminal(stdout),
		format: formatTable,
	}
	env.color = env.stdoutTerminal && !dumb && os.Getenv("NO_COLOR") == ""
	env.progress = newProgress(stderr, isTerminal(stderr) && !dumb)
	env.stderr = env.progress // so that a message never lands in the middle of a progress line
	return env
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func runCommand(ctx context.Context, env *environment, app *cli.App, args []string) error {
	call, err := permute(app, args)
	switch {
	case err != nil:
		return err
	case call.help:
		return writeHelp(env.stdout, app, call.path)
	}
	return app.RunContext(ctx, append([]string{app.Name}, call.args...))
}

// newApp builds the command tree over cmds. Help, exit codes and error printing
// are ours: the library's would print to stdout and end the process by itself.
func newApp(env *environment, cmds []*cli.Command) *cli.App {
	app := &cli.App{
		Name:                      "lifeboat",
		Usage:                     "offline disaster recovery for Kubernetes control planes",
		HideHelp:                  true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true, // -i 'a,b.txt' is one file
		Writer:                    env.stdout,
		ErrWriter:                 env.stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usageError(err) },
		Commands:                  cmds,
	}
	app.Commands = append(app.Commands, helpCommand(env, app), completeCommand(env, app))
	for _, cmd := range app.Commands {
		prepare(env, cmd)
	}
	return app
}

// prepare gives cmd, and those below it, what all commands share.
func prepare(env *environment, cmd *cli.Command) {
	cmd.HideHelp = true
	cmd.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usageError(err) }
	if len(cmd.Subcommands) == 0 {
		cmd.Flags = append(slices.Clip(cmd.Flags), progressFlag(env))
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

// warn tells the operator about something that did not stop the work.
func (e *environment) warn(message string, args ...any) {
	e.say("warning", fmt.Sprintf(message, args...))
}

// note tells the operator something worth knowing, such as the next command.
func (e *environment) note(message string, args ...any) {
	e.say("note", fmt.Sprintf(message, args...))
}
