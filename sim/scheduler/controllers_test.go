package scheduler_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle"
	"k8s.io/kubernetes/pkg/controller/tainteviction"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// The forecast of sim/nodeloss against kube-controller-manager's own node
// lifecycle and taint eviction controllers, in virtual time. The test stands
// here because this is the package that may link k8s.io/kubernetes.
//
// Nodes renew their leases as kubelets do, one falls silent at a random moment,
// and what the controllers then do has to lie within the forecast's spans.
func TestForecastIsTheControllers(t *testing.T) {
	start(t, scheduler.Objects{Nodes: nodes(1, 1)}, scheduler.Options{}) // registers metrics outside of any bubble
	tuned := nodeloss.Default(37)
	tuned.Grace, tuned.Period = 10*time.Second, time.Second
	for seed := range uint64(3 * soak) {
		for _, tc := range []struct {
			name   string
			tuning nodeloss.Tuning
			lost   int
		}{{"default", nodeloss.Default(37), 1}, {"tuned", tuned, 1}, {"two", nodeloss.Default(37), 2}, {"partial", nodeloss.Default(37), 3}} {
			t.Run(fmt.Sprintf("%s/%d", tc.name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pass := time.Duration(0)
					if tc.name != "tuned" { // there the healthy nodes would flap, see below
						// Odd, or the pass that finds nodes and the one that taints them, every
						// 100 ms, come at one moment of virtual time, and chance says who is first.
						pass = 137*time.Microsecond + []time.Duration{0, time.Millisecond, 50 * time.Millisecond}[seed%3]
					}
					w := startWorld(t, tc.tuning, pass, seed)
					w.lose(tc.lost)
					w.compare(t)
				})
			})
		}
	}
}

// With a grace period that is no longer than what lies between two renewals,
// healthy nodes are called lost, and the forecast says so.
func TestHealthyNodesFlap(t *testing.T) {
	tight := nodeloss.Default(37)
	tight.Grace, tight.Period = 10*time.Second, time.Second
	require.Negative(t, tight.Flapping().Slack)
	start(t, scheduler.Objects{Nodes: nodes(1, 1)}, scheduler.Options{}) // registers metrics outside of any bubble
	synctest.Test(t, func(t *testing.T) {
		w := startWorld(t, tight, time.Millisecond, 1)
		time.Sleep(10 * time.Minute)
		w.Lock()
		defer w.Unlock()
		require.NotEmpty(t, w.unknown)
	})
}

// world is a cluster of five nodes in one zone and three in another, with the
// real controllers.
type world struct {
	tuning  nodeloss.Tuning
	client  *fake.Clientset
	cluster nodeloss.Cluster
	random  *rand.Rand
	ctx     context.Context

	sync.Mutex
	silent  map[string]bool
	lost    []string
	died    time.Time
	unknown map[string]time.Duration // since the loss, by node
	evicted map[string]time.Duration // by Pod
}

// startWorld takes as pass what a pass over the nodes lasts: in virtual time it
// would last nothing, and no pass of a real controller does.
func startWorld(t *testing.T, tuning nodeloss.Tuning, pass time.Duration, seed uint64) *world {
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), klog.Logger{}))
	w := &world{
		tuning: tuning, random: rand.New(rand.NewPCG(seed, 1)), ctx: ctx,
		silent: map[string]bool{}, unknown: map[string]time.Duration{}, evicted: map[string]time.Duration{},
	}
	var objects []runtime.Object
	for i := range 8 {
		n := node(fmt.Sprintf("n%04d", i), map[bool]string{true: "a", false: "b"}[i < 5])
		n.Status.Conditions[0].LastHeartbeatTime = metav1.Now()
		p := pod(fmt.Sprintf("p%d", i), 100, ownedBy("ReplicaSet"), on(n.Name))
		seconds := int64(60 * (i%3 + 1))
		p.Spec.Tolerations = []corev1.Toleration{{
			Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		}}
		w.cluster.Nodes, w.cluster.Pods = append(w.cluster.Nodes, n), append(w.cluster.Pods, p)
		objects = append(objects, n.DeepCopy(), p.DeepCopy(), leaseOf(n.Name))
	}
	w.client = fake.NewClientset(objects...)
	w.client.PrependReactor("delete", "pods", w.sawDelete)
	w.client.PrependReactor("update", "nodes", w.sawUpdate)
	for _, n := range w.cluster.Nodes {
		go w.kubelet(n.Name, time.Duration(w.random.Int64N(int64(10*time.Second))), rand.New(rand.NewPCG(seed, w.random.Uint64())))
	}
	w.runControllers(t, pass)
	t.Cleanup(func() {
		stop()
		time.Sleep(time.Minute) // virtual: retries and broadcasters end
	})
	time.Sleep(30*time.Second + time.Duration(w.random.Int64N(int64(20*time.Second))))
	return w
}

func leaseOf(name string) *coordinationv1.Lease {
	now := metav1.NowMicro()
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &now},
	}
}

