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
