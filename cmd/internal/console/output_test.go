package console

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// runVerb runs one command whose action is do, with the flags given.
func runVerb(t *testing.T, flags func(*Environment) []cli.Flag, do func(*Environment, *cli.Context) error, args ...string) (stdout string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	env := NewEnvironment(&bytes.Buffer{}, &out, &errOut)
	app := NewApp(env, []*cli.Command{{
		Name: "show", Flags: flags(env), Action: func(c *cli.Context) error { return do(env, c) },
	}})
	err = runCommand(t.Context(), env, app, append([]string{"show"}, args...))
	return out.String(), err
}

func TestOutputFormats(t *testing.T) {
	t.Parallel()
	flags := func(env *Environment) []cli.Flag {
		return []cli.Flag{OutputFlag(env, FormatTable, FormatJSON, FormatYAML)}
	}
	do := func(env *Environment, _ *cli.Context) error {
		if env.Format == FormatTable {
			return nil
		}
		return env.PrintDocument(map[string]any{"revision": int64(9007199254740993), "name": "no"})
	}
	for args, want := range map[string]string{
		"":     "",
		"json": "{\n  \"name\": \"no\",\n  \"revision\": 9007199254740993\n}\n",
		"yaml": "name: \"no\"\nrevision: 9007199254740993\n",
	} {
		var line []string
		if args != "" {
			line = []string{"-o", args}
		}
		out, err := runVerb(t, flags, do, line...)
		require.NoError(t, err)
		require.Equal(t, want, out)
	}
	_, err := runVerb(t, flags, do, "-o", "xml")
	require.EqualError(t, err, `unknown output format "xml"`)
	require.Equal(t, ExitUsage, codeOf(err))
	require.Equal(t, "-o takes table, json, yaml", HintOf(err))
}

func TestFormatWanted(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-o", "json"}, {"x", "-ojson", "--bad"}, {"-o=json"}, {"--output=json"}, {"--output", "json", "x"}} {
		require.Equal(t, FormatJSON, formatWanted(args), "%q", args)
	}
	for _, args := range [][]string{nil, {"-o"}, {"-o", "yaml"}, {"json"}, {"--", "-o", "json"}} {
		require.Equal(t, FormatTable, formatWanted(args), "%q", args)
	}
}

func TestSourceOptions(t *testing.T) {
	t.Parallel()
	var got SourceOptions
	parse := func(args ...string) error {
		_, err := runVerb(t, func(*Environment) []cli.Flag { return SourceFlags() }, func(_ *Environment, c *cli.Context) (err error) {
			got, err = SourceOptionsOf(c)
			return err
		}, args...)
		return err
	}
	require.NoError(t, parse("src"))
	require.Equal(t, lifeboat.Options{Spool: snapshot.Anywhere, MaxSize: 64 << 30}, withoutEmpty(got.Options))

	require.NoError(t, parse("-i", "a,b.txt", "src", "-i", " c ", "--passphrase-file=p", "--encryption-config", "e",
		"--etcd-prefix", "/kubernetes.io", "--spool", "disk", "--max-size", "1.5Gi"))
	require.Equal(t, lifeboat.Options{
		Identities: []string{"a,b.txt", " c "}, PassphraseFile: "p", EncryptionConfig: "e",
		EtcdPrefix: "/kubernetes.io", Spool: snapshot.Disk, MaxSize: 3 << 29,
	}, withoutEmpty(got.Options))

	for _, args := range [][]string{
		{"--spool", "ram"}, {"--etcd-prefix", "registry"}, {"--max-size", "lots"}, {"--max-size", "0"},
		{"--max-size=-1"}, {"--max-size", "100EiB"}, {"--max-size", ""},
	} {
		require.Equal(t, ExitUsage, codeOf(parse(args...)), "%q", args)
	}
}

func withoutEmpty(o lifeboat.Options) lifeboat.Options {
	for _, list := range []*[]string{&o.Identities, &o.PeerDirs, &o.WALDirs} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return o
}
