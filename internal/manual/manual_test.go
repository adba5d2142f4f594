package manual_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/manual"
)

func program() manual.Program {
	key := &cli.StringFlag{Name: "identity", Aliases: []string{"i"}, Usage: "open with `KEY`"}
	return manual.Program{
		App: &cli.App{Name: "boat", Usage: "goes to sea", UsageText: "boat row lake", ArgsUsage: "COMMAND", Commands: []*cli.Command{
			{Name: "row", Usage: "moves it", UsageText: "boat row lake", ArgsUsage: "SRC", Flags: []cli.Flag{key, &cli.StringFlag{Name: "to", Usage: "the `SHORE`", Value: "north"}}},
			{Name: "sink", Hidden: true},
		}},
		Version: "1.2", Codes: []manual.Code{{Code: 0, Meaning: "done"}}, Shared: []cli.Flag{key}, Sharing: "FLAGS OF EVERY SRC",
		Topics: []manual.Topic{{Name: "weather", About: "when to stay", Text: "Stay in a storm.\n.\n"}},
	}
}

// A command's own flags stand before those that it shares.
func ExampleProgram_Help() {
	p := program()
	fmt.Print(p.Help(p.App.Commands[:1]))
	// Output:
	// boat row: moves it
	//
	// EXAMPLES
	//   boat row lake
	//
	// USAGE
	//   boat row SRC [FLAGS]
	//
	// FLAGS (before or after the arguments)
	//       --to SHORE              the SHORE (default north)
	//   -h, --help                  this text
	//
	// FLAGS OF EVERY SRC
	//   -i, --identity KEY          open with KEY
	//
	// EXIT CODES
	//   0    done
}

// Every command and topic has a page, hidden ones have none, and nothing in a text
// is taken for troff's own.
func TestPages(t *testing.T) {
	t.Parallel()
	pages := program().Pages()
	require.Len(t, pages, 3)
	require.Contains(t, pages["boat-row.1"], ".SH NAME\nboat\\-row \\- moves it\n.SH EXAMPLES\n")
	require.Contains(t, pages["boat-row.1"], ".SH EXIT STATUS\n")
	require.Contains(t, pages["boat-row.1"], "boat(1)")
	require.Contains(t, pages["boat-weather.7"], "Stay in a storm.\n\\&.\n")
	require.Contains(t, pages["boat.1"], ".SH TOPICS")
	for name, page := range pages {
		require.True(t, strings.HasPrefix(page, ".TH "), name)
		require.Contains(t, page, `"boat 1.2"`, name)
	}
}
