// Package backup reads what the simulations need out of a backup: nodes, Pods
// and what decides about them, as client-go's types, and how the cluster's node
// lifecycle is tuned. It is where package lifeboat and the simulations meet.
//
//	cluster, err := backup.Read(ctx, b)
//	if err != nil { … }
//	loss, err := scheduler.Lose(ctx, cluster.Objects, opts, "worker-1", []string{"worker-1"})
package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// kinds is all that the scheduler, or a judgement on who comes back, looks at.
const kinds = "nodes,pods,namespaces,services,replicationcontrollers,replicasets.apps,statefulsets.apps,jobs.batch," +
	"persistentvolumes,persistentvolumeclaims,storageclasses.storage.k8s.io,csinodes.storage.k8s.io,csidrivers.storage.k8s.io," +
	"csistoragecapacities.storage.k8s.io,volumeattachments.storage.k8s.io,poddisruptionbudgets.policy,priorityclasses.scheduling.k8s.io," +
	"resourceslices.resource.k8s.io,resourceclaims.resource.k8s.io,resourceclaimtemplates.resource.k8s.io,deviceclasses.resource.k8s.io," +
	"limitranges,runtimeclasses.node.k8s.io,resourcequotas,mutatingwebhookconfigurations.admissionregistration.k8s.io," +
	"validatingwebhookconfigurations.admissionregistration.k8s.io"

// maxNamed is how many objects are named that could not be read.
const maxNamed = 20

// Cluster is what a simulation reads out of a backup.
type Cluster struct {
	Objects scheduler.Objects
	Version registry.KubernetesVersion
	Flags   map[string]string // kube-controller-manager's; empty when not known

	Missing int      // objects that could not be read
	Locked  int      // of them, those that no key opens
	Left    []string // the names of the first of them

	module map[string]any // settings of ModuleConfig control-plane-manager
	own    own
}

// Read reads a backup's objects for a simulation. What cannot be read is named
// and counted; an Error of class lifeboat.NoKey says that all of it is locked.
func Read(ctx context.Context, b *lifeboat.Backup) (*Cluster, error) {
	reg, err := b.Objects(0)
	if err != nil {
		return nil, err
	}
	listing, err := reg.List(ctx, registry.Query{Words: kinds})
	if err != nil {
		return nil, err
	}
	c := &Cluster{Flags: map[string]string{}}
	converter := printer.NewConverter(listing.Resources)
	for o := range listing.Objects(ctx) {
		obj, err := typedPreferred(converter, o)
		if err != nil || obj == nil {
			c.leave(o)
			continue
		}
		c.add(obj)
	}
	if err := c.allLocked(); err != nil {
		return nil, err
	}
	if c.module, err = moduleSettings(ctx, reg); err != nil {
		return nil, err
	}
	if control := b.ControlPlane(); control != nil {
		version, path := control.KubernetesVersion()
		c.Version = registry.KubernetesVersion{Version: version, From: "image in " + path}
		if flags, ok := control.Flags("kube-controller-manager"); ok {
			c.Flags = flags
		}
		if c.own, err = ownScheduler(control); err != nil {
			return nil, err
		}
	}
	if c.Version.Version == "" {
		c.guessVersion()
	}
	return c, ctx.Err()
}

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

func (c *Cluster) leave(o *registry.Object) {
	c.Missing++
	if o.Form == registry.Encrypted {
		c.Locked++
	}
	if c.Missing <= maxNamed {
		c.Left = append(c.Left, o.String())
	}
}

func (c *Cluster) add(obj runtime.Object) {
	switch obj := obj.(type) {
	case *corev1.Node:
		c.Objects.Nodes = append(c.Objects.Nodes, obj)
	case *corev1.Pod:
		c.Objects.Pods = append(c.Objects.Pods, obj)
	default:
		c.Objects.Others = append(c.Objects.Others, obj)
	}
}

// guessVersion takes the kubelets' word where no manifest says anything; the
// mirror Pods of a scheduler carry its image. Of kubelets the newest counts: in
// the middle of an upgrade the others are older than the control plane.
func (c *Cluster) guessVersion() {
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
func (c *Cluster) allLocked() error {
	if c.Locked == 0 || c.Locked < c.Missing || len(c.Objects.Nodes)+len(c.Objects.Pods)+len(c.Objects.Others) > 0 {
		return nil
	}
	return locked(fmt.Errorf("all %d objects are encrypted, and no key at hand opens them", c.Locked))
}

func locked(err error) error {
	return &lifeboat.Error{Class: lifeboat.NoKey, Err: err, Hint: "give the API server's EncryptionConfiguration with --encryption-config FILE"}
}

// Verdict says what the simulation had to do without: an Error of class
// lifeboat.Incomplete, or nil.
func (c *Cluster) Verdict() error {
	if c.Missing == 0 {
		return nil
	}
	return &lifeboat.Error{Class: lifeboat.Incomplete, Err: fmt.Errorf("%d objects could not be read and are no part of the answer", c.Missing)}
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
