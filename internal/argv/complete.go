package argv

import (
	"flag"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Complete gives the words that may stand in the place of the last one; those
// before it are the line so far, without the program's name. What may stand for
// an argument is what the command's BashComplete prints; for a flag's value, its
// Choices() where it has that method, else what values says of a flag by its
// first name, behind those arguments. It gives nothing where a file name may
// stand: the shell knows those.
func Complete(app *cli.App, words []string, values func(flag string, args []string) []string) []string {
	if len(words) == 0 {
		return nil
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	p := parser{app: app, rest: before}
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
		offer(p.choices(before[len(before)-1], values)...)
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

// choices are what may stand behind a flag.
func (p *parser) choices(typed string, values func(flag string, args []string) []string) []string {
	f := flagNamed(p.path[len(p.path)-1], strings.TrimLeft(typed, "-"))
	if f == nil {
		return nil
	}
	if few, ok := f.(interface{ Choices() []string }); ok {
		return few.Choices()
	}
	return values(f.Names()[0], p.words)
}

// arguments are what may stand behind the words of a command.
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
