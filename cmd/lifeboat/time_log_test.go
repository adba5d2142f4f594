package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// apiServer writes to a real etcd as an API server does.
type apiServer struct {
	t       *testing.T
	c       *clientv3.Client
	now     time.Time
	created map[string]metav1.Time // ConfigMaps
}

// put writes an object on the condition that it has a revision, 0 for none, and
// returns the new one, 0 where it was refused.
func (a *apiServer) put(key, apiVersion, kind string, obj interface{ Marshal() ([]byte, error) }, guard int64) int64 {
	a.t.Helper()
	raw, err := obj.Marshal()
	require.NoError(a.t, err)
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	value, err := unknown.Marshal()
	require.NoError(a.t, err)
	return a.change(guard, key, clientv3.OpPut(key, "k8s\x00"+string(value)))
}

func (a *apiServer) change(guard int64, key string, op clientv3.Op) int64 {
	a.t.Helper()
	answer, err := a.c.Txn(a.t.Context()).If(clientv3.Compare(clientv3.ModRevision(key), "=", guard)).Then(op).Else(clientv3.OpGet(key)).Commit()
	require.NoError(a.t, err)
	if !answer.Succeeded {
		return 0
	}
	return answer.Header.Revision
}

// configMap writes a ConfigMap of namespace infra; each writes two seconds later.
func (a *apiServer) configMap(name, value string, guard int64) int64 {
	a.t.Helper()
	object := &corev1.ConfigMap{Data: map[string]string{"w": value}}
	object.Name, object.Namespace = name, "infra"
	if guard == 0 {
		a.now = a.now.Add(2 * time.Second)
		a.created[name] = metav1.NewTime(a.now)
	}
	object.CreationTimestamp = a.created[name]
	return a.put("/registry/configmaps/infra/"+name, "v1", "ConfigMap", object, guard)
}

// lease renews the Lease of a machine.
func (a *apiServer) lease(holder string, guard int64) int64 {
	a.t.Helper()
	a.now = a.now.Add(2 * time.Second)
	at := metav1.NewMicroTime(a.now)
	object := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &at}}
	object.Name, object.Namespace = holder, "kube-node-lease"
	return a.put("/registry/leases/kube-node-lease/"+holder, "coordination.k8s.io/v1", "Lease", object, guard)
}

// startAPIServer starts an etcd on a data dir, and ends it with stop.
func startAPIServer(t *testing.T) (a *apiServer, dir string, stop func()) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "etcd")
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = nil, nil
	cfg.EnableGRPCGateway = false
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd is not ready")
	}
	a = &apiServer{t: t, c: v3client.New(e.Server), now: time.Date(2026, 11, 21, 20, 50, 0, 0, time.UTC), created: map[string]metav1.Time{}}
	return a, cfg.Dir, e.Close
}

// TestHistoryOfTheLog: what was compacted still stands in a data dir's log. What
// later writes prove is history; what nothing proves was attempted.
func TestHistoryOfTheLog(t *testing.T) {
	t.Parallel()
	a, dir, stop := startAPIServer(t)
	tick := a.lease("node-1", 0)
	a.configMap("quiet", "0", 0) // is never written again: it shows where in the log its revision stands
	created := a.configMap("settings", "1", 0)
	second := a.configMap("settings", "2", created)
	require.Zero(t, a.configMap("settings", "refused", created))
	tick = a.lease("node-1", tick)
	third := a.configMap("settings", "3", second)
	fourth := a.configMap("settings", "4", third)
	require.NotZero(t, a.change(a.configMap("gone", "0", 0), "/registry/configmaps/infra/gone", clientv3.OpDelete("/registry/configmaps/infra/gone")))
	tick = a.lease("node-1", tick)
	_, err := a.c.Compact(t.Context(), tick, clientv3.WithCompactPhysical())
	require.NoError(t, err)
	a.lease("node-1", tick)
	stop()

	r := lifeboat("history", dir, "cm/settings", "-n", "infra")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	rev := func(n int64) string {
		return "(?m)^" + strconv.FormatInt(n, 10) + " +2026-11-21 20:50:[01][0-9]Z ± [1-5] s +"
	}
	require.Regexp(t, rev(fourth)+`updated +infra configmaps/settings .*data.w: 3 -> 4$`, r.stdout)
	require.Regexp(t, rev(third)+`updated \(from the log\) +infra configmaps/settings .*data.w: 2 -> 3$`, r.stdout)
	require.Regexp(t, `(?m)^entry [0-9]+ +2026-11-21 20:50:[01][0-9]Z ± [1-5] s +attempted +infra configmaps/settings .*data.w: 1 -> refused$`, r.stdout)
	require.Regexp(t, rev(second)+`updated \(from the log\) .*data.w: 1 -> 2$`, r.stdout)
	require.Regexp(t, rev(created)+`created \(from the log\) `, r.stdout)

	r = lifeboat("history", dir, "cm/gone", "-n", "infra", "-o", "json")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Regexp(t, `"revision": 0,\s+"entry": [0-9]+,\s+"time"[^}]*},\s+"event": "attempted"`, r.stdout)
	r = lifeboat("history", dir, "cm/settings", "-n", "infra", "-o", "yaml", "--rev", strconv.FormatInt(second, 10))
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, `w: "2"`)
	r = lifeboat("history", dir, "-n", "infra", "--to", "-")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, `<span class="tag attempted">attempted</span></td><td>configmaps infra/settings</td>`)

	r = lifeboat("get", dir, "cm", "settings", "-n", "infra", "--rev", strconv.FormatInt(second, 10))
	require.Equal(t, console.ExitFailed, r.code, "the log tells of objects, not of the whole keyspace: %s", r.stdout)
	require.Contains(t, r.stderr, "compacted")

	// A copy of the database by itself has no log.
	alone := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(alone, mustRead(t, filepath.Join(dir, "member", "snap", "db")), 0o600))
	r = lifeboat("history", alone, "cm/settings", "-n", "infra")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.NotContains(t, r.stdout, "attempted")
}

