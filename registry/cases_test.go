package registry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// caseOf is what extract -A makes of one of testdata/cases.
func caseOf(t testing.TB, name string, opts registry.CleanOptions) *registry.Plan {
	t.Helper()
	r := registry.OpenArchive(t, filepath.Join("testdata", "cases", name+".tar.gz"), registry.Options{})
	selected, err := r.Select(t.Context(), registry.Selection{All: true})
	require.NoError(t, err)
	opts.Convert = printer.NewConverter(selected.Resources).Servable
	plan, err := registry.Clean(selected.Objects, opts)
	require.NoError(t, err)
	return plan
}

// written is the manifest of an object, nil when it has none.
func written(plan *registry.Plan, object string) *registry.Manifest {
	for _, m := range plan.Manifests {
		if m.Object.String() == object {
			return m
		}
	}
	return nil
}

// contentAt is a field of a manifest.
func contentAt(t testing.TB, plan *registry.Plan, object string, path ...any) any {
	t.Helper()
	m := written(plan, object)
	require.NotNil(t, m, "%s is not written", object)
	var node any = contentOf(t, m)
	for _, step := range path {
		switch key := step.(type) {
		case string:
			parent, _ := node.(map[string]any)
			node = parent[key]
		case int:
			list, _ := node.([]any)
			require.Greater(t, len(list), key, "%s %v", object, path)
			node = list[key]
		}
	}
	return node
}

func notesOf(plan *registry.Plan, object string) string {
	if m := written(plan, object); m != nil {
		return strings.Join(m.Notes, "\n")
	}
	return ""
}

func reasonOf(plan *registry.Plan, object string) string {
	for _, l := range plan.LeftOut {
		if l.Object.String() == object {
			return l.Rule + ": " + l.Reason
		}
	}
	return ""
}

