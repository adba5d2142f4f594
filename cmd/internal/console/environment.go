package console

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/lifeboat-dr/lifeboat/internal/progress"
)

// Environment is what a verb may touch of the world outside its arguments.
type Environment struct {
	Stdin          io.Reader
	Stdout, stderr io.Writer // stdout carries the result alone, stderr all the rest

	// Whether the streams are terminals: ask for a passphrase only on one,
	// write binary only off one.
	stdinTerminal, stdoutTerminal bool

	color       bool            // stdout may carry colour; there is always a word beside it
	interrupted <-chan struct{} // closed when the run is to end

	Format   format          // the value of -o, set before the verb runs
	Template string          // what follows its name, as in -o jsonpath=TEMPLATE
	Progress *progress.Meter // on stderr, silent for the first half second
}

// NewEnvironment looks at the streams and at the terminal that they may be.
func NewEnvironment(stdin io.Reader, stdout, stderr io.Writer) *Environment {
	dumb := os.Getenv("TERM") == "dumb"
	env := &Environment{
		Stdin: stdin, Stdout: stdout,
		stdinTerminal: isTerminal(stdin), stdoutTerminal: isTerminal(stdout),
		Format: FormatTable,
	}
	env.color = env.stdoutTerminal && !dumb && os.Getenv("NO_COLOR") == ""
	env.Progress = progress.New(stderr, isTerminal(stderr) && !dumb)
	env.stderr = env.Progress // so that a message never lands in the middle of a progress line
	return env
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Warn tells the operator about something that did not stop the work.
func (e *Environment) Warn(message string, args ...any) {
	e.say("warning", fmt.Sprintf(message, args...))
}

// Note tells the operator something worth knowing, such as the next command.
func (e *Environment) Note(message string, args ...any) {
	e.say("note", fmt.Sprintf(message, args...))
}

// Streams are standard input, output and error for a program that is run: as
// they are, so that it finds the terminal. Progress ends.
func (e *Environment) Streams() (in io.Reader, out, err io.Writer) {
	e.Progress.Stop()
	return e.Stdin, e.Stdout, e.Progress.Out()
}
