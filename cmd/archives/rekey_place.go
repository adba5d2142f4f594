package archives

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func rekeyPlace(c *cli.Context, env *console.Environment, opts console.SourceOptions, path string, how lifeboat.RekeyOptions) (err error) {
	target := c.String("to")
	if target == "" || target == "-" {
		return console.Usagef("say which PLACE the re-keyed archives go to: --to PLACE")
	}
	if how.Shard, err = console.ShardOf(c); err != nil {
		return err
	}
	from, err := lifeboat.OpenPlace(c.Context, path)
	if err != nil {
		return err
	}
	done, err := lifeboat.RekeyPlace(c.Context, from, target, opts.For(env, path), how)
	if err != nil {
		return err
	}
	if how.Rotate {
		env.Warn("copies of the archives in %q still open with the old keys, and whoever read them has the cluster's CA and Secrets", path)
	} else {
		env.Warn("this does not revoke: whoever could open the archives in %q may have kept their keys, which open those in %q as well (lifeboat archive rekey --help)", path, target)
	}
	if err := printRekeyedPlace(env, done); err != nil {
		return err
	}
	return lifeboat.RekeyVerdict(done)
}

func printRekeyedPlace(env *console.Environment, done []lifeboat.Rekeyed) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(map[string]any{"items": done})
	}
	t := console.NewTable(env.Stdout, "ACTION", "SIGNED", "NAME")
	for _, r := range done {
		t.Row(r.Action, map[bool]string{true: "yes", false: "no"}[r.Signed], r.Name)
		if r.Reason != "" {
			env.Warn("%q: %s", r.Name, r.Reason)
		}
	}
	return t.Flush()
}
