package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedcache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/profile"
)

// ErrNoNodes says that there is nothing to place Pods on.
var ErrNoNodes = errors.New("no nodes")

// Objects are a cluster at rest, as plain lists. The Simulator keeps them and
// changes none.
type Objects struct {
	Nodes []*corev1.Node
	Pods  []*corev1.Pod

	// Others is what plugins look up: Namespaces, Services, ReplicationControllers,
	// ReplicaSets, StatefulSets (spreading by default), PersistentVolumes, their
	// claims, StorageClasses, CSINodes, CSIDrivers, CSIStorageCapacities,
	// VolumeAttachments, PodDisruptionBudgets, PriorityClasses, ResourceSlices,
	// ResourceClaims, ResourceClaimTemplates, DeviceClasses; and what admission
	// looks up: LimitRanges, RuntimeClasses.
	Others []runtime.Object
}

// Options say how to simulate. The zero value is kube-scheduler 1.37 as it
// comes, with nodes that arrived by name.
type Options struct {
	Version string // the cluster's, "v1.36.2"; "" is the library's own
	Config  *Config
	Order   Order

	// AllReasons asks every filter about every node, where the scheduler stops
	// at the first that says no. Each filter costs a framework of its own.
	AllReasons bool
}

// Simulator is a scheduler over a cluster at rest. It is used by one goroutine
// and holds goroutines of its own until Close.
type Simulator struct {
	ctx  context.Context
	stop context.CancelFunc

	config   *Config
	objects  Objects
	order    []string       // the order in which nodes are looked at
	position map[string]int // its inverse

	sched     *scheduler.Scheduler
	snapshot  *schedcache.Snapshot
	informers informers.SharedInformerFactory
	podStore  cache.Indexer
	victims   *victimLog
	view      *podView
	solo      []string // profiles with one filter each, for AllReasons

	bound map[types.UID]*corev1.Pod // what the cache holds

	plugins  map[string]*config.Plugins // by profile
	verdicts map[string][]verdict       // of local filters, by kind of Pod

	// For a Rehearsal, which goes back to the beginning after each loss.
	initial  scheduler.Scheduler
	reserved []reservation
}

