package registry

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHarbourClosure: what a namespace needs of the cluster, why, and what it
// names that is nowhere. Read the file: it is what an operator is told.
func TestHarbourClosure(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	var text strings.Builder
	for _, sel := range []Selection{
		{Namespaces: []string{"infra-production"}},
		{Namespaces: []string{"infra-production"}, Words: "deploy", Refs: []Ref{{"deploy", "supercronic"}}},
		{Namespaces: []string{"etcdstoragepathtestnamespace"}},
	} {
		selected, err := r.Select(t.Context(), sel)
		require.NoError(t, err)
		closure, err := r.Closure(t.Context(), selected.Objects)
		require.NoError(t, err)
		fmt.Fprintf(&text, "# %s %s %v\n", sel.Namespaces[0], sel.Words, sel.Refs)
		for _, need := range closure.Needs {
			fmt.Fprintf(&text, "needs %s: %s\n", need.Object, need.Reason)
		}
		for _, d := range closure.Dangling {
			fmt.Fprintf(&text, "dangling: %s\n", d)
		}
		for _, w := range closure.Webhooks {
			fmt.Fprintf(&text, "webhook: %s\n", w)
		}
	}
	golden := filepath.Join("testdata", "closure.golden")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

const shopWithNeeds = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  priorityClassName: fast
  initContainers: [{name: init, env: [{name: A, valueFrom: {secretKeyRef: {name: init-only, key: a}}}]}]
  containers: [{name: web, envFrom: [{secretRef: {name: maybe, optional: true}}, {secretRef: {name: must}}, {configMapRef: {name: optional-too, optional: true}}]}]
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: data}}
  - {name: both, projected: {sources: [{configMap: {name: projected}}]}}
  - {name: absent, configMap: {name: absent}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: bank}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: projected, namespace: shop}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {volumeName: disk}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {storageClassName: slow}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: slow}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: fast}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: of-the-account}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: web, namespace: shop}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: of-a-user}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: User, name: web, namespace: shop}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: checks}
