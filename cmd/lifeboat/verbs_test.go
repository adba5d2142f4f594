package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/argv"
)

// Flags may stand before the verb, so a name should take a value in every
// command or in none. --sign is the exception (a key for archive create, what
// to make for key generate), and short flags, which join, have none.
func TestFlagsAgree(t *testing.T) {
	t.Parallel()
	found := argv.FlagArity(realApp().Commands)
	require.Greater(t, len(found), 20)
	for name, is := range found {
		if name == "sign" {
			require.Equal(t, argv.Either, is)
			continue
		}
		require.NotEqual(t, argv.Either, is, argv.Dashed(name))
	}
}

// A flag that differs between commands is read as its own command does, and
// before the verb not at all: a value must not be taken for an argument.
func TestFlagThatDiffers(t *testing.T) {
	t.Parallel()
	call := func(line string) (string, error) {
		found, err := argv.Permute(realApp(), strings.Fields(line))
		return strings.Join(found.Call, " "), err
	}
	for line, want := range map[string]string{
		"archive create --sign key --to x":  "archive create --sign=key --to=x --",
		"archive create --sign=key --to x":  "archive create --sign=key --to=x --",
		"key generate --sign --to x":        "key generate --sign=true --to=x --",
		"key generate --sign key":           "key generate --sign=true -- key",
		"key --sign generate --to x":        "key generate --sign=true --to=x --",
		"archive --sign key create --to x":  "archive create --sign=key --to=x --",
		"--sign=key archive create --to=x":  "archive create --sign=key --to=x --",
		"--sign=true key generate --to=key": "key generate --sign=true --to=key --",
	} {
		got, err := call(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
	_, err := call("--sign key archive create")
	require.EqualError(t, err, "flag --sign takes a value in one command and none in another")
	var wrong *argv.Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "write it behind the command", wrong.Hint)
	_, err = call("inspect x --sign y")
	require.EqualError(t, err, `unknown flag --sign for "lifeboat inspect"`)
}

func realApp() *cli.App {
	env := console.NewEnvironment(&bytes.Buffer{}, &bytes.Buffer{}, &bytes.Buffer{})
	return console.NewApp(env, verbs(env))
}

// eachCommand calls do with the path to every command of app.
func eachCommand(app *cli.App, do func(path []*cli.Command)) {
	var walk func(path, cmds []*cli.Command)
	walk = func(path, cmds []*cli.Command) {
		for _, cmd := range cmds {
			here := append(slices.Clone(path), cmd)
			do(here)
			walk(here, cmd.Subcommands)
		}
	}
	walk(nil, app.Commands)
}
