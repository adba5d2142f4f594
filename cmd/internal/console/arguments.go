package console

import "github.com/urfave/cli/v2"

// OneArgument is the only argument of a command, called name in its help.
func OneArgument(c *cli.Context, name string) (string, error) {
	switch c.NArg() {
	case 0:
		return "", Usagef("%s is missing", name)
	case 1:
		return c.Args().First(), nil
	}
	return "", Usagef("unexpected argument %q", c.Args().Get(1))
}
