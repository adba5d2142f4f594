package manual

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/argv"
)

// Pages gives the manual by file names: a page for each command in section 1, one
// for each topic in section 7.
func (p Program) Pages() map[string]string {
	pages := map[string]string{p.App.Name + ".1": p.page(nil)}
	var walk func(path []*cli.Command, cmds []*cli.Command)
	walk = func(path []*cli.Command, cmds []*cli.Command) {
		for _, cmd := range cmds {
			if cmd.Hidden {
				continue
			}
			at := append(slices.Clone(path), cmd)
			pages[p.pageName(at)+".1"] = p.page(at)
			walk(at, cmd.Subcommands)
		}
	}
	walk(nil, p.App.Commands)
	for _, t := range p.Topics {
		name := p.App.Name + "-" + t.Name
		pages[name+".7"] = p.head(name, 7, t.About) + section("DESCRIPTION", t.Text) + section("SEE ALSO", p.App.Name+"(1)")
	}
	return pages
}

func (p Program) pageName(path []*cli.Command) string {
	return strings.ReplaceAll(argv.Name(p.App, path), " ", "-")
}

func (p Program) page(path []*cli.Command) string {
	usage := p.App.Usage
	if len(path) > 0 {
		usage = path[len(path)-1].Usage
	}
	page := p.head(p.pageName(path), 1, usage)
	_, text, _ := strings.Cut(p.text(path), "\n\n") // the first paragraph is the name and the usage
	page += body(text) + section("EXIT STATUS", CodeText(p.Codes))
	if len(path) > 0 {
		return page + section("SEE ALSO", p.pageName(path[:len(path)-1])+"(1)")
	}
	return page
}

func (p Program) head(name string, number int, about string) string {
	return fmt.Sprintf(".TH %s %d \"\" \"%s %s\" \"\"\n.SH NAME\n%s \\- %s\n",
		strings.ToUpper(roff(name)), number, p.App.Name, roff(p.Version), roff(name), roff(about))
}

// body turns a help text into sections: a line of capitals at the margin
// begins one, and text at the margin is the description.
func body(help string) string {
	var b, lines strings.Builder
	title := ""
	flush := func() {
		if text := strings.Trim(lines.String(), "\n"); text != "" {
			b.WriteString(section(title, text))
		}
		lines.Reset()
	}
	for line := range strings.Lines(help) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " (")
		switch margin := line == strings.TrimLeft(line, " \n"); {
		case margin && word != "" && word == strings.ToUpper(word) && len(word) > 3:
			flush()
			title = word
		case margin && title != "DESCRIPTION":
			flush()
			title = "DESCRIPTION"
			fallthrough
		default:
			lines.WriteString(line)
		}
	}
	flush()
	return b.String()
}

// section keeps the lines as the help text breaks them: its examples and
// tables are made to be read so.
func section(title, text string) string {
	return ".SH " + title + "\n.nf\n" + roff(strings.Trim(text, "\n")) + "\n.fi\n"
}

// roff escapes what troff would take for its own.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
