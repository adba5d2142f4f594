// Package objects holds the verbs for Kubernetes objects in a backup: inspect,
// get and extract.
package objects

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// ExtractCommand is `lifeboat extract`.
func ExtractCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "extract",
		Usage: "manifests out of a backup, ready for kubectl create",
		UsageText: "lifeboat extract kube-backup.tar.gz -n infra-production --to restored/\n" +
			"lifeboat extract backup.tar.gz.age -i key -n infra deploy,svc --to restored/\n" +
			"lifeboat extract kube-backup.tar.gz -n infra-production -l app=web --to -\n" +
			"lifeboat extract kube-backup.tar.gz deploy/web cm/settings -n infra --to web/\n" +
			"lifeboat extract kube-backup.tar.gz -n infra --at '20:50' --to restored/\n" +
			"lifeboat extract kube-backup.tar.gz -n infra-staging --deleted --to restored/\n" +
			"lifeboat extract kube-backup.tar.gz -n infra --to-namespace copy --to copy/\n" +
			"lifeboat extract /var/lib/etcd --cluster --to cluster/ --report report.json",
		ArgsUsage:    "SRC [KIND,KIND... | KIND NAME... | KIND/NAME...]",
		BashComplete: console.CompletesWith(console.KindAfterSource),
		Flags: append(append(console.SourceFlags(), console.WhenFlags()...),
			&cli.StringSliceFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "objects of this `NAMESPACE`, and what belongs to it; repeatable"},
			&cli.BoolFlag{Name: "all-namespaces", Aliases: []string{"A"}, Usage: "everything that the backup holds"},
			&cli.BoolFlag{Name: "cluster", Usage: "the cluster-scoped objects"},
			&cli.StringFlag{Name: "selector", Aliases: []string{"l"}, Usage: "only objects with these labels, `SELECTOR` as kubectl takes it"},
			&cli.StringFlag{Name: "to", Usage: "the new `FOLDER` to write to, - for one YAML stream on standard output"},
			&cli.StringFlag{Name: "profile", Value: string(registry.Recreate), Usage: "`PROFILE` recreate (cleaned for kubectl create) or raw (as stored)"},
			&cli.StringSliceFlag{Name: "keep", Usage: "keep `WHAT` a rule would drop: node-ports (of Services, those that the cluster allocated as well)"},
			&cli.StringFlag{Name: "report", Usage: "write a JSON `FILE` on every field that was dropped and every object left out"},
			&cli.StringFlag{Name: "engine", Value: string(lifeboat.Direct), Usage: "`ENGINE` direct (reads the file) or etcd (asks a real etcd on a copy)"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "name the rules that left something out"},
			&cli.BoolFlag{Name: "with-deps", Usage: "also what the objects need: classes, volumes, roles, bindings, webhooks, names in their namespaces"},
			&cli.BoolFlag{Name: "deleted", Usage: "what was deleted and is still in the history, as it was before"},
			&cli.StringFlag{Name: "to-namespace", Usage: "clone: write the namespace's objects for the namespace `NEW`, beside the original"},
			&cli.StringFlag{Name: "target-version", Usage: "in API versions that Kubernetes `1.NN` serves; what it would refuse is named, custom resources by their definitions"},
			&cli.BoolFlag{Name: "suspend", Usage: "for a staged start: workloads without replicas, CronJobs suspended; the next commands wake them"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the files that would be written, and write nothing"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error { return runExtract(c, env) },
	}
}

// keepNodePorts is the one value of --keep.
const keepNodePorts = "node-ports"

// extraction is one call of extract.
type extraction struct {
	env       *console.Environment
	opts      console.SourceOptions
	path      string
	selection registry.Selection
	how       lifeboat.ExtractOptions

	to, report string
	dryRun     bool
	verbose    bool
}

