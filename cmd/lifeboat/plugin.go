package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age/plugin"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// pluginsFlag stands wherever keys do.
func pluginsFlag() cli.Flag {
	return &cli.BoolFlag{Name: "plugins", Usage: "run the age plugins (age-plugin-NAME in PATH) that keys ask for"}
}

// errNoTerminal goes back to the plugin, which ends with an error of its own.
var errNoTerminal = errors.New("there is no terminal to ask on")

// plugins let age plugins be run, and talk over the terminal; nil forbids
// them. input says that standard input carries data and is not to be asked.
func (e *environment) plugins(allowed, input bool) *plugin.ClientUI {
	if !allowed {
		return nil
	}
	ask := func(name, prompt string, secret bool) (string, error) {
		stdin, ok := e.stdin.(*os.File)
		if !ok || !e.stdinTerminal || input {
			e.warn("plugin %q asks %q, and there is no terminal to answer on", name, prompt)
			return "", errNoTerminal
		}
		fmt.Fprintf(e.stderr, "%s (plugin %s): ", printable(prompt), printable(name))
		if !secret {
			return readLine(stdin)
		}
		answer, err := term.ReadPassword(int(stdin.Fd()))
		fmt.Fprintln(e.stderr)
		return string(answer), err
	}
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error {
			e.note("plugin %q: %s", name, message)
			return nil
		},
		RequestValue: ask,
		Confirm: func(name, prompt, yes, no string) (bool, error) {
			choice := "[" + yes + "]"
			if no != "" {
				choice = "[1: " + yes + ", 2: " + no + "]"
			}
			answer, err := ask(name, prompt+" "+choice, false)
			return answer == "1" || no == "" && answer == "", err
		},
		WaitTimer: func(name string) { e.note("waiting for plugin %q", name) },
	}
}

// readLine takes one line and not a byte more from the terminal.
func readLine(from io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(from, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
}

// readIdentities reads a file of private keys, its warnings told.
func readIdentities(env *environment, path string, ask crypto.Passphrase, plugins *plugin.ClientUI) (*crypto.IdentityFile, error) {
	file, err := crypto.ReadIdentities(path, ask, plugins)
	if err != nil {
		return nil, hintPlugins(err)
	}
	for _, warning := range file.Warnings {
		env.warn("%s", warning)
	}
	return file, nil
}

func hintPlugins(err error) error {
	if errors.Is(err, crypto.ErrPlugin) {
		return withHint(err, "--plugins lets it be run; whoever wrote the key chooses the program")
	}
	return err
}
