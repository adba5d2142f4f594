package console

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The scripts ask the program itself (`lifeboat __complete -- WORDS...`), so
// that they stay true for every version of it.
var (
	//go:embed completion/bash
	completionBash string
	//go:embed completion/zsh
	completionZsh string
	//go:embed completion/fish
	completionFish string
)

func shells() []string { return []string{"bash", "zsh", "fish"} }

// CompletionCommand prints the script that makes a shell complete the words.
func CompletionCommand(env *Environment) *cli.Command {
	scripts := map[string]string{"bash": completionBash, "zsh": completionZsh, "fish": completionFish}
	return &cli.Command{
		Name:      "completion",
		Usage:     "the script that makes a shell complete lifeboat's words",
		ArgsUsage: strings.Join(shells(), "|"),
		UsageText: "lifeboat completion bash > /etc/bash_completion.d/lifeboat\nlifeboat completion fish | source",
		Action: func(c *cli.Context) error {
			shell := c.Args().First()
			if c.NArg() != 1 || !slices.Contains(shells(), shell) {
				return OneOf("shell", strings.Join(c.Args().Slice(), " "), shells())
			}
			if _, err := io.WriteString(env.Stdout, scripts[shell]); err != nil {
				return fmt.Errorf("writing the completion script: %w", err)
			}
			return nil
		},
	}
}

// completeCommand prints what may stand in the place of its last argument; the
// words before it are the command line so far, without the program's name. It
// prints nothing where a file name may stand: the shell knows those.
func completeCommand(env *Environment, app *cli.App) *cli.Command {
	return &cli.Command{
		Name:   "__complete",
		Hidden: true,
		Action: func(c *cli.Context) error {
			for _, word := range complete(app, c.Args().Slice()) {
				fmt.Fprintln(env.Stdout, word)
			}
			return nil
		},
	}
}

func complete(app *cli.App, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	p := argParser{app: app, rest: before}
	p.read()
	if len(before) > 0 && slices.Contains(before, "--") || p.wantsValue {
		return nil
	}
	var out []string
	offer := func(word string) {
		if strings.HasPrefix(word, last) {
			out = append(out, word)
		}
	}
	below := p.below()
	switch {
	case strings.HasPrefix(last, "-") && len(p.path) > 0 && len(below) == 0:
		for _, flag := range p.path[len(p.path)-1].Flags {
			offer(Dashed(flag.Names()[0]))
		}
	case len(below) > 0:
		for _, cmd := range below {
			if !cmd.Hidden {
				offer(cmd.Name)
			}
		}
	case p.path[0].Name == "completion":
		for _, shell := range shells() {
			offer(shell)
		}
	case p.path[0].Name == "help":
		for _, word := range helpWords(app) {
			offer(word)
		}
	}
	return out
}
