// Package simulations holds the verbs of `lifeboat sim`: where Pods would go,
// what a lost node or a lost quorum does.
package simulations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func SimCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "sim",
		Usage: "simulations: where Pods go, what a lost node or quorum means",
		UsageText: "lifeboat sim scheduler lose kube-backup.tar.gz --each\n" +
			"lifeboat sim nodeloss kube-backup.tar.gz --node worker-1",
		Subcommands: []*cli.Command{simSchedulerCommand(env), simNodelossCommand(env), simQuorumCommand(env)},
	}
}

// simKinds is all that the scheduler, or a judgement on who comes back, looks at.
const simKinds = "nodes,pods,namespaces,services,replicationcontrollers,replicasets.apps,statefulsets.apps,jobs.batch," +
	"persistentvolumes,persistentvolumeclaims,storageclasses.storage.k8s.io,csinodes.storage.k8s.io,csidrivers.storage.k8s.io," +
	"csistoragecapacities.storage.k8s.io,volumeattachments.storage.k8s.io,poddisruptionbudgets.policy,priorityclasses.scheduling.k8s.io," +
	"resourceslices.resource.k8s.io,resourceclaims.resource.k8s.io,deviceclasses.resource.k8s.io"

// SimCluster is what a simulation reads out of a backup.
type SimCluster struct {
	Objects scheduler.Objects
	Version registry.KubernetesVersion
	flags   map[string]string // kube-controller-manager's, "" when not known
	missing int               // objects that could not be read
	Locked  int               // of them, those without a key
}

// ReadSimCluster reads a backup's objects for a simulation. What cannot be
// read is named and counted.
func ReadSimCluster(ctx context.Context, env *console.Environment, src *console.Source, opts console.SourceOptions) (*SimCluster, error) {
	regOpts, err := src.RegistryOptions(env, opts)
	if err != nil {
		return nil, err
	}
	phase := env.Progress.Start("reading objects", 0)
	defer phase.Done()
	listing, err := registry.New(src.Db, regOpts).List(ctx, registry.Query{Words: simKinds})
	if err != nil {
		return nil, err
	}
	cluster := &SimCluster{flags: map[string]string{}}
	converter := printer.NewConverter(listing.Resources)
	var left []string
	for o := range listing.Objects(ctx) {
		obj, err := typedPreferred(converter, o)
		switch {
		case err != nil || obj == nil:
			cluster.missing++
			if o.Form == registry.Encrypted {
				cluster.Locked++
			}
			if cluster.missing <= maxNamed {
				left = append(left, o.String())
			}
		default:
			cluster.add(obj)
		}
	}
	if err := cluster.allLocked(); err != nil {
		return nil, err
	}
	for _, name := range left {
		env.Warn("%s: left out of the simulation: it could not be read", name)
	}
	if more := cluster.missing - len(left); more > 0 {
		env.Warn("%d more objects are left out of the simulation: they could not be read", more)
	}
	if src.Control != nil {
		version, path := src.Control.KubernetesVersion()
		cluster.Version = registry.KubernetesVersion{Version: version, From: "image in " + path}
		if flags, ok := src.Control.Flags("kube-controller-manager"); ok {
			cluster.flags = flags
		}
	}
	if cluster.Version.Version == "" {
		cluster.GuessVersion()
	}
	return cluster, ctx.Err()
}

// maxNamed is how many objects are named that could not be read.
const maxNamed = 20