// kubelet renews a lease every 10 s and up to 4 % more.
func (w *world) kubelet(name string, phase time.Duration, random *rand.Rand) {
	for wait := phase; ; wait = 10*time.Second + time.Duration(random.Int64N(int64(400*time.Millisecond))) {
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(wait):
		}
		w.Lock()
		silent := w.silent[name]
		w.Unlock()
		if silent {
			return
		}
		if _, err := w.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Update(w.ctx, leaseOf(name), metav1.UpdateOptions{}); err != nil && w.ctx.Err() == nil {
			panic(err)
		}
	}
}

func (w *world) runControllers(t *testing.T, pass time.Duration) {
	factory := informers.NewSharedInformerFactory(w.client, 0)
	core := factory.Core().V1()
	tuning := w.tuning
	lifecycle, err := nodelifecycle.NewNodeLifecycleController(w.ctx, factory.Coordination().V1().Leases(), core.Pods(), core.Nodes(),
		factory.Apps().V1().DaemonSets(), deafEvents{w.client}, tuning.Period+pass, time.Minute, tuning.Grace,
		float32(tuning.EvictionRate), float32(tuning.SecondaryRate), int32(tuning.LargeZone), float32(tuning.UnhealthyShare))
	require.NoError(t, err)
	eviction, err := tainteviction.New(w.ctx, w.client, core.Pods(), core.Nodes(), "taint-eviction-controller")
	require.NoError(t, err)
	factory.Start(w.ctx.Done())
	factory.WaitForCacheSync(w.ctx.Done())
	go eviction.Run(w.ctx)
	go lifecycle.Run(w.ctx)
}

// lose silences that many nodes of the first zone at once.
func (w *world) lose(n int) {
	w.Lock()
	defer w.Unlock()
	w.died = time.Now()
	for i := range n {
		name := fmt.Sprintf("n%04d", i)
		w.silent[name], w.lost = true, append(w.lost, name)
	}
}

func (w *world) sawUpdate(action clienttesting.Action) (bool, runtime.Object, error) {
	update, ok := action.(clienttesting.UpdateAction)
	if !ok || action.GetSubresource() != "status" {
		return false, nil, nil
	}
	n, ok := update.GetObject().(*corev1.Node)
	if !ok {
		return false, nil, nil
	}
	w.Lock()
	defer w.Unlock()
	for _, c := range n.Status.Conditions {
		if _, seen := w.unknown[n.Name]; c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown && !seen {
			w.unknown[n.Name] = time.Since(w.died)
		}
	}
	return false, nil, nil
}

func (w *world) sawDelete(action clienttesting.Action) (bool, runtime.Object, error) {
	w.Lock()
	defer w.Unlock()
	if deletion, ok := action.(clienttesting.DeleteAction); ok {
		w.evicted[deletion.GetName()] = time.Since(w.died)
	}
	return false, nil, nil
}

// compare waits until everything has happened and holds it against the forecast.
func (w *world) compare(t *testing.T) {
	time.Sleep(5 * time.Minute) // the longest toleration is three, two nodes are tainted within ten seconds
	w.Lock()
	defer w.Unlock()
	report, err := w.tuning.Forecast(w.cluster, nodeloss.Power, w.lost, nil)
	require.NoError(t, err)
	const apiTime = 200 * time.Millisecond // the eviction loop's own period, and retries
	require.Len(t, w.unknown, len(w.lost), "healthy nodes stay ready")
	for name, at := range w.unknown {
		require.GreaterOrEqual(t, at, report.Detected.Min, name)
		require.LessOrEqual(t, at, report.Detected.Max+apiTime, name)
	}
	expected := 0
	var early []string
	for _, p := range report.Pods {
		name := strings.TrimPrefix(p.Pod, "default/")
		if p.Evicted == nil {
			early = append(early, name)
			continue
		}
		expected++
		require.Contains(t, w.evicted, name)
		// Which of several nodes is tainted first is not the forecast's to
		// know: it goes by name, the controller by who was found first.
		turn := time.Duration(len(w.lost)-1) * 10 * time.Second
		require.GreaterOrEqual(t, w.evicted[name], p.Evicted.Min-turn, name)
		require.LessOrEqual(t, w.evicted[name], p.Evicted.Max+turn+apiTime, name)
	}
	for _, name := range early {
		if _, evicted := w.evicted[name]; evicted {
			expected++
			report.Early--
		}
	}
	require.GreaterOrEqual(t, report.Early, 0, "no more are found before the zone is counted than stated")
	require.Len(t, w.evicted, expected, "nobody else is evicted")
}

// deafEvents gives the node lifecycle controller a REST client for its events:
// the fake one has none, and the controller does not ask.
type deafEvents struct{ kubernetes.Interface }

func (d deafEvents) CoreV1() typedcorev1.CoreV1Interface { return deafCore{d.Interface.CoreV1()} }

type deafCore struct{ typedcorev1.CoreV1Interface }

func (deafCore) RESTClient() rest.Interface {
	client, err := rest.RESTClientFor(&rest.Config{
		Host: "nowhere.invalid", APIPath: "/api", Transport: refuse{},
		ContentConfig: rest.ContentConfig{GroupVersion: &corev1.SchemeGroupVersion, NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	})
	if err != nil {
		panic(err)
	}
	return client
}

// refuse answers every request by itself.
type refuse struct{}

func (refuse) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}
