package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/argv"
	"github.com/lifeboat-dr/lifeboat/internal/manual"
)

// helpText is what `lifeboat help WORDS...` prints.
func helpText(t *testing.T, words ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"lifeboat", "help"}, words...), &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, console.ExitDone, code, "%q: %s", words, stderr.String())
	return stdout.String()
}

// Every page fits a serial console and carries the exit codes.
func TestHelpPages(t *testing.T) {
	t.Parallel()
	app, pages := realApp(), map[string]string{"lifeboat": helpText(t)}
	eachCommand(app, func(path []*cli.Command) {
		cmd := path[len(path)-1]
		if cmd.Hidden {
			return
		}
		name := argv.Name(app, path)
		page := helpText(t, strings.Fields(name)[1:]...)
		require.NotEmpty(t, cmd.UsageText, "%s: a command's help starts with examples", name)
		require.Less(t, strings.Index(page, "EXAMPLES"), strings.Index(page, "USAGE"), name)
		pages[name] = page
	})
	for name, page := range pages {
		require.Contains(t, page, console.ExitCodeText(), name)
	}
	for _, topic := range console.Topics() {
		pages[topic.Name] = helpText(t, topic.Name)
	}
	for name, page := range pages {
		for line := range strings.Lines(page) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), manual.Width, "%s: %q", name, line)
		}
	}
}

// What help and README show to be typed can be typed: each command line in
// them is understood by the parser of the real commands.
func TestExamplesCanBeTyped(t *testing.T) {
	t.Parallel()
	app := realApp()
	texts := map[string]string{"lifeboat": helpText(t)}
	eachCommand(app, func(path []*cli.Command) {
		texts[argv.Name(app, path)] = path[len(path)-1].UsageText
	})
	for _, topic := range console.Topics() {
		texts[topic.Name] = topic.Text
	}
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		texts[page] = string(text)
		for _, inline := range inlineCommand.FindAllStringSubmatch(string(text), -1) {
			texts[page] += "\n" + inline[1]
		}
	}

	seen := map[string]bool{}
	for where, text := range texts {
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
			line, _, _ = strings.Cut(line, " #")
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "lifeboat" || words[1] == "COMMAND" || usageLine(words) {
				continue
			}
			call, err := argv.Permute(app, words[1:])
			require.NoError(t, err, "%s: %q", where, line)
			seen[argv.Name(app, call.Path)] = true
		}
	}
	eachCommand(app, func(path []*cli.Command) {
		if cmd := path[len(path)-1]; !cmd.Hidden && len(cmd.Subcommands) == 0 {
			require.True(t, seen[argv.Name(app, path)], "%s has no example", argv.Name(app, path))
		}
	})
}

// inlineCommand is a command between backticks, in a sentence or a table.
var inlineCommand = regexp.MustCompile("`(lifeboat [^`]+)`")

// usageLine is a line that shows the form of a command, not one to type.
func usageLine(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.ContainsAny(w, "[]|") })
}

func TestHelpForNothing(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"lifeboat", "help", "sorces"}, &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, console.ExitUsage, code)
	require.Empty(t, stdout.String())
	require.Equal(t, "lifeboat: error: no help for \"sorces\"\nlifeboat: hint: did you mean lifeboat help sources?\n", stderr.String())
}

// README shows the output of the main job, cut: each line of it is printed, in
// that order.
func TestReadmeShowsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, shown, found := strings.Cut(string(readme), "the list of files cut:\n\n```\n")
	require.True(t, found)
	shown, _, found = strings.Cut(shown, "\n```\n")
	require.True(t, found)
	to := filepath.Join(t.TempDir(), "restored")
	r := lifeboat("extract", harbourArchive, "-n", "infra-production", "--to", to)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	rest := strings.ReplaceAll(r.stderr+r.stdout, to, "demo/restored")
	for line := range strings.Lines(shown + "\n") {
		line, cut := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "…")
		if line = strings.TrimRight(line, " "); !cut {
			line += "\n"
		}
		_, after, printed := strings.Cut(rest, line)
		require.True(t, printed, "%q is not printed after the line before it; what is left is:\n%s", line, rest)
		rest = after
	}
}