func runExtract(c *cli.Context, env *console.Environment) error {
	x, err := extractionOf(c, env)
	if err != nil {
		return err
	}
	if err := x.refuseTargets(); err != nil {
		return err
	}
	src, rev, err := console.OpenAt(c, env, x.opts, x.path)
	if err != nil {
		return err
	}
	defer src.Close()
	x.how.Revision = rev
	found, err := src.Extract(c.Context, x.selection, x.how)
	if err != nil {
		return err
	}
	if err := x.write(c.Context, found); err != nil {
		return err
	}
	return found.Verdict()
}

func extractionOf(c *cli.Context, env *console.Environment) (*extraction, error) {
	if c.NArg() == 0 {
		return nil, console.Usagef("SRC is missing; as in: lifeboat extract kube-backup.tar.gz -n infra-production --to restored/")
	}
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return nil, err
	}
	x := &extraction{
		env: env, opts: opts, path: c.Args().First(), to: c.String("to"), report: c.String("report"), dryRun: c.Bool("dry-run"), verbose: c.Bool("verbose"),
		how: lifeboat.ExtractOptions{
			ToNamespace: c.String("to-namespace"), Suspend: c.Bool("suspend"), Target: c.String("target-version"),
			KeepNodePorts: slices.Contains(c.StringSlice("keep"), keepNodePorts),
			Deleted:       c.Bool("deleted"), WithDeps: c.Bool("with-deps"), Profile: registry.Profile(c.String("profile")), Engine: lifeboat.Engine(c.String("engine")), Stream: c.String("to") == "-",
		},
		selection: registry.Selection{
			Namespaces: c.StringSlice("namespace"), All: c.Bool("all-namespaces"), Cluster: c.Bool("cluster"),
		},
	}
	for _, what := range c.StringSlice("keep") {
		if what != keepNodePorts {
			return nil, console.OneOf("keep", what, []string{keepNodePorts})
		}
	}
	if x.selection.Words, x.selection.Refs, err = registry.ParseRefs(c.Args().Tail()); err != nil {
		return nil, console.UsageError(err)
	}
	if x.selection.Labels, err = labels.Parse(c.String("selector")); err != nil {
		return nil, console.Usagef("reading --selector: %w", err)
	}
	switch {
	case slices.Contains(x.selection.Namespaces, ""):
		return nil, console.Usagef("the namespace is empty; is a variable not set?")
	case len(x.selection.Namespaces) == 0 && !x.selection.All && !x.selection.Cluster && x.selection.Refs == nil:
		return nil, console.Usagef("say what to extract: -n NAMESPACE, --cluster or -A")
	case x.selection.All && (x.selection.Cluster || len(x.selection.Namespaces) > 0):
		return nil, console.Usagef("-A has everything: leave -n and --cluster out")
	case x.how.Deleted && x.how.Engine != lifeboat.Direct, c.StringSlice("older") != nil && x.how.Engine != lifeboat.Direct:
		return nil, console.Usagef("--engine etcd shows one revision at a time: --deleted and --older need the direct one")
	case c.IsSet("to-namespace") && x.how.ToNamespace == "":
		return nil, console.Usagef("--to-namespace is empty; is a variable not set?")
	case x.selection.Refs != nil && x.selection.All:
		return nil, console.Usagef("a NAME cannot be looked for in all namespaces")
	case x.to == "" && !x.dryRun:
		return nil, console.Usagef("say where to write to: --to FOLDER, or --to - for standard output")
	case x.how.Profile != registry.Recreate && x.how.Profile != registry.Raw:
		return nil, console.OneOf("profile", string(x.how.Profile), []string{string(registry.Recreate), string(registry.Raw)})
	case x.how.Engine != lifeboat.Direct && x.how.Engine != lifeboat.Etcd:
		return nil, console.OneOf("engine", string(x.how.Engine), []string{string(lifeboat.Direct), string(lifeboat.Etcd)})
	}
	x.opts.ScratchDir = x.scratchDir()
	return x, nil
}

// scratchDir is where plaintext that needs a file system goes: beside the
// target, never the system's folder for temporary files.
func (x *extraction) scratchDir() string {
	if x.to == "" || x.to == "-" {
		return "."
	}
	return filepath.Dir(filepath.Clean(x.to))
}

