package etcd

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// writingOptionsOf reads the flags of a command that reads SRC and writes
// targets, of which "" is none. What is spooled stands on the first one's own
// file system.
func writingOptionsOf(c *cli.Context, targets ...string) (opts console.SourceOptions, src string, err error) {
	if opts, err = console.SourceOptionsOf(c); err != nil {
		return opts, "", err
	}
	if src, err = console.OneArgument(c, "SRC"); err != nil {
		return opts, "", err
	}
	opts.ScratchDir = datadir.Scratch(targets[0])
	return opts, src, opts.RefuseInside(src, targets...)
}

// printUndo says how what was replaced is put back; "" is nothing.
func printUndo(out *console.Section, target, aside string) {
	if aside != "" {
		out.Line("what stood there is kept; to put it back:")
		out.Line("  mv %s %s.new && mv %s %s", words.ShellQuote(target), words.ShellQuote(target), words.ShellQuote(aside), words.ShellQuote(target))
	}
}
