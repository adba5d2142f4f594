package archives

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archiveListCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "what an archive holds",
		UsageText: "lifeboat archive list kube-backup.tar.gz.age -i recovery.key",
		ArgsUsage: "SRC",
		Description: "The archive is read to its end, so that what is listed is known to be whole.\n" +
			"Links are listed as what they are; nothing follows them.",
		Flags: append(console.KeyFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatName)),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			opts, err := console.KeyOptionsOf(c)
			if err != nil {
				return err
			}
			list := entryList{Items: []listedEntry{}}
			reader, err := lifeboat.EachEntry(c.Context, path, opts.For(env, path), func(e *archive.Entry, _ io.Reader) error {
				if e.Again { // the last of one name counts
					list.Items = slices.DeleteFunc(list.Items, func(old listedEntry) bool { return old.Name == e.Name })
				}
				list.Items = append(list.Items, listedEntry{
					Name: e.Name, Kind: string(e.Kind), Format: string(e.Format), Size: e.Size, Mode: e.Mode.String(), ModTime: e.ModTime.UTC(),
				})
				return nil
			})
			if err != nil {
				return err
			}
			odd := 0
			for _, fact := range reader.Facts() {
				if fact.Code == archive.OddName {
					odd++
					env.Warn("entry %d %q %s", fact.Number, fact.Entry, fact.Detail)
				}
			}
			for _, l := range reader.Links() {
				list.Items = append(list.Items, listedEntry{Name: l.Name, Kind: "link", Link: l.Target})
			}
			if err := list.print(env); err != nil || odd == 0 {
				return err
			}
			return console.Incompletef("%d entries are not listed, see above", odd)
		},
	}
}

type entryList struct {
	Items []listedEntry `json:"items"`
}

type listedEntry struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Format  string    `json:"format,omitempty"`
	Size    int64     `json:"size"`
	Mode    string    `json:"mode,omitempty"`
	ModTime time.Time `json:"modified,omitzero"`
	Link    string    `json:"link,omitempty"`
}

func (l entryList) print(env *console.Environment) error {
	switch env.Format {
	case console.FormatJSON:
		return env.PrintDocument(l)
	case console.FormatName:
		for _, e := range l.Items {
			if _, err := fmt.Fprintln(env.Stdout, console.Printable(e.Name)); err != nil {
				return err
			}
		}
		return nil
	}
	t := console.NewTable(env.Stdout, "MODE", "SIZE", "MODIFIED", "KIND", "NAME")
	for _, e := range l.Items {
		name, modified := e.Name, "-"
		if e.Kind == "link" {
			name += " -> " + e.Link
		}
		if !e.ModTime.IsZero() {
			modified = e.ModTime.Format(time.RFC3339)
		}
		t.Row(console.OrDash(e.Mode), strconv.FormatInt(e.Size, 10), modified, e.Kind, name)
	}
	return t.Flush()
}