// TestTargetVersionHoldsCustomResources: what the definition in the backup would
// refuse is named before kubectl is, without a value.
func TestTargetVersionHoldsCustomResources(t *testing.T) {
	t.Parallel()
	a, dir, stop := startAPIServer(t)
	write := func(key, value string) {
		a.change(0, key, clientv3.OpPut(key, value))
	}
	write("/registry/namespaces/infra", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"infra"}}`)
	write("/registry/apiextensions.k8s.io/customresourcedefinitions/ships.fleet.example.com", `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
		"metadata":{"name":"ships.fleet.example.com"},"spec":{"group":"fleet.example.com","scope":"Namespaced",
		"names":{"kind":"Ship","listKind":"ShipList","plural":"ships","singular":"ship"},
		"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{
			"spec":{"type":"object","required":["berth"],"properties":{"berth":{"type":"string"},"crew":{"type":"integer","minimum":1}}}}}}}]}}`)
	ship := func(name, spec string) {
		write("/registry/fleet.example.com/ships/infra/"+name, `{"apiVersion":"fleet.example.com/v1","kind":"Ship","metadata":{"name":"`+name+`","namespace":"infra"},"spec":`+spec+`}`)
	}
	ship("right", `{"berth":"quay","crew":3}`)
	ship("adrift", `{"crew":3}`)
	ship("older", `{"berth":"quay","password":"s3cr3t"}`)
	write("/registry/lost.example.com/wrecks/infra/deep", `{"apiVersion":"lost.example.com/v1","kind":"Wreck","metadata":{"name":"deep","namespace":"infra"}}`)
	stop()

	out := filepath.Join(t.TempDir(), "out")
	r := lifeboat("extract", dir, "-n", "infra", "--target-version", "1.30", "--to", out)
	require.Equal(t, console.ExitIncomplete, r.code, r.stderr)
	require.Contains(t, r.stderr, "ships.fleet.example.com infra/adrift: refused: its definition would refuse it: spec.berth: Required value")
	require.Contains(t, r.stderr, "ships.fleet.example.com infra/older: refused: its definition would refuse it: spec.password: the definition has no such field")
	require.Contains(t, r.stderr, `wrecks.lost.example.com infra/deep: was not held against its definition: "wrecks.lost.example.com" is not in the backup`)
	require.NotContains(t, r.stderr, "infra/right")
	require.NotContains(t, r.stderr, "s3cr3t")
	require.FileExists(t, filepath.Join(out, "75-customresources", "ships.fleet.example.com_infra_adrift.yaml"), "it is written all the same")

	r = lifeboat("extract", dir, "ships/right", "-n", "infra", "--target-version", "1.30", "--to", filepath.Join(t.TempDir(), "one"))
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	r = lifeboat("extract", dir, "ships/adrift", "-n", "infra", "--to", filepath.Join(t.TempDir(), "one"))
	require.Equal(t, console.ExitDone, r.code, "without a target nothing is held against definitions: %s", r.stderr)
}