webhooks:
- {name: ignores, failurePolicy: Ignore, clientConfig: {service: {namespace: shop, name: web}}}
- {name: ignores-nobody, failurePolicy: Ignore, clientConfig: {service: {namespace: bank, name: none}}}
- {name: of-another, failurePolicy: Fail, clientConfig: {service: {namespace: bank, name: web}}}
- {name: of-nobody, failurePolicy: Fail, clientConfig: {service: {namespace: bank, name: none}}}
- {name: of-ours, failurePolicy: Fail, clientConfig: {service: {namespace: shop, name: web}}}
`

// What is needed is found step by step, what may be missing is not missed, and only
// webhooks that would refuse are told.
func TestClosureFollowsEveryNeed(t *testing.T) {
	t.Parallel()
	r := New(inYAML(t, shopWithNeeds), Options{})
	var chosen []*Object
	for o, err := range r.Objects(t.Context(), func(k Key) bool { return k.Namespace == "shop" && k.Name == "web" }) {
		require.NoError(t, err)
		chosen = append(chosen, o)
	}
	closure, err := r.Closure(t.Context(), chosen)
	require.NoError(t, err)
	needs, dangling := map[string]string{}, map[string]string{}
	for _, n := range closure.Needs {
		needs[n.Object.String()] = n.Reason
	}
	for _, d := range closure.Dangling {
		dangling[d.To.String()] = d.Field
	}
	require.Equal(t, map[string]string{
		"configmaps shop/projected":                                           "ConfigMap of pods shop/web",
		"persistentvolumeclaims shop/data":                                    "PersistentVolumeClaim of pods shop/web",
		"persistentvolumes disk":                                              "PersistentVolume of persistentvolumeclaims shop/data",
		"storageclasses.storage.k8s.io slow":                                  "StorageClass of persistentvolumes disk",
		"priorityclasses.scheduling.k8s.io fast":                              "PriorityClass of pods shop/web",
		"clusterrolebindings.rbac.authorization.k8s.io of-the-account":        "binds the ServiceAccount shop/web",
		"clusterroles.rbac.authorization.k8s.io reader":                       "ClusterRole of clusterrolebindings.rbac.authorization.k8s.io of-the-account",
		"validatingwebhookconfigurations.admissionregistration.k8s.io checks": "calls into the Service shop/web",
	}, needs)
	require.Equal(t, map[string]string{
		`Secret "init-only"`: "spec.initContainers[init].env[A]", `Secret "must"`: "spec.containers[web].envFrom", `ConfigMap "absent"`: "spec.volumes[absent].configMap",
	}, dangling)
	require.Len(t, closure.Webhooks, 2)
	require.Contains(t, closure.Webhooks[0], `webhook "of-nobody"`)
	require.Contains(t, closure.Webhooks[1], `webhook "of-ours"`)
}

const namesInVain = `apiVersion: networking.internal.example.dev/v1
kind: Ingress
metadata: {name: foreign, namespace: shop}
spec: {defaultBackend: {service: {name: nowhere}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  resourceClaims: [{name: a, resourceClaimName: gpu}, {name: b, resourceClaimTemplateName: gpus}]
  volumes:
  - {name: vault, csi: {driver: secrets-store.csi.k8s.io, nodePublishSecretRef: {name: vault-token}}}
  - {name: ceph, rbd: {secretRef: {name: ceph-key}}}
  - {name: share, azureFile: {secretName: storage-account}}
  - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: fast}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {serviceName: db, template: {spec: {containers: []}}, volumeClaimTemplates: [{spec: {volumeAttributesClassName: gold}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
spec:
  defaultBackend: {service: {name: fallback}}
  rules: [{http: {paths: [{backend: {service: {name: here}}}, {backend: {service: {name: cart}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {name: here, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: robots, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {kind: ServiceAccount, name: ci, namespace: build}
- {kind: ServiceAccount, name: robot, namespace: build}
- {kind: ServiceAccount, name: default, namespace: build}
- {kind: User, name: robot}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: ci, namespace: build}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {csi: {nodeStageSecretRef: {name: luks, namespace: vault}, controllerExpandSecretRef: {name: here, namespace: vault}}}
---
apiVersion: v1
kind: Secret
metadata: {name: here, namespace: vault}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.metrics}
spec: {service: {name: metrics, namespace: monitoring}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: copy, namespace: shop}
spec: {dataSource: {kind: PersistentVolumeClaim, name: original}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: filled, namespace: shop}
spec: {volumeName: disk, dataSource: {kind: PersistentVolumeClaim, name: original}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: limits}
spec: {policyName: limits}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: tpu, namespace: shop}
spec: {spec: {devices: {requests: [{name: a, exactly: {deviceClassName: tpu}}, {name: b, firstAvailable: [{name: c, deviceClassName: old-tpu}]}]}}}
`

// What objects name and is nowhere is the same for a namespace and for a whole
// backup; what stands in another namespace is not missed.
func TestDanglingOfEveryKind(t *testing.T) {
	t.Parallel()
	want := []string{
		`limits: ValidatingAdmissionPolicy "limits" spec.policyName`,
		`disk: Secret "luks" spec.csi.nodeStageSecretRef`,
		`v1.metrics: Service "metrics" spec.service`,
		`copy: PersistentVolumeClaim "original" spec.dataSource`,
		`front: Service "fallback" spec.defaultBackend`,
		`front: Service "cart" spec.rules[0].http.paths[1].backend`,
		`web: ResourceClaim "gpu" spec.resourceClaims[0]`,
		`web: ResourceClaimTemplate "gpus" spec.resourceClaims[1]`,
		`web: Secret "ceph-key" spec.volumes[ceph].rbd`,
		`web: StorageClass "fast" spec.volumes[scratch].ephemeral.storageClassName`,
		`web: Secret "storage-account" spec.volumes[share].azureFile`,
		`web: Secret "vault-token" spec.volumes[vault].csi`,
		`tpu: DeviceClass "tpu" spec.spec.devices.requests[0]`,
		`tpu: DeviceClass "old-tpu" spec.spec.devices.requests[1]`,
		`robots: ServiceAccount "robot" subjects[1]`,
		`db: Service "db" spec.serviceName`,
		`db: VolumeAttributesClass "gold" spec.volumeClaimTemplates[0].spec.volumeAttributesClassName`,
	}
	said := func(all []Dangling) (lines []string) {
		for _, d := range all {
			lines = append(lines, fmt.Sprintf("%s: %s %s", d.From.Name, d.To, d.Field))
		}
		return lines
	}
	r := New(inYAML(t, namesInVain), Options{})
	var all, some []*Object
	for o, err := range r.Objects(t.Context(), nil) {
		require.NoError(t, err)
		if all = append(all, o); o.Namespace != "build" && o.Namespace != "vault" {
			some = append(some, o)
		}
	}
	plan, err := Clean(all, CleanOptions{Whole: true})
	require.NoError(t, err)
	require.ElementsMatch(t, want, said(plan.Dangling))
	closure, err := r.Closure(t.Context(), some)
	require.NoError(t, err)
	require.ElementsMatch(t, want, said(closure.Dangling))
	require.Contains(t, fmt.Sprint(closure.Dangling), `apiservices.apiregistration.k8s.io v1.metrics names Service "monitoring/metrics" (spec.service), which`)
	require.Len(t, closure.Needs, 1, "an account that is given rights is another's; the driver's Secret is needed")
}

// A reference names an object of its kind, and no namesake of another one.
func TestRefNames(t *testing.T) {
	t.Parallel()
	resources, ref := NewResources(nil), Ref{"cm", "web"}
	for path, want := range map[string]bool{"/registry/configmaps/n/web": true, "/registry/secrets/n/web": false, "/registry/configmaps/n/other": false} {
		key, err := ParseKey(DefaultPrefix, path)
		require.NoError(t, err)
		require.Equal(t, want, resources.Names(ref, key), path)
	}
}