// refuseTargets fails before the work is done and not after it.
func (x *extraction) refuseTargets() error {
	for _, target := range []string{x.to, x.report} {
		if target == "" || target == "-" || x.dryRun {
			continue
		}
		if err := console.RefuseExisting(target); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) write(ctx context.Context, found *lifeboat.Extraction) error {
	plan, report := found.Plan, found.Report
	if x.dryRun {
		err := x.printPlan(report)
		x.summarize(found)
		return err
	}
	if x.to == "-" {
		if err := errors.Join(registry.WriteStream(x.env.Stdout, plan), x.writeReport(report)); err != nil {
			return err
		}
		x.summarize(found)
		return nil
	}
	written, err := registry.WriteDir(ctx, x.to, plan)
	if written.Leftover != "" {
		x.env.Warn("removed %q, which a killed run had left", written.Leftover)
	}
	if err != nil {
		return err
	}
	if err := x.writeReport(report); err != nil {
		return err
	}
	x.summarize(found)
	x.nextCommands(plan, report)
	return x.printPlan(report)
}

// writeReport comes after the manifests: a report of files that are not there
// would be in the way of the second try.
func (x *extraction) writeReport(report *registry.ExtractReport) error {
	if x.report == "" {
		return nil
	}
	return console.WriteNew(x.env, x.report, report.Encode)
}

// printPlan is the result on standard output: the files, or the report.
func (x *extraction) printPlan(report *registry.ExtractReport) error {
	if x.env.Format == console.FormatJSON {
		return report.Encode(x.env.Stdout)
	}
	for _, o := range report.Objects {
		name := o.File
		if x.to != "" && x.to != "-" {
			name = filepath.Join(x.to, name)
		}
		if _, err := fmt.Fprintln(x.env.Stdout, console.Printable(name)); err != nil {
			return err
		}
	}
	return nil
}

// mostDangling bounds the references in vain that are named.
const mostDangling = 20

// tellClosure says what the objects need beside themselves.
func (x *extraction) tellClosure(closure *registry.Closure) {
	if closure == nil {
		return
	}
	if x.how.WithDeps {
		for _, need := range closure.Needs {
			x.env.Note("with %s: %s", need.Object, need.Reason)
		}
	}
	for i, d := range closure.Dangling {
		if i == mostDangling && !x.verbose {
			x.env.Warn("and %d more names that lead to nothing in the backup: -v, or closure.dangling in --report", len(closure.Dangling)-i)
			break
		}
		x.env.Warn("%s", d)
	}
	for _, w := range closure.Webhooks {
		x.env.Warn("%s", w)
	}
}

func (x *extraction) summarize(found *lifeboat.Extraction) {
	for _, line := range found.Summary() {
		switch line.Severity {
		case registry.Info:
			if !x.dryRun { // nothing is written
				x.env.Note("%s", line.Text)
			}
		case registry.Detail:
			if x.verbose {
				x.env.Note("%s", line.Text)
			}
		case registry.Warning, registry.Missing:
			x.env.Warn("%s", line.Text)
		}
	}
	x.tellClosure(found.Closure)
}

// nextCommands says what to type now, and what when the nodes are back.
func (x *extraction) nextCommands(plan *registry.Plan, report *registry.ExtractReport) {
	const most = 12
	some := func(commands []string, where string) string {
		rest := ""
		if more := len(commands) - most; more > 0 {
			rest = fmt.Sprintf("\n# and %d more: %s in --report", more, where)
		}
		return strings.Join(commands[:min(most, len(commands))], "\n") + rest
	}
	if nodes := report.NodeCommands; len(nodes) > 0 && x.how.Profile == registry.Recreate {
		x.env.Note("when the nodes have registered, what was set on them by hand:\n%s", some(nodes, "nodeCommands"))
	}
	if x.how.Profile == registry.Recreate && len(plan.Manifests) > 0 {
		x.env.Note("next, on the cluster:\n%s", strings.Join(plan.Commands(x.to), "\n"))
	}
	if wake := plan.WakeCommands(); len(wake) > 0 {
		x.env.Note("then, to wake what is suspended:\n%s", some(wake, "wake"))
	}
}
