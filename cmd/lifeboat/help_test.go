package main

import (
	"bytes"
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

// What help shows to be typed can be typed: each example is understood by the
// parser of the real commands.
func TestExamplesCanBeTyped(t *testing.T) {
	t.Parallel()
	app := realApp()
	known := helpWords(app)
	examples := 0
	check := func(where, text string) {
		text = strings.ReplaceAll(text, "\\\n", " ")
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "lifeboat" || strings.Contains(line, "COMMAND") {
				continue
			}
			_, err := permute(app, words[1:])
			require.NoError(t, err, "%s: %q (commands: %q)", where, line, known)
			examples++
		}
	}
	eachCommand(app, func(path []*cli.Command) { check(commandName(path), path[len(path)-1].UsageText) })
	require.NotZero(t, examples)
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
