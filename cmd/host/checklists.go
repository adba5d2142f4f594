package host

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

func defragCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "defrag-order", Usage: "a script that defragments a running cluster, the leader last",
		UsageText: "lifeboat host defrag-order kube-backup.tar.gz > defrag.sh\n" +
			"lifeboat host defrag-order m0.tar.gz m1.tar.gz m2.tar.gz > defrag.sh",
		ArgsUsage: "SRC...",
		Description: `It is printed, not run. Who leads is in no backup, so the script asks first;
it saves a snapshot, waits 60 s between members, and gives one that ran out of
time twice as much. Of several SRC, the backups of several masters, the newest
tells the members; one that knows others is named.`,
		Flags: console.SourceFlags(),
		Action: func(c *cli.Context) error {
			cluster, err := readClusters(c, env)
			if err != nil {
				return err
			}
			_, err = env.Stdout.Write([]byte(cluster.DefragScript()))
			return err
		},
	}
}

func scaleCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "scale", Usage: "a checklist: from one master to three, from three to one",
		UsageText: "lifeboat host scale kube-backup.tar.gz --from 3 --to 1\n" +
			"lifeboat host scale kube-backup.tar.gz --from 1 --to 3",
		ArgsUsage: "SRC",
		Description: `It is printed, with names, addresses, member ids, certificates and Deckhouse's
version out of SRC, and the quorum after each step. Nothing is done.`,
		Flags: append(console.SourceFlags(),
			&cli.IntFlag{Name: "from", Usage: "the `NUMBER` of masters that there are"},
			&cli.IntFlag{Name: "to", Usage: "the `NUMBER` of masters to come"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if !c.IsSet("to") {
				return console.Usagef("--to is missing: how many masters there are to be")
			}
			return printChecklist(c, env, func(cluster *host.Cluster) (*host.Checklist, error) {
				if n := len(cluster.Masters); c.IsSet("from") && c.Int("from") != n {
					return nil, console.Refusef("--from %d: the backup has %d masters", c.Int("from"), n)
				}
				if c.Int("to") == 1 {
					return cluster.ScaleDown()
				}
				return cluster.ScaleUp(c.Int("to"))
			})
		},
	}
}

func replaceCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "replace-masters", Usage: "a checklist: another OS image on every master, one by one",
		UsageText:   "lifeboat host replace-masters kube-backup.tar.gz",
		ArgsUsage:   "SRC",
		Description: `The highest number first. It is printed; nothing is done.`,
		Flags:       append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			return printChecklist(c, env, (*host.Cluster).Replace)
		},
	}
}

// onThisHost words a command for a verb that reads no host.
func onThisHost(verb string) string { return "lifeboat host " + verb }

func readCluster(c *cli.Context, env *console.Environment) (*host.Cluster, error) {
	src, err := console.OneArgument(c, "SRC")
	if err != nil {
		return nil, err
	}
	return readOneCluster(c, env, src)
}

// readClusters reads the backups of several masters of one cluster.
func readClusters(c *cli.Context, env *console.Environment) (*host.Cluster, error) {
	if c.NArg() == 0 {
		return nil, console.Usagef("SRC is missing")
	}
	var clusters []*host.Cluster
	for _, src := range c.Args().Slice() {
		cluster, err := readOneCluster(c, env, src)
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, cluster)
	}
	newest, others, err := host.NewestOf(clusters)
	if err != nil {
		return nil, coded(err, onThisHost)
	}
	for _, i := range others {
		env.Warn("%q knows other members than the newest backup, which counts", c.Args().Get(i))
	}
	return newest, nil
}

