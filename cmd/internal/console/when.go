package console

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
)

// WhenFlags say which moment of SRC is looked at, and how far back it reaches.
func WhenFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
		&cli.StringFlag{Name: "at", Usage: "as of a `TIME`: 2026-11-21T20:50:00Z, \"2026-11-21 20:50\", 20:50, \"10m ago\""},
		OlderFlag(),
	}
}

// OlderFlag is --older.
func OlderFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "older", Usage: "an older backup `SRC` of the same cluster, whose history is joined; repeatable"}
}

// OpenAt opens SRC and the older backups, and finds the revision that is meant
// by --rev or --at, 0 for the newest. The caller closes the source.
func OpenAt(c *cli.Context, env *Environment, opts SourceOptions, path string) (src *lifeboat.Backup, rev int64, err error) {
	if c.IsSet("rev") && c.IsSet("at") {
		return nil, 0, Usagef("--rev and --at exclude each other")
	}
	src, err = OpenWithOlder(c, env, opts, path)
	if err != nil {
		return nil, 0, err
	}
	if rev = c.Int64("rev"); c.IsSet("at") {
		if rev, err = RevisionAt(c, env, src, c.String("at")); err != nil {
			src.Close()
			return nil, 0, err
		}
	}
	return src, rev, nil
}

// RevisionAt finds the revision of a time of the host's zone, and says which it
// is.
func RevisionAt(c *cli.Context, env *Environment, src *lifeboat.Backup, text string) (int64, error) {
	rev, moment, err := src.RevisionAt(c.Context, text, time.Local)
	if err != nil {
		return 0, err
	}
	env.Note("%s: revision %d, written %s", text, rev, moment)
	return rev, nil
}

// OpenWithOlder opens SRC and joins the backups of --older to it.
func OpenWithOlder(c *cli.Context, env *Environment, opts SourceOptions, path string) (*lifeboat.Backup, error) {
	src, err := OpenSource(c.Context, env, opts, path)
	if err != nil {
		return nil, err
	}
	paths := c.StringSlice("older")
	if len(paths) == 0 {
		return src, nil
	}
	own := opts
	own.PeerDirs, own.WALDirs = nil, nil // those are SRC's
	own.Trailer = lifeboat.TrailerFirst  // nobody proves theirs later
	var older []*lifeboat.Backup
	for _, p := range paths {
		b, err := OpenSource(c.Context, env, own, p)
		if err != nil {
			src.Close()
			for _, o := range older {
				o.Close()
			}
			return nil, err
		}
		older = append(older, b)
	}
	if err := src.Join(c.Context, older...); err != nil {
		src.Close()
		return nil, err
	}
	return src, nil
}
