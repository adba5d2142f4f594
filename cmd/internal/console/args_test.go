package console

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
	"pgregory.net/rapid"
)

// typed is what a command saw of its command line.
type typed struct {
	Verb       string
	DryRun     bool
	Wide       bool
	To         string
	Identities []string
	Args       []string
}

// parse runs args through the parser, the library and a small command tree, as
// the real verbs do, and gives what arrived in the command.
func parse(t require.TestingT, args ...string) (typed, string, error) {
	var got typed
	var stdout, stderr bytes.Buffer
	env := NewEnvironment(&bytes.Buffer{}, &stdout, &stderr)
	command := func(name string) *cli.Command {
		return &cli.Command{
			Name: name,
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "dry-run", Aliases: []string{"d"}},
				&cli.BoolFlag{Name: "wide", Aliases: []string{"w"}},
				&cli.StringFlag{Name: "to", Aliases: []string{"t"}},
				&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}},
			},
			Action: func(c *cli.Context) error {
				require.Empty(t, got.Verb, "the command runs once")
				got = typed{
					Verb: name, DryRun: c.Bool("dry-run"), Wide: c.Bool("wide"), To: c.String("to"),
					Identities: c.StringSlice("identity"), Args: c.Args().Slice(),
				}
				return nil
			},
		}
	}
	app := NewApp(env, []*cli.Command{
		command("restore"),
		{Name: "etcd", Usage: "group", Subcommands: []*cli.Command{command("rebuild")}},
		{Name: "show", Flags: []cli.Flag{&cli.StringFlag{Name: "selector", Aliases: []string{"l"}}}},
	})
	err := runCommand(context.Background(), env, app, args)
	return got, stdout.String(), err
}