// typedPreferred gives the object as client-go's type of the version that the
// scheduler's informers watch; nil when it cannot be read.
func typedPreferred(converter *printer.Converter, o *registry.Object) (runtime.Object, error) {
	if typed := o.Typed; typed != nil && (o.GVK.Version == "v1") {
		return typed, nil
	}
	converter.Preferred(o)
	content, err := o.Content()
	if err != nil || content == nil {
		return nil, err
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	return obj, err
}

func (c *SimCluster) add(obj runtime.Object) {
	switch obj := obj.(type) {
	case *corev1.Node:
		c.Objects.Nodes = append(c.Objects.Nodes, obj)
	case *corev1.Pod:
		c.Objects.Pods = append(c.Objects.Pods, obj)
	default:
		c.Objects.Others = append(c.Objects.Others, obj)
	}
}

// GuessVersion takes the kubelets' word where no manifest says anything; the
// mirror Pods of a scheduler carry its image. Of kubelets the newest counts: in
// the middle of an upgrade the others are older than the control plane.
func (c *SimCluster) GuessVersion() {
	for _, pod := range c.Objects.Pods {
		for _, container := range pod.Spec.Containers {
			if _, tag, ok := strings.Cut(container.Image[strings.LastIndex(container.Image, "/")+1:], ":"); ok && container.Name == "kube-scheduler" {
				c.Version = registry.KubernetesVersion{Version: tag, From: "image of Pod " + pod.Namespace + "/" + pod.Name}
				return
			}
		}
	}
	var newest *version.Version
	for _, node := range c.Objects.Nodes {
		kubelet, err := version.ParseGeneric(node.Status.NodeInfo.KubeletVersion)
		if err != nil || newest != nil && !newest.LessThan(kubelet) {
			continue
		}
		newest = kubelet
		c.Version = registry.KubernetesVersion{Version: node.Status.NodeInfo.KubeletVersion, From: "kubelet of Node " + node.Name, Guess: true}
	}
}

// allLocked is an error when there is nothing to answer with for want of a key.
func (c *SimCluster) allLocked() error {
	if c.Locked == 0 || c.Locked < c.missing || len(c.Objects.Nodes)+len(c.Objects.Pods)+len(c.Objects.Others) > 0 {
		return nil
	}
	return LockedObjects(fmt.Errorf("all %d objects are encrypted, and no key at hand opens them", c.Locked))
}

// Verdict says what the simulation had to do without.
func (c *SimCluster) Verdict() error {
	if c.missing == 0 {
		return nil
	}
	return console.Incompletef("%d objects could not be read and are no part of the answer", c.missing)
}

// LockedObjects is exit 4, with the way out.
func LockedObjects(err error) error {
	return &console.CodedError{Code: console.ExitNoKey, Err: err, Hint: "give the API server's EncryptionConfiguration with --encryption-config FILE"}
}

// schedulerFlags stand wherever the scheduler is asked.
func schedulerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kubernetes-version", Usage: "judge as release `V` where the linked scheduler can (1.34 to 1.37)"},
		&cli.StringFlag{Name: "config", Usage: "KubeSchedulerConfiguration `FILE` with profiles and weights"},
		&cli.BoolFlag{Name: "ignore-unknown-plugins", Usage: "leave custom plugins of --config out instead of refusing it"},
		&cli.StringFlag{Name: "order", Value: string(scheduler.ByName), Usage: "nodes arrived by `ORDER`: name or created"},
		&cli.Uint64Flag{Name: "seed", Usage: "nodes arrived in the random order of seed `N`"},
	}
}

// schedulerOptionsOf reads schedulerFlags. The version is the backup's unless
// it was given; every known difference is a warning.
func schedulerOptionsOf(c *cli.Context, env *console.Environment, found registry.KubernetesVersion) (scheduler.Options, error) {
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
		opts.Version = found.Version
	}
	var caveats []string
	opts.Version, caveats = JudgedAs(opts.Version)
	for _, caveat := range caveats {
		env.Warn("%s", caveat)
	}
	var err error
	opts.Config, err = schedulerConfigOf(c, env, opts.Version)
	return opts, err
}

// JudgedAs is the version that the scheduler is asked to be, "" for its own, and
// what is known to differ from the cluster's.
func JudgedAs(version string) (as string, caveats []string) {
	known, err := scheduler.Differences(version)
	if version == "" || err != nil {
		return "", []string{"the backup does not tell its Kubernetes version: judged by kube-scheduler " + scheduler.Library}
	}
	for _, d := range known {
		caveats = append(caveats, fmt.Sprintf("%s is judged by kube-scheduler %s: %s: %s", version, scheduler.Library, d.Topic, d.Detail))
	}
	return version, caveats
}

func schedulerConfigOf(c *cli.Context, env *console.Environment, version string) (*scheduler.Config, error) {
	path := c.String("config")
	if path == "" {
		return scheduler.DefaultConfig(version)
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
