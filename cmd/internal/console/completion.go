package console

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
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
			for _, word := range complete(c.Context, app, c.Args().Slice()) {
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

// arguments are what may stand behind the words of a verb.
func arguments(app *cli.App, cmd *cli.Command, words []string) []string {
	if cmd.BashComplete == nil {
		return nil
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	if err := set.Parse(append([]string{"--"}, words...)); err != nil {
		return nil
	}
	var out strings.Builder
	writer := app.Writer
	app.Writer = &out
	defer func() { app.Writer = writer }()
	cmd.BashComplete(cli.NewContext(app, set, nil))
	return strings.Fields(out.String())
}

// values are what may stand behind a flag.
func (p *argParser) values(ctx context.Context, typed string) []string {
	if len(p.path) == 0 {
		return nil
	}
	name := strings.TrimLeft(typed, "-")
	switch f := flagNamed(p.path[len(p.path)-1], name).(type) {
	case nil:
		return nil
	case *choiceFlag:
		return f.values
	default:
		if f.Names()[0] == "namespace" && len(p.words) > 0 {
			return namespacesOf(ctx, p.words[0])
		}
		return nil
	}
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

func complete(ctx context.Context, app *cli.App, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	p := argParser{app: app, rest: before}
	p.read()
	var out []string
	offer := func(words ...string) {
		for _, word := range words {
			if strings.HasPrefix(word, last) {
				out = append(out, word)
			}
		}
	}
	below := p.below()
	switch {
	case len(p.path) == 0 && p.wantsValue || slices.Contains(before, "--"):
	case p.wantsValue:
		offer(p.values(ctx, before[len(before)-1])...)
	case strings.HasPrefix(last, "-") && len(p.path) > 0 && len(below) == 0:
		for _, f := range p.path[len(p.path)-1].Flags {
			offer(Dashed(f.Names()[0]))
		}
	case len(below) > 0:
		for _, cmd := range below {
			if !cmd.Hidden {
				offer(cmd.Name)
			}
		}
	default:
		offer(arguments(app, p.path[len(p.path)-1], p.words)...)
	}
	return out
}