func TestArgumentsAreUnderstood(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want typed
	}{
		// urfave/cli#976: by itself the library would restore for real here.
		"a flag after an argument is honoured": {
			[]string{"restore", "x", "--dry-run"},
			typed{Verb: "restore", DryRun: true, Args: []string{"x"}},
		},
		"a flag before the verb, as with kubectl": {
			[]string{"--to", "dir", "-d", "restore", "x"},
			typed{Verb: "restore", DryRun: true, To: "dir", Args: []string{"x"}},
		},
		"a flag of a nested command, anywhere": {
			[]string{"etcd", "-i", "key", "rebuild", "x", "--to=dir"},
			typed{Verb: "rebuild", To: "dir", Identities: []string{"key"}, Args: []string{"x"}},
		},
		"a comma does not split a file name": {
			[]string{"restore", "-i", "a,b.txt", "-i", "c.txt"},
			typed{Verb: "restore", Identities: []string{"a,b.txt", "c.txt"}, Args: []string{}},
		},
		"a comma does not split in a nested command either": {
			[]string{"etcd", "rebuild", "-i", "a,b.txt"},
			typed{Verb: "rebuild", Identities: []string{"a,b.txt"}, Args: []string{}},
		},
		"standard input is an argument, and a value": {
			[]string{"restore", "-", "--to", "-"},
			typed{Verb: "restore", To: "-", Args: []string{"-"}},
		},
		"nothing behind -- is a flag": {
			[]string{"restore", "-d", "--", "--to", "-w", "--"},
			typed{Verb: "restore", DryRun: true, Args: []string{"--to", "-w", "--"}},
		},
		"short flags join, the last with its value": {
			[]string{"restore", "-dwtdir", "x"},
			typed{Verb: "restore", DryRun: true, Wide: true, To: "dir", Args: []string{"x"}},
		},
		"a value may be empty, or hold an equals sign": {
			[]string{"restore", "--to=", "-i=a=b", "--identity", "c=d"},
			typed{Verb: "restore", Identities: []string{"a=b", "c=d"}, Args: []string{}},
		},
		"a switch can be said to be off": {
			[]string{"restore", "--dry-run=false", "-w=true"},
			typed{Verb: "restore", Wide: true, Args: []string{}},
		},
		"arguments named like commands and flags are arguments": {
			[]string{"restore", "restore", "help", "to", "dry-run", "version"},
			typed{Verb: "restore", Args: []string{"restore", "help", "to", "dry-run", "version"}},
		},
		"an empty argument stays": {
			[]string{"restore", "", "x"},
			typed{Verb: "restore", Args: []string{"", "x"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := parse(t, tc.args...)
			require.NoError(t, err)
			require.Equal(t, tc.want.Args, got.Args)
			require.ElementsMatch(t, tc.want.Identities, got.Identities)
			got.Args, got.Identities, tc.want.Args, tc.want.Identities = nil, nil, nil, nil
			require.Equal(t, tc.want, got)
		})
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args        []string
		error, hint string
	}{
		"unknown flag":                    {[]string{"restore", "x", "--dry-rum"}, `unknown flag --dry-rum for "lifeboat restore"`, "did you mean --dry-run?"},
		"unknown flag, nothing like it":   {[]string{"restore", "--zzzz"}, `unknown flag --zzzz for "lifeboat restore"`, "see lifeboat restore --help"},
		"unknown flag before the verb":    {[]string{"--dry-rum", "restore"}, "unknown flag --dry-rum", "did you mean --dry-run?"},
		"another command's flag":          {[]string{"-l", "a=b", "restore", "x"}, `unknown flag -l for "lifeboat restore"`, "see lifeboat restore --help"},
		"unknown short flag among others": {[]string{"restore", "-dz"}, `unknown flag -z for "lifeboat restore"`, "see lifeboat restore --help"},
		"one dash for a long flag":        {[]string{"restore", "-dry-run"}, "unknown flag -dry-run", "write --dry-run"},
		"two dashes for a short flag":     {[]string{"restore", "--d"}, `unknown flag --d for "lifeboat restore"`, "see lifeboat restore --help"},
		"a prefix is not the flag":        {[]string{"restore", "--dry"}, `unknown flag --dry for "lifeboat restore"`, "did you mean --dry-run?"},
		"a flag where a value belongs":    {[]string{"restore", "--to", "--dry-run"}, `flag --to needs a value, and "--dry-run" looks like a flag`, "if --dry-run is the value, write --to=--dry-run"},
		"-- where a value belongs":        {[]string{"restore", "-t", "--", "x"}, `flag -t needs a value, and "--" looks like a flag`, "if -- is the value, write -t=--"},
		"no value":                        {[]string{"restore", "--to"}, "flag --to needs a value", ""},
		"a flag given twice":              {[]string{"restore", "--to", "a", "-t", "b"}, "flag --to is given twice", ""},
		"a switch with a strange value":   {[]string{"restore", "--dry-run=maybe"}, `invalid boolean value "maybe" for -dry-run: parse error`, ""},
		"unknown command":                 {[]string{"restroe"}, `unknown command "restroe"`, "did you mean restore?"},
		"unknown nested command":          {[]string{"etcd", "rebiuld"}, `unknown command "rebiuld"`, "did you mean rebuild?"},
		"a group alone":                   {[]string{"etcd", "--dry-run"}, "no command given", "see lifeboat etcd --help"},
		"nothing":                         {nil, "no command given", "see lifeboat --help"},
		"a flag alone":                    {[]string{"--dry-run"}, "no command given", "see lifeboat --help"},
		"a lone equals sign":              {[]string{"restore", "--=x"}, `unknown flag -- for "lifeboat restore"`, "see lifeboat restore --help"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stdout, err := parse(t, tc.args...)
			require.EqualError(t, err, tc.error)
			require.Equal(t, ExitUsage, codeOf(err))
			require.Equal(t, tc.hint, HintOf(err))
			require.Empty(t, got.Verb, "nothing may run")
			require.Empty(t, stdout)
		})
	}
}

