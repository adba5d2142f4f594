package objects

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// DiffCommand is `lifeboat diff`.
func DiffCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "diff",
		Usage: "what differs between two backups, or two moments of one",
		UsageText: "lifeboat diff yesterday.tar.gz kube-backup.tar.gz\n" +
			"lifeboat diff kube-backup.tar.gz --at '20:40..20:50' -n infra-production\n" +
			"lifeboat diff kube-backup.tar.gz --rev 1217..1392 -o json\n" +
			"lifeboat diff kube-backup.tar.gz --manifests git/infra/",
		ArgsUsage: "OLD NEW | SRC",
		Description: `Objects are compared as extract would write them: without what a new cluster
makes by itself, and without what their controllers make again. --raw compares
all that is stored. Secrets show as digests. Exit 7: something differs.

With --manifests the other side are files, or what kubectl get -o yaml prints;
what is compared are the kinds of which these have any, in their namespaces.`,
		Flags: append(console.SourceFlags(), console.OlderFlag(),
			&cli.StringFlag{Name: "rev", Usage: "of one SRC, the revisions `A..B`; no B is the newest. With --manifests, one"},
			&cli.StringFlag{Name: "at", Usage: "of one SRC, the times `A..B`; no B is the newest. With --manifests, one"},
			&cli.StringFlag{Name: "manifests", Usage: "compare with the manifests in `DIR`, - for standard input"},
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "of this `NAMESPACE` (default: everything)"},
			&cli.StringFlag{Name: "kinds", Usage: "of these kinds, `KIND,KIND` as kubectl takes them"},
			&cli.BoolFlag{Name: "raw", Usage: "every object and field as it is stored"},
			&cli.BoolFlag{Name: "show-secrets", Usage: "show the values of Secrets"},
			&cli.BoolFlag{Name: "force", Usage: "compare backups of different clusters"},
			console.OutputFlag(env, console.FormatTable, console.FormatYAML, console.FormatJSON, console.FormatName),
		),
		Action: func(c *cli.Context) error { return runDiff(c, env) },
	}
}

func runDiff(c *cli.Context, env *console.Environment) error {
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	diff, err := diffOf(c, env, opts)
	if err != nil {
		return err
	}
	if err := printDiff(env, diff); err != nil {
		return err
	}
	if len(diff.Items) > 0 {
		return &console.CodedError{Code: console.ExitDeviated, Err: fmt.Errorf("%d of %d objects differ", len(diff.Items), diff.Compared)}
	}
	env.Note("no difference; %d objects were compared", diff.Compared)
	return nil
}

// diffOf compares what the arguments name.
func diffOf(c *cli.Context, env *console.Environment, opts console.SourceOptions) (*registry.Diff, error) {
	how := lifeboat.DiffOptions{
		Words: c.String("kinds"), Namespace: c.String("namespace"), Raw: c.Bool("raw"), ShowSecrets: c.Bool("show-secrets"), Force: c.Bool("force"),
	}
	if c.IsSet("manifests") {
		return diffManifests(c, env, opts, how)
	}
	before, after, closeBoth, err := diffSides(c, env, opts)
	if err != nil {
		return nil, err
	}
	defer closeBoth()
	return lifeboat.Diff(c.Context, before, after, how)
}

func diffManifests(c *cli.Context, env *console.Environment, opts console.SourceOptions, how lifeboat.DiffOptions) (*registry.Diff, error) {
	path := c.String("manifests")
	switch {
	case c.NArg() != 1:
		return nil, console.Usagef("diff --manifests takes one SRC")
	case path == "":
		return nil, console.Usagef("--manifests is empty; is a variable not set?")
	case path == "-" && c.Args().First() == "-":
		return nil, console.Usagef("standard input is SRC already")
	case c.IsSet("rev") && c.IsSet("at"):
		return nil, console.Usagef("--rev and --at exclude each other")
	}
	src, err := console.OpenWithOlder(c, env, opts, c.Args().First())
	if err != nil {
		return nil, err
	}
	defer src.Close()
	rev := int64(0)
	switch {
	case c.IsSet("at"):
		rev, err = console.RevisionAt(c, env, src, c.String("at"))
	case c.IsSet("rev"):
		if rev, err = strconv.ParseInt(c.String("rev"), 10, 64); err != nil || rev <= 0 {
			err = console.Usagef("--rev %q is no revision", c.String("rev"))
		}
	}
	if err != nil {
		return nil, err
	}
	return src.DiffManifests(c.Context, rev, path, how)
}

// diffSides opens what is compared.
func diffSides(c *cli.Context, env *console.Environment, opts console.SourceOptions) (before, after *registry.Registry, closeBoth func(), err error) {
	moments := c.IsSet("rev") || c.IsSet("at")
	switch {
	case c.NArg() == 2 && !moments:
	case c.NArg() == 1 && c.IsSet("rev") != c.IsSet("at"):
	default:
		return nil, nil, nil, console.Usagef("diff takes OLD and NEW, or one SRC with --rev A..B or --at A..B")
	}
	old, err := console.OpenWithOlder(c, env, opts, c.Args().First())
	if err != nil {
		return nil, nil, nil, err
	}
	now, closeBoth := old, func() { old.Close() }
	var revs [2]int64
	if moments {
		revs, err = revisions(c, env, old)
	} else if now, err = console.OpenSource(c.Context, env, opts, c.Args().Get(1)); err == nil {
		closeBoth = func() { now.Close(); old.Close() }
	}
	if err == nil {
		before, err = old.Objects(revs[0])
	}
	if err == nil {
		after, err = now.Objects(revs[1])
	}
	if err != nil {
		closeBoth()
		return nil, nil, nil, err
	}
	return before, after, closeBoth, nil
}

// revisions reads A..B of --rev or --at.
func revisions(c *cli.Context, env *console.Environment, src *lifeboat.Backup) (revs [2]int64, err error) {
	flag := "rev"
	if c.IsSet("at") {
		flag = "at"
	}
	from, to, ok := strings.Cut(c.String(flag), "..")
	if !ok || from == "" {
		return revs, console.Usagef("--%s %q is not A..B", flag, c.String(flag))
	}
	for i, text := range []string{from, to} {
		switch {
		case text == "":
		case flag == "at":
			revs[i], err = console.RevisionAt(c, env, src, text)
		default:
			if revs[i], err = strconv.ParseInt(text, 10, 64); err != nil || revs[i] <= 0 {
				err = console.Usagef("--rev %q is not A..B", c.String(flag))
			}
		}
		if err != nil {
			return revs, err
		}
	}
	return revs, nil
}

func printDiff(env *console.Environment, diff *registry.Diff) error {
	switch env.Format {
	case console.FormatTable:
		return diff.WriteText(env.Stdout)
	case console.FormatName:
		for _, d := range diff.Items {
			if _, err := fmt.Fprintln(env.Stdout, console.Printable(d.Key.Resource()+"/"+d.Key.Name)); err != nil {
				return err
			}
		}
		return nil
	}
	return env.PrintDocument(diff.Document())
}
