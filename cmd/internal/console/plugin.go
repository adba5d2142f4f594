package console

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

// PluginsFlag stands wherever keys do.
func PluginsFlag() cli.Flag {
	return &cli.BoolFlag{Name: "plugins", Usage: "run the age plugins (age-plugin-NAME in PATH) that keys ask for"}
}

// errNoTerminal goes back to the plugin, which ends with an error of its own.
var errNoTerminal = errors.New("there is no terminal to ask on")

// Plugins let age plugins be run, and talk over the terminal; nil forbids
// them. input says that standard input carries data and is not to be asked.
func (e *Environment) Plugins(allowed, input bool) *plugin.ClientUI {
	if !allowed {
		return nil
	}
	ask := func(name, prompt string, secret bool) (string, error) {
		stdin, ok := e.Stdin.(*os.File)
		if !ok || !e.stdinTerminal || input {
			e.Warn("plugin %q asks %q, and there is no terminal to answer on", name, prompt)
			return "", errNoTerminal
		}
		fmt.Fprintf(e.stderr, "%s (plugin %s): ", Printable(prompt), Printable(name))
		if !secret {
			return readLine(stdin)
		}
		answer, err := term.ReadPassword(int(stdin.Fd()))
		fmt.Fprintln(e.stderr)
		return string(answer), err
	}
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error {
			e.Note("plugin %q: %s", name, message)
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
		WaitTimer: func(name string) { e.Note("waiting for plugin %q", name) },
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

// ReadIdentities reads a file of private keys, its warnings told.
func ReadIdentities(env *Environment, path string, ask crypto.Passphrase, plugins *plugin.ClientUI) (*crypto.IdentityFile, error) {
	file, err := crypto.ReadIdentities(path, ask, plugins)
	if err != nil {
		return nil, HintPlugins(err)
	}
	for _, warning := range file.Warnings {
		env.Warn("%s", warning)
	}
	return file, nil
}

// HintPlugins adds to an error about an age plugin how plugins are let run.
func HintPlugins(err error) error {
	if errors.Is(err, crypto.ErrPlugin) {
		return WithHint(err, "--plugins lets it be run; whoever wrote the key chooses the program")
	}
	return err
}
