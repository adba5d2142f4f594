package registry_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// inMemory is a keyspace of these keys and values.
type inMemory map[string]string

func (inMemory) Revision() int64 { return 1 }

func (m inMemory) At(_ context.Context, _ int64, match func([]byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if (match == nil || match([]byte(key))) && !yield(snapshot.KeyValue{Key: []byte(key), Value: []byte(m[key])}, nil) {
				return
			}
		}
	}
}

const going = `apiVersion: v1
kind: Secret
metadata: {name: going, namespace: shop, deletionTimestamp: "2026-01-02T03:04:05Z"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app, namespace: shop}
imagePullSecrets: [{name: app-dockercfg-8h5kz}, {name: registry}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, namespace: shop, uid: "1"}
spec: {volumeName: pv}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, uid: "2"}
spec: {template: {spec: {containers: [{name: web, envFrom: [{secretRef: {name: going}}]}]}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.fleet.example.com, deletionTimestamp: "2026-01-02T03:04:05Z"}
spec: {group: fleet.example.com, names: {kind: Ship, plural: ships}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}
---
apiVersion: fleet.example.com/v1
kind: Ship
metadata: {name: aurora, namespace: shop}
`

// What gets no manifest because it was being deleted is missed by who names it,
// and what a rule drops is not.
func TestNamesOfWhatIsGoing(t *testing.T) {
	t.Parallel()
	const web, account = `deployments.apps shop/web names Secret "going" (spec.template.spec.containers[web].envFrom), which was being deleted when the backup was made`,
		`serviceaccounts shop/app names Secret "registry" (imagePullSecrets[0]), which is not in the backup`
	for whole, want := range map[bool][]string{true: {web, account}, false: {web}} {
		plan, err := registry.Clean(objectsOfYAML(t, []byte(going)), registry.CleanOptions{Whole: whole})
		require.NoError(t, err)
		var said []string
		for _, d := range plan.Dangling {
			said = append(said, d.String())
		}
		require.Equal(t, want, said)
		require.Contains(t, notesOf(plan, "ships.fleet.example.com shop/aurora"), "was being deleted, and all its objects with it")

		closure := &registry.Closure{Dangling: []registry.Dangling{
			{From: written(plan, "serviceaccounts shop/app").Object, To: registry.Reference{Kind: objectsOfYAML(t, []byte(going))[0].GVK.GroupKind(), Namespace: "shop", Name: "app-dockercfg-8h5kz"}},
		}}
		closure.OfWritten(plan)
		require.Equal(t, plan.Dangling, closure.Dangling, "a reference that a rule dropped is none")
	}
}

// KubeVirt keeps the size of a machine in a ControllerRevision that the machine names.
func TestRevisionsOfOthersAreKept(t *testing.T) {
	t.Parallel()
	const revision = `apiVersion: apps/v1
kind: ControllerRevision
metadata: {name: %[1]s, namespace: vm, ownerReferences: [{apiVersion: %[2]s, kind: Owner, name: o, uid: "1", controller: true}]}
`
	plan, err := registry.Clean(objectsOfYAML(t, fmt.Appendf(nil, revision+"---\n"+strings.NewReplacer("[1]", "[3]", "[2]", "[4]").Replace(revision),
		"size", "kubevirt.io/v1", "history", "apps/v1")), registry.CleanOptions{})
	require.NoError(t, err)
	require.NotNil(t, written(plan, "controllerrevisions.apps vm/size"))
	require.Equal(t, "controller-revision: its owner starts a new history", reasonOf(plan, "controllerrevisions.apps vm/history"))
}

// A Service that only prefers two families is created where there is one.
func TestFamiliesThatAreOnlyPreferred(t *testing.T) {
	t.Parallel()
	for policy, kept := range map[string]bool{"SingleStack": false, "PreferDualStack": false, "RequireDualStack": true} {
		plan, err := registry.Clean(objectsOfYAML(t, fmt.Appendf(nil, `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, uid: "1"}
spec: {clusterIP: 10.1.2.3, clusterIPs: [10.1.2.3, "fd00::3"], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: %s}
`, policy)), registry.CleanOptions{})
		require.NoError(t, err)
		require.Equal(t, kept, contentAt(t, plan, "services shop/web", "spec", "ipFamilies") != nil, policy)
	}
}

