// Package simulations holds the verbs of `lifeboat sim`: where Pods would go,
// what a lost node or a lost quorum does.
package simulations

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim/backup"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// SimCommand is the family of verbs under `lifeboat sim`.
func SimCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "sim",
		Usage: "simulations: where Pods go, what a lost node or quorum means",
		UsageText: "lifeboat sim scheduler lose kube-backup.tar.gz --each\n" +
			"lifeboat sim nodeloss kube-backup.tar.gz --node worker-1",
		Subcommands: []*cli.Command{simSchedulerCommand(env), simNodelossCommand(env), simQuorumCommand(env)},
	}
}

// ReadCluster reads a backup's objects for a simulation. What cannot be read is
// named.
func ReadCluster(ctx context.Context, env *console.Environment, src *lifeboat.Backup) (*backup.Cluster, error) {
	phase := env.Progress.Start("reading objects", 0)
	defer phase.Done()
	cluster, err := backup.Read(ctx, src)
	if err != nil {
		return nil, err
	}
	for _, name := range cluster.Left {
		env.Warn("%s: left out of the simulation: it could not be read", name)
	}
	if more := cluster.Missing - len(cluster.Left); more > 0 {
		env.Warn("%d more objects are left out of the simulation: they could not be read", more)
	}
	return cluster, nil
}

// schedulerFlags stand wherever the scheduler is asked.
func schedulerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kubernetes-version", Usage: "judge as release `V` where the linked scheduler can (1.34 to 1.37)"},
		&cli.StringFlag{Name: "config", Usage: "KubeSchedulerConfiguration `FILE` (default: the one that kube-scheduler's manifest in SRC names)"},
		&cli.BoolFlag{Name: "ignore-unknown-plugins", Usage: "leave custom plugins of --config out instead of refusing it"},
		&cli.StringFlag{Name: "order", Value: string(scheduler.ByName), Usage: "nodes arrived by `ORDER`: name or created"},
		&cli.Uint64Flag{Name: "seed", Usage: "nodes arrived in the random order of seed `N`"},
	}
}

// schedulerOptionsOf reads schedulerFlags. The version is the backup's unless
// it was given; every known difference is a warning.
func schedulerOptionsOf(c *cli.Context, env *console.Environment, cluster *backup.Cluster) (scheduler.Options, error) {
	opts := scheduler.Options{Version: c.String("kubernetes-version"), Order: scheduler.Order{By: scheduler.OrderBy(c.String("order"))}}
	switch {
	case c.IsSet("seed") && c.IsSet("order"):
		return opts, console.Usagef("--seed and --order exclude each other")
	case c.IsSet("seed"):
		opts.Order = scheduler.Order{By: scheduler.BySeed, Seed: c.Uint64("seed")}
	case opts.Order.By != scheduler.ByName && opts.Order.By != scheduler.ByCreation:
		return opts, console.OneOf("order", string(opts.Order.By), []string{string(scheduler.ByName), string(scheduler.ByCreation)})
	}
	if opts.Version != "" {
		if _, err := scheduler.Differences(opts.Version); err != nil {
			return opts, console.Usagef("reading --kubernetes-version: %w", err)
		}
	} else {
		opts.Version = cluster.Version.Version
	}
	var caveats []string
	opts.Version, caveats = backup.JudgedAs(opts.Version)
	for _, caveat := range caveats {
		env.Warn("%s", caveat)
	}
	var err error
	opts.Config, err = schedulerConfigOf(c, env, opts.Version, cluster)
	return opts, err
}

// schedulerConfigOf is --config, else what the backup's own scheduler was given.
func schedulerConfigOf(c *cli.Context, env *console.Environment, version string, cluster *backup.Cluster) (*scheduler.Config, error) {
	path := c.String("config")
	if path == "" {
		config, from, caveats, err := cluster.SchedulerConfig(version)
		if err != nil {
			return nil, console.WithHint(err, "--config FILE gives another")
		}
		for _, caveat := range caveats {
			env.Warn("%s", caveat)
		}
		env.Note("the scheduler's configuration: %s", from)
		return config, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	config, err := scheduler.ParseConfig(data, version, c.Bool("ignore-unknown-plugins"))
	if unknown := (*scheduler.UnknownPluginError)(nil); errors.As(err, &unknown) {
		return nil, console.WithHint(console.Refusef("reading %q: %w", path, err), "--ignore-unknown-plugins leaves them out; the answer is then not your scheduler's")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	for _, name := range config.Skipped {
		env.Warn("plugin %q of %q is left out: the answer may differ from your scheduler's", name, path)
	}
	for _, url := range config.Extenders {
		env.Warn("extender %q of %q is not called: the answer may differ from your scheduler's", url, path)
	}
	return config, nil
}
