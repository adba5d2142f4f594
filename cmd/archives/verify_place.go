package archives

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// placeFlags are those of a PLACE.
func placeFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "sample", Usage: "of a PLACE, look at `N` archives, or N%, whose turn it is"},
		&cli.Uint64Flag{Name: "seed", Usage: "whose turn it is: `N`, the next run N+1 (default: the day)"},
	}, judgeFlags()...)
}

// judgeFlags say how a place is judged, and where its ledger is.
func judgeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "max-age", Usage: "exit 3 where a cluster's newest archive is older than `DURATION`: 26h, 2d"},
		&cli.StringFlag{Name: "metrics", Usage: "write `FILE` for Prometheus (node_exporter's textfile collector)"},
		&cli.StringFlag{Name: "run", Usage: "`NAME` of the run in the ledger"},
		&cli.StringFlag{Name: "ledger", Usage: "the `PLACE` that keeps the ledger (default: the PLACE itself)"},
	}
}

// refusePlaceFlags: what is said of a place must not be passed over in silence
// where there is none.
func refusePlaceFlags(c *cli.Context) error {
	for _, name := range []string{"sample", "seed", "max-age", "metrics", "run", "ledger", "shard", "shards"} {
		if c.IsSet(name) {
			return console.Usagef("--%s goes with a PLACE, a folder of archives or s3://BUCKET/PREFIX", name)
		}
	}
	return nil
}

func runVerifyPlace(c *cli.Context, env *console.Environment, path string, opts console.SourceOptions) error {
	if c.Bool("quick") {
		return console.Usagef("--quick goes with one archive: of a PLACE, archive catalog reads the beginnings")
	}
	how, err := placeOptionsOf(c)
	if err != nil {
		return err
	}
	if how.Shard, err = console.ShardOf(c); err != nil {
		return err
	}
	if how.Shard.Of > 0 && c.String("run") == "" {
		return console.Usagef("shards keep their verdicts in a ledger: give all of them the same --run NAME")
	}
	store, err := lifeboat.OpenPlace(c.Context, path)
	if err != nil {
		return err
	}
	if name := c.String("run"); name != "" {
		kept, err := ledgerOf(c, store)
		if err != nil {
			return err
		}
		if how.Ledger, err = place.OpenLedger(kept, name); err != nil {
			return console.UsageError(err)
		}
	}
	stateDir(env, &opts)
	report, err := lifeboat.VerifyPlace(c.Context, store, opts.For(env, path), how)
	if err != nil {
		return err
	}
	return tellPlace(env, c.String("metrics"), report)
}

// stateDir says where sightings are kept. What is wrong with this host is no
// verdict on the archives.
func stateDir(env *console.Environment, opts *console.SourceOptions) {
	var err error
	if opts.StateDir, err = lifeboat.DefaultStateDir(); err != nil {
		env.Warn("%v", err)
	}
}

func ledgerOf(c *cli.Context, store place.Store) (place.Store, error) {
	if path := c.String("ledger"); path != "" {
		return lifeboat.OpenPlace(c.Context, path)
	}
	return store, nil
}

func placeOptionsOf(c *cli.Context) (how lifeboat.PlaceOptions, err error) {
	if text := c.String("max-age"); text != "" {
		if how.MaxAge, err = place.ParseDuration(text); err != nil {
			return how, console.Usagef("reading --max-age: %w", err)
		}
	}
	if text := c.String("sample"); text != "" {
		if how.Sample, err = place.ParseSample(text); err != nil {
			return how, console.UsageError(err)
		}
	}
	if how.Seed = c.Uint64("seed"); !c.IsSet("seed") {
		how.Seed = uint64(time.Now().Unix() / 86400) // a run a day goes round
	}
	return how, nil
}

// tellPlace prints the report and writes its metrics, before its verdict.
func tellPlace(env *console.Environment, metrics string, report *lifeboat.PlaceReport) error {
	if err := printPlace(env, report); err != nil {
		return err
	}
	if metrics != "" {
		if err := writeMetrics(metrics, report); err != nil {
			return fmt.Errorf("writing %q: %w", metrics, err)
		}
	}
	return report.Verdict()
}

// writeMetrics replaces the page whole. The collector is another user, and numbers
// are no secret.
func writeMetrics(path string, report *lifeboat.PlaceReport) error {
	file, err := whole.NewFile(path, whole.Options{Existing: whole.Overwrite})
	if err != nil {
		return err
	}
	if err := errors.Join(file.Chmod(0o644), report.WriteMetrics(file)); err != nil {
		return errors.Join(err, file.Discard())
	}
	return file.Commit()
}

func printPlace(env *console.Environment, report *lifeboat.PlaceReport) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(report)
	}
	t := console.NewTable(env.Stdout, "OUTCOME", "CLUSTER", "TIME", "REVISION", "SIZE", "NAME")
	for _, f := range report.Findings {
		at, revision := "-", "-"
		if f.Told != lifeboat.ToldByNobody {
			at, revision = f.Time.Format(time.RFC3339), strconv.FormatInt(f.Revision, 10)
		}
		t.Row(string(f.Outcome), console.OrDash(f.Cluster), at, revision, humanize.IBytes(uint64(f.Size)), f.Name)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range report.Findings {
		if f.Reason != "" {
			env.Warn("%q: %s", f.Name, f.Reason)
		}
	}
	out := console.NewSection(env)
	for _, c := range report.Clusters {
		out.Heading("Cluster " + c.Cluster)
		rows := [][]string{{"  newest", "", console.OrDash(c.Name)}}
		for _, check := range c.Checks {
			rows = append(rows, []string{"  " + check.Name, string(check.State()), check.Detail})
		}
		out.Table(rows)
	}
	return out.Err
}