// OpenShift's API servers leave the group out of their keys, and have names that
// no custom resource has.
func TestKeysOfAggregatedServers(t *testing.T) {
	t.Parallel()
	key, err := registry.ParseKey("/openshift.io", "/openshift.io/oauth/accesstokens/sha256~abc")
	require.NoError(t, err)
	require.Equal(t, registry.Key{Path: key.Path, Plural: "accesstokens", Name: "sha256~abc"}, key)

	r := registry.New(inMemory{
		"/openshift.io/images/sha256:abc":     `{"apiVersion":"image.openshift.io/v1","kind":"Image","metadata":{"name":"sha256:abc"}}`,
		"/openshift.io/configmaps/app/strays": `{"apiVersion":"image.openshift.io/v1","kind":"Image","metadata":{"name":"strays","namespace":"app"}}`,
		"/kubernetes.io/configmaps/app/cm":    `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm","namespace":"app"}}`,
		"/calico/v1/ipam":                     `{"kind":"x"}`,
	}, registry.Options{Prefix: "/openshift.io"})
	elsewhere, err := r.Elsewhere(t.Context())
	require.NoError(t, err)
	require.Equal(t, []registry.PrefixCount{{Prefix: "/kubernetes.io", Keys: 1, Objects: 1, Owner: "OpenShift's kube-apiserver"}}, elsewhere)
	var objects []*registry.Object
	for o, err := range r.Objects(t.Context(), nil) {
		require.NoError(t, err)
		require.Equal(t, o.Name == "strays", len(o.Problems) > 0, "%s: %v", o, o.Problems)
		objects = append(objects, o)
	}
	plan, err := registry.Clean(objects, registry.CleanOptions{})
	require.NoError(t, err)
	require.NotNil(t, written(plan, "images sha256:abc"))
}

// What ended in words of its own is not run again either.
func TestEndedInTheirOwnWords(t *testing.T) {
	t.Parallel()
	for kind, left := range map[string]struct{ ended, runs string }{
		"cert-manager.io/v1 CertificateRequest":              {"{conditions: [{type: Ready, status: 'True', reason: Issued}]}", "{conditions: [{type: Ready, status: 'False', reason: Pending}]}"},
		"cert-manager.io/v1beta1 CertificateRequest":         {"{conditions: [{type: Ready, status: 'False', reason: Denied}]}", "{conditions: [{type: Approved, status: 'True'}]}"},
		"acme.cert-manager.io/v1 Order":                      {"{state: valid}", "{state: pending}"},
		"acme.cert-manager.io/v1 Challenge":                  {"{state: errored}", "{state: processing}"},
		"snapshot.kubevirt.io/v1beta1 VirtualMachineRestore": {"{complete: true}", "{complete: false}"},
		"argoproj.io/v1alpha1 AnalysisRun":                   {"{phase: Inconclusive}", "{phase: Running}"},
		"cert-manager.io/v1 Certificate":                     {"", "{conditions: [{type: Ready, status: 'True'}]}"},
	} {
		version, kind, _ := strings.Cut(kind, " ")
		for status, want := range map[string]bool{left.ended: true, left.runs: false} {
			if status == "" {
				continue
			}
			plan, err := registry.Clean(objectsOfYAML(t, fmt.Appendf(nil, "apiVersion: %s\nkind: %s\nmetadata: {name: a, namespace: n}\nstatus: %s\n", version, kind, status)), registry.CleanOptions{})
			require.NoError(t, err)
			require.Equal(t, want, len(plan.LeftOut) == 1 && plan.LeftOut[0].Rule == "run-finished", "%s %s %s", version, kind, status)
		}
	}
}
