package console

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/shard"
)

// ShardFlags split a run among machines. what is shared out, in the help.
func ShardFlags(what string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "shard", Usage: "only " + what + " of the I-th of N parts: `I/N`, I from 0"},
		&cli.IntFlag{Name: "shards", Usage: "the part of `N` that JOB_COMPLETION_INDEX says, as in an Indexed Job"},
	}
}

// ShardOf reads ShardFlags.
func ShardOf(c *cli.Context) (shard.Shard, error) {
	text, count := c.String("shard"), c.Int("shards")
	switch {
	case text != "" && c.IsSet("shards"):
		return shard.Shard{}, Usagef("--shard says both numbers: leave --shards out")
	case c.IsSet("shards"):
		index := os.Getenv("JOB_COMPLETION_INDEX")
		if index == "" {
			return shard.Shard{}, Usagef("--shards %d: JOB_COMPLETION_INDEX is not set, as it is in an Indexed Job", count)
		}
		text = fmt.Sprintf("%s/%d", index, count)
	case text == "":
		return shard.Shard{}, nil
	}
	s, err := shard.Parse(text)
	if err != nil {
		return s, Usagef("reading the shard: %w", err)
	}
	return s, nil
}
