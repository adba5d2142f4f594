package argv_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/argv"
)

// app has a verb, a group with another, and one that hands its arguments on. What
// a real command sees of its line is tested in cmd/internal/console.
func app() *cli.App {
	return &cli.App{Name: "boat", Commands: []*cli.Command{
		{
			Name: "restore", Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run"}, &cli.StringFlag{Name: "to"}, &cli.StringFlag{Name: "namespace", Aliases: []string{"n"}}},
			BashComplete: func(c *cli.Context) { fmt.Fprintf(c.App.Writer, "pods\nsecrets-%d\n", c.NArg()) },
		},
		{Name: "etcd", Subcommands: []*cli.Command{{Name: "rebuild", Flags: []cli.Flag{few{&cli.StringFlag{Name: "output"}}}}, {Name: "secret", Hidden: true}}},
		{Name: "kubectl", ArgsUsage: argv.VerbatimAfterSource, Flags: []cli.Flag{&cli.StringFlag{Name: "rev"}}},
		{Name: "serve", ArgsUsage: argv.CommandAfterSource, Flags: []cli.Flag{&cli.StringFlag{Name: "rev"}}},
	}}
}

// few is a flag with few values.
type few struct{ *cli.StringFlag }

func (few) Choices() []string { return []string{"json", "yaml"} }

func ExamplePermute() {
	line, err := argv.Permute(app(), []string{"--dry-run", "restore", "backup.tar.gz", "--to", "etcd"})
	fmt.Println(line.Call, err)
	_, err = argv.Permute(app(), []string{"restore", "backup.tar.gz", "--dryrun"})
	fmt.Println(err)
	// Output:
	// [restore --dry-run=true --to=etcd -- backup.tar.gz] <nil>
	// unknown flag --dryrun for "boat restore"
}

// Behind SRC of a command that hands its arguments on, flags are the other program's.
func TestVerbatim(t *testing.T) {
	t.Parallel()
	line, err := argv.Permute(app(), []string{"kubectl", "--rev", "7", "b.tar.gz", "get", "pods", "--rev", "8", "-A", "--help"})
	require.NoError(t, err)
	require.Equal(t, []string{"kubectl", "--rev=7", "--", "b.tar.gz", "get", "pods", "--rev", "8", "-A", "--help"}, line.Call)
	require.False(t, line.Help)

	for _, separator := range [][]string{{"--"}, nil} {
		typed := slices.Concat([]string{"serve", "b.tar.gz", "--rev", "7"}, separator, []string{"kubectl", "get", "pods", "-A", "--rev", "8", "--help"})
		line, err = argv.Permute(app(), typed)
		require.NoError(t, err)
		require.Equal(t, []string{"serve", "--rev=7", "--", "b.tar.gz", "kubectl", "get", "pods", "-A", "--rev", "8", "--help"}, line.Call)
		require.False(t, line.Help)
	}
}

// A word that is no command comes back with what stands around it.
func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	_, err := argv.Permute(app(), []string{"etcd", "rebiuld", "dir", "-x"})
	var wrong *argv.Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "rebiuld", wrong.Word)
	require.Equal(t, []string{"dir", "-x"}, wrong.Rest)
	require.Equal(t, "boat etcd", argv.Name(app(), wrong.Path))
	require.Equal(t, "did you mean rebuild?", wrong.Hint)
}

func TestComplete(t *testing.T) {
	t.Parallel()
	values := func(flag string, args []string) []string { return append([]string{flag}, args...) }
	for _, tc := range []struct{ words, want []string }{
		{[]string{""}, []string{"restore", "etcd", "kubectl", "serve"}},
		{[]string{"re"}, []string{"restore"}},
		{[]string{"etcd", ""}, []string{"rebuild"}},
		{[]string{"restore", "--d"}, []string{"--dry-run"}},
		{[]string{"restore", "x", "s"}, []string{"secrets-1"}},
		{[]string{"restore", "x", "-n", ""}, []string{"namespace", "x"}},
		{[]string{"etcd", "rebuild", "--output", "y"}, []string{"yaml"}},
		{[]string{"--to", ""}, nil},
		{[]string{"restore", "--", ""}, nil},
		{nil, nil},
	} {
		require.Equal(t, tc.want, argv.Complete(app(), slices.Clone(tc.words), values), "%q", tc.words)
	}
}