// The snapshot in the storage is found again, and none is taken of today's volume.
func TestVolumeSnapshotsPointToWhatWasTaken(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	const content = "volumesnapshotcontents.snapshot.storage.k8s.io snapcontent-11111111-2222-3333-4444-555555555555"
	require.Equal(t, map[string]any{"volumeSnapshotContentName": "snapcontent-11111111-2222-3333-4444-555555555555"},
		contentAt(t, plan, "volumesnapshots.snapshot.storage.k8s.io odd/snap1", "spec", "source"))
	require.Equal(t, map[string]any{"snapshotHandle": "0001-0009-rook-snap-1"}, contentAt(t, plan, content, "spec", "source"))
	require.Equal(t, "Retain", contentAt(t, plan, content, "spec", "deletionPolicy"))
	require.Equal(t, map[string]any{"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "name": "snap1", "namespace": "odd"},
		contentAt(t, plan, content, "spec", "volumeSnapshotRef"))
}

// A namespace's snapshots are nothing without their contents, which have none.
func TestSelectBringsSnapshotContentsAlong(t *testing.T) {
	t.Parallel()
	r := registry.OpenArchive(t, filepath.Join("testdata", "cases", "odd.tar.gz"), registry.Options{})
	selected, err := r.Select(t.Context(), registry.Selection{Namespaces: []string{"odd"}})
	require.NoError(t, err)
	var along []string
	for _, o := range selected.Objects {
		if selected.Along[o] {
			along = append(along, o.String())
		}
	}
	require.Contains(t, along, "volumesnapshotcontents.snapshot.storage.k8s.io snapcontent-11111111-2222-3333-4444-555555555555")
	require.Contains(t, along, "customresourcedefinitions.apiextensions.k8s.io volumesnapshotcontents.snapshot.storage.k8s.io")
	require.Contains(t, along, "persistentvolumes pv-old")
}

// A Service without a selector has the endpoints that a person wrote, whatever
// a controller once left on them.
func TestEndpointsOfAServiceWithoutSelectorAreKept(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	require.Equal(t, "192.0.2.7", contentAt(t, plan, "endpoints odd/ext", "subsets", 0, "addresses", 0, "ip"))
	require.Equal(t, "192.0.2.7", contentAt(t, plan, "endpointslices.discovery.k8s.io odd/ext-abcde", "endpoints", 0, "addresses", 0))
}

func TestReleasedVolumeStaysReleased(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	require.Equal(t, "dead0000-0000-0000-0000-000000000000", contentAt(t, plan, "persistentvolumes pv-old", "spec", "claimRef", "uid"))
	require.Contains(t, notesOf(plan, "persistentvolumes pv-old"), "stays released")
}

func TestFinishedRunsAreNotRunAgain(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	require.Equal(t, "run-finished: it has ended (Succeeded)", reasonOf(plan, "pipelineruns.tekton.dev odd/deploy-prod-run-abc12"))
}

// v1 takes every definition, and every object that it defines.
func TestDefinitionsWithoutStructuralSchemaAreOpened(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	const definition = "customresourcedefinitions.apiextensions.k8s.io nonstructs.x.example.com"
	require.Equal(t, map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
		contentAt(t, plan, definition, "spec", "versions", 0, "schema", "openAPIV3Schema"))
	require.Contains(t, notesOf(plan, definition), `the schema of version "v1" was replaced by one that takes everything`)
}

func TestConvertedObjectsComeAfterTheirWebhook(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	ship := written(plan, "ships.x.example.com odd/oldship")
	require.NotNil(t, ship)
	require.Equal(t, registry.StageConverted, ship.Stage)
	require.Contains(t, notesOf(plan, "ships.x.example.com odd/oldship"), `webhook of Service "odd/conv", which is not among the objects`)
}

// Where the backend is in the backup, the commands wait for it.
func TestCommandsWaitForAConversionWebhook(t *testing.T) {
	t.Parallel()
	plan := cleaned(t, objectsOfYAML(t, []byte(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.x.example.com}
spec:
  group: x.example.com
  names: {plural: ships, kind: Ship}
  scope: Namespaced
  conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: odd, name: conv}}, conversionReviewVersions: [v1]}}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
  - {name: v1beta1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: x.example.com/v1
kind: Ship
metadata: {name: new, namespace: odd}
---
apiVersion: x.example.com/v1beta1
kind: Ship
metadata: {name: old, namespace: odd}
---
apiVersion: v1
kind: Service
metadata: {name: conv, namespace: odd}
spec: {selector: {app: conv}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: conv, namespace: odd}
spec: {template: {metadata: {labels: {app: conv}}}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: q, namespace: odd}
`)))
	require.Equal(t, []string{
		"kubectl create -R -f d/10-crds",
		"kubectl wait --for=condition=Established --timeout=60s -R -f d/10-crds",
		"kubectl create -R -f d/65-services -f d/75-customresources -f d/80-workloads",
		"kubectl wait --for=jsonpath='{.subsets[0].addresses[0].ip}' --timeout=300s -n odd endpoints/conv",
		"kubectl create -R -f d/83-converted -f d/92-quotas",
	}, plan.Commands("d"))
	require.Equal(t, registry.StageCustom, written(plan, "ships.x.example.com odd/new").Stage)
}

func TestClaimTemplatesLoseTheirOwners(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "queue", registry.CleanOptions{})
	require.Equal(t, map[string]any{"name": "persistence", "namespace": "q"},
		contentAt(t, plan, "statefulsets.apps q/rabbit-server", "spec", "volumeClaimTemplates", 0, "metadata"))
	require.Contains(t, notesOf(plan, "statefulsets.apps q/rabbit-server"), `its owner RabbitmqCluster "rabbit" is not among the objects`)
}

func TestNodePortsWithoutEvidence(t *testing.T) {
	t.Parallel()
	const service = "services q/np-noevidence"
	plan := caseOf(t, "queue", registry.CleanOptions{})
	require.NotContains(t, contentAt(t, plan, service, "spec", "ports", 0), "nodePort")
	require.Contains(t, notesOf(plan, service), "node port 30443 was dropped")
	plan = caseOf(t, "queue", registry.CleanOptions{KeepNodePorts: true})
	require.EqualValues(t, 30443, contentAt(t, plan, service, "spec", "ports", 0, "nodePort"))
	require.EqualValues(t, 31111, contentAt(t, plan, "services q/lb", "spec", "healthCheckNodePort"))
}

func TestClaimsFromASnapshotAreNotCalledEmpty(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "queue", registry.CleanOptions{})
	notes := notesOf(plan, "persistentvolumeclaims q/lost")
	require.Contains(t, notes, `it will get a new volume, filled again from VolumeSnapshot "s1"`)
	require.NotContains(t, notes, "empty")
}

func TestOwnersOfACustomKindAreNamed(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "odd", registry.CleanOptions{})
	for _, object := range []string{"deployments.apps odd/op-child", "jobs.batch odd/idx"} {
		require.Contains(t, notesOf(plan, object), `its owner Ship "odd/oldship" is in the backup and may make it again`, object)
	}
}

func TestStatusInAnnotationsIsDropped(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "queue", registry.CleanOptions{})
	annotations, _ := contentAt(t, plan, "horizontalpodautoscalers.autoscaling q/h", "metadata", "annotations").(map[string]any)
	require.NotContains(t, annotations, "autoscaling.alpha.kubernetes.io/conditions")
	require.NotContains(t, annotations, "autoscaling.alpha.kubernetes.io/current-metrics")
	require.Contains(t, annotations, "autoscaling.alpha.kubernetes.io/metrics")
}

func TestTextThatIsNotUTF8IsAProblem(t *testing.T) {
	t.Parallel()
	plan := caseOf(t, "text", registry.CleanOptions{})
	require.False(t, plan.Complete())
	problems := map[string]string{}
	for _, m := range plan.Manifests {
		for _, p := range m.Object.Problems {
			require.Equal(t, registry.InvalidText, p.Code)
			problems[m.Object.String()], _, _ = strings.Cut(p.Detail, ": ")
		}
	}
	require.Equal(t, map[string]string{
		"configmaps u/bad8":         `data["latin1"], metadata.annotations["x"]`,
		"deployments.apps u/envbad": "spec.template.spec.containers[0].env[0].value",
	}, problems)

	raw := caseOf(t, "text", registry.CleanOptions{Profile: registry.Raw})
	target := filepath.Join(t.TempDir(), "raw")
	_, err := registry.WriteDir(t.Context(), target, raw)
	require.NoError(t, err)
	m := written(raw, "configmaps u/bad8")
	data, err := os.ReadFile(filepath.Join(target, m.File))
	require.NoError(t, err)
	require.Equal(t, m.Object.KV.Value, data, "its bytes are kept")
}

// Who writes the endpoints of a Service is told by the Service, also where that was
// not asked for; an object that the new API server does not serve is missing.
func TestWhatStandsBesideCounts(t *testing.T) {
	t.Parallel()
	const endpoints = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web, namespace: shop}\nsubsets: [{addresses: [{ip: 192.0.2.7}]}]\n"
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}}\n"
	for beside, want := range map[string]string{
		service: "endpoints-found: its controller finds the endpoints anew",
		strings.Replace(service, "selector: {app: web}", "ports: [{port: 80}]", 1): "",
	} {
		plan, err := registry.Clean(objectsOfYAML(t, []byte(endpoints)), registry.CleanOptions{Beside: objectsOfYAML(t, []byte(beside))})
		require.NoError(t, err)
		require.Equal(t, want, reasonOf(plan, "endpoints shop/web"))
	}
	objects := objectsOfYAML(t, []byte(service))
	objects[0].Problems = []registry.Problem{{Code: registry.NotServed, Detail: "v1 is served by nobody"}}
	plan := cleaned(t, objects)
	require.Empty(t, plan.Manifests)
	require.Equal(t, "unserved: v1 is served by nobody", reasonOf(plan, "services shop/web"))
	require.False(t, plan.Complete())
}
