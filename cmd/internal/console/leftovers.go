package console

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// WriteTo is the target of a command that reads src.
func WriteTo(c *cli.Context, env *Environment, opts SourceOptions, src, to string) datadir.Target {
	return datadir.Target{
		Path: to, Replace: c.Bool("replace"), Now: time.Now(),
		Sources: slices.Concat([]string{src}, opts.PeerDirs, opts.WALDirs), Found: env.foundLeftover,
	}
}

// foundLeftover names what a killed run had left.
func (e *Environment) foundLeftover(l datadir.Leftover) {
	e.Warn("removed %q, which a killed run had left", l.Part)
	switch {
	case l.Aside != "":
		e.Warn("that run had replaced something, which is kept as %q", l.Aside)
	case l.Back != "":
		e.Warn("that run was about to replace something, which stands at %q again", l.Back)
	}
}

// RefuseInside keeps targets out of the data dirs and logs that are read: they
// would be changed by them. A target of "" is none.
func (o SourceOptions) RefuseInside(src string, targets ...string) error {
	read := slices.Concat([]string{src}, o.PeerDirs, o.WALDirs)
	for _, dir := range read {
		for _, to := range targets {
			inside, err := datadir.Inside(dir, to)
			if err != nil {
				return err
			}
			if inside {
				return WithHint(Refusef("%q stands in %q, which is read", to, dir), "choose another place")
			}
		}
	}
	return nil
}
