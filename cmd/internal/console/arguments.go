package console

import (
	"strings"

	"github.com/urfave/cli/v2"
)

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

// ShellQuote writes a path as it can be typed again.
func ShellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+=,", r)
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
