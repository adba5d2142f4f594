package console

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// manualCommand writes the manual pages, which are made of the help texts: one
// for each verb in section 1, one for each topic in section 7. The release has
// them; nobody types it.
func manualCommand(app *cli.App) *cli.Command {
	return &cli.Command{
		Name: "__man", Hidden: true, ArgsUsage: "DIR",
		Action: func(c *cli.Context) error {
			for name, text := range manual(app) {
				if err := os.WriteFile(filepath.Join(c.Args().First(), name), []byte(text), 0o644); err != nil { //nolint:gosec // a manual is for everybody
					return fmt.Errorf("writing the manual: %w", err)
				}
			}
			return nil
		},
	}
}

// manual gives the pages by their file names.
func manual(app *cli.App) map[string]string {
	pages := map[string]string{"lifeboat.1": manualPage(app, nil)}
	var walk func(path []*cli.Command, cmds []*cli.Command)
	walk = func(path []*cli.Command, cmds []*cli.Command) {
		for _, cmd := range cmds {
			if cmd.Hidden {
				continue
			}
			at := append(slices.Clone(path), cmd)
			pages[manualName(at)+".1"] = manualPage(app, at)
			walk(at, cmd.Subcommands)
		}
	}
	walk(nil, app.Commands)
	for _, t := range Topics() {
		name := "lifeboat-" + t.Name
		pages[name+".7"] = manualHead(name, 7, t.about) + manualSection("DESCRIPTION", t.Text) + manualSection("SEE ALSO", "lifeboat(1)")
	}
	return pages
}

func manualName(path []*cli.Command) string {
	return strings.ReplaceAll(CommandName(path), " ", "-")
}

func manualPage(app *cli.App, path []*cli.Command) string {
	var help strings.Builder
	usage := app.Usage
	if len(path) == 0 {
		appHelp(&help, app)
	} else {
		commandHelp(&help, path)
		usage = path[len(path)-1].Usage
	}
	page := manualHead(manualName(path), 1, usage)
	_, body, _ := strings.Cut(help.String(), "\n\n") // the first paragraph is the name and the usage
	page += manualBody(body) + manualSection("EXIT STATUS", ExitCodeText())
	if len(path) > 0 {
		return page + manualSection("SEE ALSO", manualName(path[:len(path)-1])+"(1)")
	}
	return page
}

func manualHead(name string, section int, about string) string {
	return fmt.Sprintf(".TH %s %d \"\" \"lifeboat %s\" \"\"\n.SH NAME\n%s \\- %s\n",
		strings.ToUpper(roff(name)), section, roff(ReadVersion().Version), roff(name), roff(about))
}

// manualBody turns a help text into sections: a line of capitals at the margin
// begins one, and text at the margin is the description.
func manualBody(help string) string {
	var b, section strings.Builder
	title := ""
	flush := func() {
		if text := strings.Trim(section.String(), "\n"); text != "" {
			b.WriteString(manualSection(title, text))
		}
		section.Reset()
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
			section.WriteString(line)
		}
	}
	flush()
	return b.String()
}

// manualSection keeps the lines as the help text breaks them: its examples and
// tables are made to be read so.
func manualSection(title, text string) string {
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