// New starts a scheduler over the objects. Without nodes it is ErrNoNodes, a
// version that cannot be simulated is ErrVersion, a configuration that the
// scheduler itself refuses is ErrConfig.
func New(ctx context.Context, objects Objects, opts Options) (*Simulator, error) {
	if len(objects.Nodes) == 0 {
		return nil, ErrNoNodes
	}
	if err := setGates(opts.Version); err != nil {
		return nil, err
	}
	s := &Simulator{config: opts.Config, objects: objects, victims: &victimLog{}, view: newPodView(), bound: map[types.UID]*corev1.Pod{}, plugins: map[string]*config.Plugins{}, verdicts: map[string][]verdict{}}
	if s.config == nil {
		var err error
		if s.config, err = DefaultConfig(opts.Version); err != nil {
			return nil, err
		}
	}
	s.ctx, s.stop = context.WithCancel(klog.NewContext(ctx, klog.Logger{}))
	if err := s.start(opts); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the Simulator's goroutines.
func (s *Simulator) Close() {
	s.stop()
	if s.informers != nil {
		s.informers.Shutdown()
	}
}

// NodeOrder is the order in which the nodes are looked at.
func (s *Simulator) NodeOrder() []string { return slices.Clone(s.order) }

func (s *Simulator) start(opts Options) error {
	client := fake.NewClientset(s.objects.Others...)
	s.informers = scheduler.NewInformerFactory(client, 0, nil)
	s.snapshot = schedcache.NewEmptySnapshot()
	profiles, registry := s.victims.pin(s.config.internal.Profiles)
	s.view.defaults = s.defaultSelector()
	s.view.pin(profiles, registry)
	if opts.AllReasons {
		solo := soloProfiles(s.config.internal.Profiles)
		for _, p := range solo {
			s.solo = append(s.solo, p.SchedulerName)
		}
		profiles = append(profiles, solo...)
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	var err error
	s.sched, err = scheduler.New(s.ctx, client, s.informers, nil, profile.NewRecorderFactory(broadcaster),
		scheduler.WithProfiles(profiles...),
		scheduler.WithComponentConfigVersion(s.config.internal.APIVersion),
		scheduler.WithPercentageOfNodesToScore(s.config.internal.PercentageOfNodesToScore),
		scheduler.WithFrameworkOutOfTreeRegistry(registry),
		scheduler.WithParallelism(1),
		scheduler.WithNodeInfoSnapshot(s.snapshot),
	)
	if err != nil {
		return fmt.Errorf("starting the scheduler: %w: %w", ErrConfig, err)
	}
	for name, framework := range s.sched.Profiles {
		s.plugins[name] = framework.ListPlugins()
	}
	s.podStore = s.informers.Core().V1().Pods().Informer().GetIndexer()
	s.informers.Start(s.ctx.Done())
	s.informers.WaitForCacheSync(s.ctx.Done())
	if err := s.sched.WaitForHandlersSync(s.ctx); err != nil {
		return fmt.Errorf("starting the scheduler: %w", err)
	}
	s.initial = *s.sched // where the next search begins, and nothing else that changes
	return s.fill(opts.Order)
}

// fill adds nodes and Pods to the cache, past the informers.
func (s *Simulator) fill(order Order) error {
	for _, node := range order.Arrange(s.objects.Nodes) {
		s.sched.Cache.AddNode(klog.Logger{}, node)
	}
	for _, pod := range s.objects.Pods {
		if err := s.add(pod); err != nil {
			return err
		}
	}
	if err := s.sched.Cache.UpdateSnapshot(klog.Logger{}, s.snapshot); err != nil {
		return fmt.Errorf("reading the node cache: %w", err)
	}
	var err error
	if s.order, err = snapshotOrder(s.snapshot); err != nil {
		return err
	}
	s.position = make(map[string]int, len(s.order))
	for i, name := range s.order {
		s.position[name] = i
	}
	return nil
}

// add makes a Pod known. One that has ended is not: the scheduler's informer
// leaves those out (newPodInformer's field selector).
func (s *Simulator) add(pod *corev1.Pod) error {
	if ended(pod) {
		return nil
	}
	if pod.Spec.NodeName != "" && pod.Status.StartTime == nil {
		pod = started(pod)
	}
	if err := s.podStore.Add(pod); err != nil {
		return fmt.Errorf("adding Pod %s: %w", podName(pod), err)
	}
	if pod.Spec.NodeName == "" {
		s.nominate(pod)
		return nil
	}
	if err := s.sched.Cache.AddPod(klog.Logger{}, pod); err != nil {
		return fmt.Errorf("adding Pod %s: %w", podName(pod), err)
	}
	s.bound[pod.UID] = pod
	s.view.add(pod)
	return nil
}

// started gives a Pod that has not been started yet a time for that, later than
// all others: preemption would take this moment (GetPodStartTime in
// pkg/scheduler/util/utils.go), and answer otherwise each time.
func started(pod *corev1.Pod) *corev1.Pod {
	later := metav1.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	copied := *pod
	copied.Status.StartTime = &later
	return &copied
}

// nominate keeps the room of a Pod that has pushed others out and waits for their
// end: no Pod of a lower priority may take it meanwhile.
func (s *Simulator) nominate(pod *corev1.Pod) {
	if pod.Status.NominatedNodeName != "" && pod.DeletionTimestamp == nil {
		s.sched.SchedulingQueue.Add(s.ctx, pod)
	}
}

// Remove takes a Pod out of the cluster, as if it had been deleted and gone.
func (s *Simulator) Remove(pod *corev1.Pod) error {
	if known := s.bound[pod.UID]; known != nil {
		if err := s.sched.Cache.RemovePod(klog.Logger{}, known); err != nil {
			return fmt.Errorf("removing Pod %s: %w", podName(pod), err)
		}
		delete(s.bound, pod.UID)
		s.view.remove(known)
	}
	if err := s.podStore.Delete(pod); err != nil {
		return fmt.Errorf("removing Pod %s: %w", podName(pod), err)
	}
	return nil
}

// Bound are the Pods that are on a node now, by namespace and name.
func (s *Simulator) Bound() []*corev1.Pod {
	pods := make([]*corev1.Pod, 0, len(s.bound))
	for _, pod := range s.bound {
		pods = append(pods, pod)
	}
	slices.SortFunc(pods, byPodName)
	return pods
}

// profileOf is the profile that is responsible for a Pod.
func (s *Simulator) profileOf(pod *corev1.Pod) (*config.KubeSchedulerProfile, bool) {
	for i := range s.config.internal.Profiles {
		if p := &s.config.internal.Profiles[i]; p.SchedulerName == pod.Spec.SchedulerName {
			return p, true
		}
	}
	return nil, false
}
