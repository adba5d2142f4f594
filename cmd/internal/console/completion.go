package console

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/internal/argv"
	"github.com/lifeboat-dr/lifeboat/registry"
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
		Name:         "completion",
		Usage:        "the script that makes a shell complete lifeboat's words",
		ArgsUsage:    strings.Join(shells(), "|"),
		UsageText:    "lifeboat completion bash > /etc/bash_completion.d/lifeboat\nlifeboat completion fish | source",
		BashComplete: CompletesWith(func([]string) []string { return shells() }),
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
			for _, word := range argv.Complete(app, c.Args().Slice(), func(flag string, args []string) []string {
				if flag == "namespace" && len(args) > 0 {
					return namespacesOf(c.Context, args[0])
				}
				return nil
			}) {
				fmt.Fprintln(env.Stdout, word)
			}
			return nil
		},
	}
}

// choiceFlag is a flag whose values are few.
type choiceFlag struct {
	*cli.StringFlag
	values []string
}

// Choices are the values, for the shell.
func (f *choiceFlag) Choices() []string { return f.values }

// CompletesWith makes what a verb offers for its arguments, by those that stand
// there already.
func CompletesWith(offer func(before []string) []string) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		for _, word := range offer(c.Args().Slice()) {
			fmt.Fprintln(c.App.Writer, word)
		}
	}
}

// KindAfterSource offers the kinds behind SRC, by the names that are typed.
func KindAfterSource(before []string) (kinds []string) {
	if len(before) != 1 {
		return nil
	}
	for _, r := range registry.Builtins() {
		kinds = append(append(kinds, r.Plural), r.ShortNames...)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// namespacesOf are the namespaces of SRC, where it opens without a key and
// within the time that somebody waits for a word.
func namespacesOf(ctx context.Context, src string) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	b, err := lifeboat.Open(ctx, src, lifeboat.Options{Trailer: lifeboat.TrailerNever})
	if err != nil {
		return nil
	}
	defer b.Close()
	reg, err := b.Objects(0)
	if err != nil {
		return nil
	}
	isNamespace := func(k registry.Key) bool { return k.Group == "" && k.Plural == "namespaces" }
	for entry, err := range reg.Entries(ctx, isNamespace) {
		if err != nil {
			return names
		}
		names = append(names, entry.Key.Name)
	}
	slices.Sort(names)
	return names
}
