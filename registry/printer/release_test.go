package printer

import (
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"github.com/lifeboat-dr/lifeboat/registry"
)

func TestParseRelease(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Release{"1.29": {1, 29}, "v1.29": {1, 29}, "v1.29.13": {1, 29}, "1.37": {1, 37}} {
		got, err := ParseRelease(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "1", "29", "1.x", "1.29.1.1", "1.38", "1.3", "2.0"} {
		_, err := ParseRelease(text)
		require.Error(t, err, text)
	}
}

// What an older API server served, as its own release notes have it.
func TestVersionInARelease(t *testing.T) {
	t.Parallel()
	c := NewConverter(registry.NewResources(nil))
	for _, x := range []struct{ kind, release, want string }{
		{"CronJob.v1.batch", "1.37", "v1"},
		{"CronJob.v1.batch", "1.21", "v1"},
		{"CronJob.v1.batch", "1.20", "v1beta1"},
		{"PodDisruptionBudget.v1.policy", "1.20", "v1beta1"},
		{"Ingress.v1.networking.k8s.io", "1.19", "v1"},
		{"FlowSchema.v1.flowcontrol.apiserver.k8s.io", "1.29", "v1"},
		{"FlowSchema.v1.flowcontrol.apiserver.k8s.io", "1.26", "v1beta2"}, // v1beta3 came with 1.26 and was off
		{"ResourceClaim.v1.resource.k8s.io", "1.33", ""},                  // the betas were off
		{"ResourceClaim.v1.resource.k8s.io", "1.34", "v1"},
		{"Deployment.v1beta1.apps", "1.30", "v1"},
		{"DaemonSet.v1beta1.extensions", "1.30", "v1"},
		{"CustomResourceDefinition.v1beta1.apiextensions.k8s.io", "1.22", "v1"},
		{"ConfigMap.v1.", "1.19", "v1"},
	} {
		gvk, _ := schema.ParseKindArg(x.kind)
		if x.kind == "ConfigMap.v1." {
			gvk = &schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
		}
		release, err := ParseRelease(x.release)
		require.NoError(t, err)
		require.Equal(t, x.want, c.versionIn(*gvk, release).Version, "%s in %s", x.kind, x.release)
	}
}

// Every built-in kind has a version in the linked release, and what an older one
// is given it serves.
func TestEveryReleaseGetsWhatItServes(t *testing.T) {
	t.Parallel()
	c := NewConverter(registry.NewResources(nil))
	for minor := oldest().Minor; minor <= newest().Minor; minor++ {
		release := Release{1, minor}
		for gvk := range legacyscheme.Scheme.AllKnownTypes() {
			resource, ok := registry.LookupKind(gvk.GroupKind())
			if !ok {
				continue
			}
			version := c.versionIn(gvk, release)
			if !version.Empty() {
				require.True(t, c.servedIn(version, release), "%s in %s", gvk, release)
			}
			if release == newest() && stable(resource.Version) && !resource.Removed {
				require.NotEmpty(t, version, gvk)
			}
		}
	}
}

func TestServableIn(t *testing.T) {
	t.Parallel()
	pdb, cron, claim, schema := &policyv1.PodDisruptionBudget{}, &batchv1.CronJob{}, &resourcev1.ResourceClaim{}, &flowcontrolv1.FlowSchema{}
	pdb.Name, pdb.Namespace, cron.Name, cron.Namespace = "db", "infra", "nightly", "infra"
	claim.Name, claim.Namespace, schema.Name = "gpu", "infra", "mine"
	cron.Spec.Schedule = "0 2 * * *"
	convert := NewConverter(registry.NewResources(nil)).ServableIn(Release{1, 20})

	o := stored(t, "/registry/cronjobs/infra/nightly", envelope(t, "batch/v1", "CronJob", cron))
	convert(o)
	require.Empty(t, o.Problems)
	content, err := o.Content()
	require.NoError(t, err)
	require.Equal(t, "batch/v1beta1", content["apiVersion"])
	require.Equal(t, "0 2 * * *", content["spec"].(map[string]any)["schedule"])

	o = stored(t, "/registry/resourceclaims/infra/gpu", envelope(t, "resource.k8s.io/v1", "ResourceClaim", claim))
	convert(o)
	require.Equal(t, []registry.Problem{{Code: registry.NotServed, Detail: "Kubernetes 1.20 serves no version of ResourceClaim.resource.k8s.io"}}, o.Problems)
	plan, err := registry.Clean([]*registry.Object{o}, registry.CleanOptions{})
	require.NoError(t, err)
	require.Empty(t, plan.Manifests)
	require.Equal(t, registry.Unserved, plan.Missing()[0].Rule)
	require.Contains(t, plan.Missing()[0].Reason, "Kubernetes 1.20 serves no version")
}