func readOneCluster(c *cli.Context, env *console.Environment, src string) (*host.Cluster, error) {
	op, err := (&session{c: c, env: env}).opening(src)
	if err != nil {
		return nil, err
	}
	b, err := op.open(env)(c.Context)
	if err != nil {
		return nil, err
	}
	cluster, err := host.ReadCluster(c.Context, b)
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, err
	}
	for _, object := range cluster.Unread {
		env.Warn("%s cannot be read, so what it says is left open", object)
	}
	for _, name := range cluster.NotFound {
		env.Warn("there is no Node of the name of member %q: the name in the commands is etcd's", name)
	}
	return cluster, nil
}

// checklistDocument is a checklist in JSON.
type checklistDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	*host.Checklist
}

func printChecklist(c *cli.Context, env *console.Environment, make func(*host.Cluster) (*host.Checklist, error)) error {
	cluster, err := readCluster(c, env)
	if err != nil {
		return err
	}
	l, err := make(cluster)
	if err != nil {
		return coded(err, onThisHost)
	}
	if err := l.Rehearse(c.Context); err != nil {
		return err
	}
	if env.Format != console.FormatTable {
		return env.PrintDocument(checklistDocument{"lifeboat/v1", "HostChecklist", l})
	}
	out := console.NewSection(env)
	out.Line("Checklist: %s", l.Title)
	printList(out, "Notes", l.Notes)
	if len(l.Items) > 0 {
		out.Heading("Steps")
	}
	for _, line := range l.Lines() {
		out.Line("%s", console.Printable(line))
	}
	return out.Err
}

func timerCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "install-timer", Usage: "a nightly backup: script, systemd service and timer, or a CronJob",
		UsageText: "lifeboat host install-timer --recipient age1...\n" +
			"lifeboat host install-timer --recipient age1... --cronjob > backup.yaml\n" +
			"lifeboat host install-timer --recipient age1... --to timer/",
		Description: `Printed, or written to a new folder with --to. The snapshot is taken through
crictl in etcd's own container, with the manifest's certificates. --cronjob is
the same as an object of the cluster, for masters that have lifeboat's file.`,
		Flags: []cli.Flag{
			rootFlag(), manifestFlag(),
			&cli.StringFlag{Name: "recipient", Usage: "encrypt to this age or ssh public `KEY`"},
			&cli.BoolFlag{Name: "cronjob", Usage: "a CronJob in place of script, service and timer"},
			&cli.StringFlag{Name: "program", Value: "/usr/local/bin/lifeboat", Usage: "where the masters have lifeboat, a `FILE`, for --cronjob"},
			&cli.StringFlag{Name: "backups", Value: "/var/backups/lifeboat", Usage: "the `FOLDER` that the archives go to"},
			&cli.StringFlag{Name: "to", Usage: "the new `FOLDER` to write to"},
		},
		Action: func(c *cli.Context) error { return onHost(c, env, runTimer) },
	}
}

func runTimer(s *session) error {
	if err := noArguments(s.c); err != nil {
		return err
	}
	if s.c.String("recipient") == "" {
		return console.Usagef("--recipient is missing: a backup holds every key of the cluster")
	}
	if _, err := crypto.ParseRecipient(s.c.String("recipient"), nil); err != nil {
		return console.Usagef("--recipient: %v", err)
	}
	state, err := s.look()
	if err != nil {
		return err
	}
	files := state.Timer(s.c.String("recipient"), s.c.String("backups"))
	to, cron := s.c.String("to"), s.c.Bool("cronjob")
	if cron {
		manifest, err := state.CronJob(s.c.String("recipient"), s.c.String("backups"), s.c.String("program"))
		if err != nil {
			return coded(err, s.root.Command)
		}
		files = map[string]string{"lifeboat-backup.yaml": manifest}
	}
	out := console.NewSection(s.env)
	if to != "" {
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
		if err := host.WriteFolder(to, files); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if to == "" {
			out.Line("# %s\n%s", name, files[name])
		} else {
			out.Line("%s", filepath.Join(to, name))
		}
	}
	if to != "" {
		printList(out, "Next", host.TimerNext(to, cron))
	}
	return out.Err
}
