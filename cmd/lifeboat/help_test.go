package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
)

// helpText is what `lifeboat help WORDS...` prints.
func helpText(t *testing.T, words ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"lifeboat", "help"}, words...), &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, exitDone, code, "%q: %s", words, stderr.String())
	return stdout.String()
}

// Every page fits a serial console and carries the exit codes.
func TestHelpPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"lifeboat": helpText(t)}
	eachCommand(realApp(), func(path []*cli.Command) {
		cmd := path[len(path)-1]
		if cmd.Hidden {
			return
		}
		name := commandName(path)
		page := helpText(t, strings.Fields(name)[1:]...)
		require.NotEmpty(t, cmd.UsageText, "%s: a command's help starts with examples", name)
		require.Less(t, strings.Index(page, "EXAMPLES"), strings.Index(page, "USAGE"), name)
		pages[name] = page
	})
	for name, page := range pages {
		require.Contains(t, page, exitCodeText(), name)
	}
	for _, topic := range topics() {
		pages[topic.name] = helpText(t, topic.name)
	}
	for name, page := range pages {
		for line := range strings.Lines(page) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), helpWidth, "%s: %q", name, line)
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
		texts[commandName(path)] = path[len(path)-1].UsageText
	})
	for _, topic := range topics() {
		texts[topic.name] = topic.text
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	texts["README.md"] = string(readme)

	seen := map[string]bool{}
	for where, text := range texts {
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
			line, _, _ = strings.Cut(line, " #")
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "lifeboat" || words[1] == "COMMAND" || usageLine(words) {
				continue
			}
			call, err := permute(app, words[1:])
			require.NoError(t, err, "%s: %q", where, line)
			seen[commandName(call.path)] = true
		}
	}
	eachCommand(app, func(path []*cli.Command) {
		if cmd := path[len(path)-1]; !cmd.Hidden && len(cmd.Subcommands) == 0 {
			require.True(t, seen[commandName(path)], "%s has no example", commandName(path))
		}
	})
}

// usageLine is a line that shows the form of a command, not one to type.
func usageLine(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.ContainsAny(w, "[]|") })
}

func TestHelpForNothing(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"lifeboat", "help", "sorces"}, &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, exitUsage, code)
	require.Empty(t, stdout.String())
	require.Equal(t, "lifeboat: error: no help for \"sorces\"\nlifeboat: hint: did you mean lifeboat help sources?\n", stderr.String())
}

func TestNearest(t *testing.T) {
	t.Parallel()
	namespaces := []string{"infra-production", "infra-production-2", "kube-system", "default"}
	require.Equal(t, []string{"infra-production", "infra-production-2"}, nearest("infra-prodution", namespaces))
	require.Equal(t, []string{"kube-system"}, nearest("kube", namespaces))
	require.Equal(t, []string{"default"}, nearest("Dfeault", namespaces), "swapped letters, case")
	require.Empty(t, nearest("xyzzy", namespaces))
	require.Empty(t, nearest("", namespaces))
}

// The page about the environment knows every variable that is read.
func TestEnvironmentIsDocumented(t *testing.T) {
	t.Parallel()
	reads := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("([A-Z_]+)"\)|os\.(TempDir|UserHomeDir)\(`)
	inside := map[string]string{"TempDir": "TMPDIR", "UserHomeDir": "HOME"} // what these ask for
	found := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range reads.FindAllSubmatch(source, -1) {
			found[string(match[1])+inside[string(match[2])]] = path
		}
		return err
	})
	require.NoError(t, err)
	require.Contains(t, found, "TMPDIR")
	for name, path := range found {
		require.Regexp(t, `(?m)^`+name+`=`, environmentText, path)
	}
}