func TestHelpIsGivenWhateverElseIsWrong(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"restore", "-h"},
		{"restore", "x", "--dry-run", "--help"},
		{"--help", "restore"},
		{"restore", "--to", "--help"},
		{"restore", "--no-such-flag", "-h"},
		{"restore", "-dh"},
	} {
		got, stdout, err := parse(t, args...)
		require.NoError(t, err, "%q", args)
		require.Contains(t, stdout, "lifeboat restore", "%q", args)
		require.Empty(t, got.Verb, "%q: nothing may run", args)
	}
	_, stdout, err := parse(t, "restore", "--", "--help")
	require.NoError(t, err)
	require.Empty(t, stdout, "behind -- it is an argument")
}

// Any interleaving of the same flags and arguments, in any spelling, is the
// same command line.
func TestAnyInterleavingParsesAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{"-", "a", "a,b", "x=y", "to", "restore", "käse", "", " "})
		verb := rapid.SampledFrom([][]string{{"restore"}, {"etcd", "rebuild"}}).Draw(t, "verb")
		want := typed{Verb: verb[len(verb)-1]}
		var flags [][]string // each the spelling of one flag
		spell := func(long, short, value string) {
			spellings := [][]string{{"--" + long, value}, {"--" + long + "=" + value}, {"-" + short, value}, {"-" + short + "=" + value}}
			if value != "" && value[0] != '=' {
				spellings = append(spellings, []string{"-" + short + value})
			}
			flags = append(flags, rapid.SampledFrom(spellings).Draw(t, long))
		}
		if want.DryRun = rapid.Bool().Draw(t, "dry-run"); want.DryRun {
			flags = append(flags, rapid.SampledFrom([][]string{{"--dry-run"}, {"-d"}, {"--dry-run=true"}}).Draw(t, "spelling"))
		}
		if rapid.Bool().Draw(t, "has to") {
			want.To = value.Draw(t, "to")
			spell("to", "t", want.To)
		}
		flags = rapid.Permutation(flags).Draw(t, "order")
		for range rapid.IntRange(0, 3).Draw(t, "identities") {
			identity := value.Draw(t, "identity value")
			want.Identities = append(want.Identities, identity)
			spell("identity", "i", identity)
		}
		words := rapid.SliceOfN(value, 0, 4).Draw(t, "words")
		want.Args = append([]string{}, words...)
		hard := rapid.SliceOfN(rapid.SampledFrom([]string{"--dry-run", "-x", "--", "a"}), 0, 2).Draw(t, "behind --")

		line := interleave(t, slices.Concat(verb, words), flags)
		if len(hard) > 0 || rapid.Bool().Draw(t, "--") {
			line = append(append(line, "--"), hard...)
			want.Args = append(want.Args, hard...)
		}
		got, _, err := parse(t, line...)
		require.NoError(t, err, "%q", line)
		if len(got.Identities) == 0 {
			got.Identities = nil
		}
		require.Equal(t, want, got, "%q", line)
	})
}

// interleave mixes words and flags, each kept in its own order.
func interleave(t *rapid.T, words []string, flags [][]string) []string {
	var line []string
	for len(words)+len(flags) > 0 {
		if len(flags) == 0 || (len(words) > 0 && rapid.Bool().Draw(t, "word next")) {
			line, words = append(line, words[0]), words[1:]
		} else {
			line, flags = append(line, flags[0]...), flags[1:]
		}
	}
	return line
}

// Whatever is typed, the parser answers: it runs, helps, or says usage.
func FuzzArguments(f *testing.F) {
	f.Add("restore\x00x\x00--dry-run")
	f.Add("-dwtdir\x00etcd\x00rebuild\x00--\x00-x")
	f.Add("restore\x00-\xff\x00--to")
	f.Fuzz(func(t *testing.T, line string) {
		var args []string
		for word := range bytes.SplitSeq([]byte(line), []byte{0}) {
			args = append(args, string(word))
		}
		_, _, err := parse(t, args...)
		var coded *CodedError
		require.True(t, err == nil || errors.As(err, &coded), "%v", err)
	})
}
