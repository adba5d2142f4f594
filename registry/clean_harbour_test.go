package registry_test

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// harbourObjects selects from the real backup and converts, as extract does.
func harbourObjects(t testing.TB, sel registry.Selection) []*registry.Object {
	t.Helper()
	selected, err := registry.Harbour(t, registry.Options{}).Select(t.Context(), sel)
	require.NoError(t, err)
	converter := printer.NewConverter(selected.Resources)
	for _, o := range selected.Objects {
		converter.Preferred(o)
	}
	return selected.Objects
}

func cleaned(t testing.TB, objects []*registry.Object) *registry.Plan {
	t.Helper()
	plan, err := registry.Clean(objects, registry.CleanOptions{})
	require.NoError(t, err)
	return plan
}

func infraProduction(t testing.TB) *registry.Plan {
	t.Helper()
	return cleaned(t, harbourObjects(t, registry.Selection{Namespaces: []string{"infra-production"}}))
}

// What a careful operator would create again of the lost namespace
// infra-production: what somebody once wrote, and the volumes with the data.
func TestHarbourRecreatesWhatAnOperatorWould(t *testing.T) {
	t.Parallel()
	plan := infraProduction(t)
	var files []string
	for _, m := range plan.Manifests {
		files = append(files, m.File)
	}
	require.Equal(t, []string{
		"00-namespaces/namespaces_infra-production.yaml",
		"10-crds/customresourcedefinitions_ships.fleet.example.com.yaml", // Ship/aurora needs it
		"25-roles/roles_infra-production_reader.yaml",
		"30-serviceaccounts/serviceaccounts_infra-production_supercronic.yaml",
		"35-rolebindings/rolebindings_infra-production_reader.yaml",
		"40-limits/limitranges_infra-production_l.yaml",
		"45-config/configmaps_infra-production_crontab.yaml",
		"45-config/configmaps_infra-production_flip.yaml",
		"45-config/secrets_infra-production_db-password.yaml",
		"45-config/secrets_infra-production_pull.yaml",
		"45-config/secrets_infra-production_supercronic-token.yaml", // made by hand; the token itself is made anew
		"50-volumes/persistentvolumes_pv-db-0.yaml",                 // bound to the claims
		"50-volumes/persistentvolumes_pv-db-1.yaml",
		"55-claims/persistentvolumeclaims_infra-production_data-db-0.yaml", // made by the StatefulSet, but they lead to the data
		"55-claims/persistentvolumeclaims_infra-production_data-db-1.yaml",
		"60-endpoints/endpointslices_infra-production_legacy-manual.yaml", // written by hand
		"65-services/services_infra-production_db.yaml",
		"65-services/services_infra-production_lb.yaml",
		"65-services/services_infra-production_legacy.yaml",
		"65-services/services_infra-production_supercronic-auto-nodeport.yaml",
		"65-services/services_infra-production_supercronic-explicit-nodeport.yaml",
		"65-services/services_infra-production_supercronic.yaml",
		"70-networkpolicies/networkpolicies_infra-production_default-deny.yaml",
		"75-customresources/ships.fleet.example.com_infra-production_aurora.yaml",
		"80-workloads/cronjobs_infra-production_nightly.yaml",
		"80-workloads/daemonsets_infra-production_agent.yaml",
		"80-workloads/deployments_infra-production_supercronic.yaml",
		"80-workloads/pods_infra-production_debug-shell.yaml", // stands alone: nobody makes it again
		"80-workloads/statefulsets_infra-production_db.yaml",
		"85-scaling/horizontalpodautoscalers_infra-production_supercronic.yaml",
		"85-scaling/poddisruptionbudgets_infra-production_db.yaml",
		"90-ingresses/ingresses_infra-production_web.yaml",
		"92-quotas/resourcequotas_infra-production_q.yaml", // what it counts is there before it
	}, files)

	left := map[string][]string{}
	for _, l := range plan.LeftOut {
		require.True(t, l.ByRule, l.Object)
		resource, name, _ := strings.Cut(l.Object.String(), " infra-production/")
		if l.Rule != "events" {
			left[l.Rule+": "+l.Reason] = append(left[l.Rule+": "+l.Reason], resource+" "+name)
		}
	}
	require.Equal(t, map[string][]string{
		"account-default: its namespace gets one at its birth":                                      {"serviceaccounts default"},
		"config-map-ca: its publisher puts the CA of the new cluster into every namespace":          {"configmaps kube-root-ca.crt"},
		"controller-revision: its owner starts a new history":                                       {"controllerrevisions.apps agent-c6d59d697", "controllerrevisions.apps db-7d67b8c7d4"},
		"job-finished: it has ended":                                                                {"jobs.batch migrate"},
		"pod-finished: it has ended (Succeeded)":                                                    {"pods migrate-j4nv9"},
		"owned-by-controller: Deployment \"infra-production/supercronic\" makes it again":           {"replicasets.apps supercronic-557b984f7b", "replicasets.apps supercronic-56b5b7bfd"},
		"owned-by-controller: StatefulSet \"infra-production/db\" makes it again":                   {"pods db-0", "pods db-1"},
		"owned-by-controller: ReplicaSet \"infra-production/supercronic-56b5b7bfd\" makes it again": {"pods supercronic-56b5b7bfd-bbznw", "pods supercronic-56b5b7bfd-mjnk2", "pods supercronic-56b5b7bfd-xxdq9", "pods supercronic-56b5b7bfd-zwpqn"},
		"owned-by-controller: DaemonSet \"infra-production/agent\" makes it again":                  {"pods agent-2vngn", "pods agent-52tjx", "pods agent-6hbz6", "pods agent-fl4lw", "pods agent-r56wn", "pods agent-s68k7", "pods agent-tsds5"},
		"endpoints-found: its controller finds the endpoints anew":                                  {"endpoints db", "endpoints lb", "endpoints supercronic", "endpoints supercronic-auto-nodeport", "endpoints supercronic-explicit-nodeport"},
		"endpoint-slice-managed: its controller finds the endpoints anew":                           {"endpointslices.discovery.k8s.io db-5x68w", "endpointslices.discovery.k8s.io lb-ctd86", "endpointslices.discovery.k8s.io supercronic-auto-nodeport-s577b", "endpointslices.discovery.k8s.io supercronic-explicit-nodeport-vwj6n", "endpointslices.discovery.k8s.io supercronic-sdck8"},
	}, left)
	require.True(t, plan.Complete())
	require.Equal(t, []string{
		"kubectl create -R -f restored/00-namespaces -f restored/10-crds",
		"kubectl wait --for=condition=Established --timeout=60s -R -f restored/10-crds",
		"kubectl create -R -f restored/25-roles -f restored/30-serviceaccounts -f restored/35-rolebindings -f restored/40-limits " +
			"-f restored/45-config -f restored/50-volumes -f restored/55-claims -f restored/60-endpoints -f restored/65-services " +
			"-f restored/70-networkpolicies -f restored/75-customresources -f restored/80-workloads -f restored/85-scaling -f restored/90-ingresses " +
			"-f restored/92-quotas",
	}, plan.Commands("restored"))
}

func TestHarbourGolden(t *testing.T) {
	t.Parallel()
	const golden = "testdata/harbour/infra-production"
	dir := filepath.Join(t.TempDir(), "restored")
	_, err := registry.WriteDir(t.Context(), dir, infraProduction(t))
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.RemoveAll(golden))
		require.NoError(t, os.CopyFS(golden, os.DirFS(dir)))
	}
	want, got := treeOf(t, golden), treeOf(t, dir)
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	for name := range want {
		require.Equal(t, want[name], got[name], name)
	}
}

// treeOf reads the files below a folder.
func treeOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		tree[name] = string(data)
		return err
	}))
	return tree
}

// No value of a Secret that was dropped stands in the report, and no uid by
// which its digest could be tried.
func TestReportTellsNoSecrets(t *testing.T) {
	t.Parallel()
	objects := harbourObjects(t, registry.Selection{All: true})
	report := registry.NewReport(cleaned(t, objects), registry.ReportSource{Path: "kube-backup.tar.gz", Form: "archive", Revision: 1485, Engine: "direct"})
	var text strings.Builder
	require.NoError(t, report.Encode(&text))
	require.Equal(t, 618, report.Summary.Objects)
	require.Equal(t, 618, report.Summary.Written+report.Summary.LeftOut)
	require.Zero(t, report.Summary.Missing)
	secrets := 0
	for _, o := range objects {
		content, err := o.Content()
		require.NoError(t, err)
		require.NotContains(t, text.String(), content["metadata"].(map[string]any)["uid"])
		data, _ := content["data"].(map[string]any)
		for _, value := range data {
			if s, ok := value.(string); ok && o.GVK.Kind == "Secret" && s != "" {
				require.NotContains(t, text.String(), s)
				secrets++
			}
		}
	}
	require.GreaterOrEqual(t, secrets, 8)
	require.Contains(t, text.String(), `"path": "data.token"`)
}

// Clean must not depend on the order of what it is given, nor change it.
func TestCleanIsAFunctionOfTheSet(t *testing.T) {
	t.Parallel()
	objects := harbourObjects(t, registry.Selection{All: true})
	first, again := reportOf(t, cleaned(t, objects)), reportOf(t, cleaned(t, objects))
	require.Equal(t, first, again, "the objects were changed")
	slices.Reverse(objects)
	require.Equal(t, first, reportOf(t, cleaned(t, objects)))
}

func reportOf(t testing.TB, plan *registry.Plan) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, registry.NewReport(plan, registry.ReportSource{}).Encode(&text))
	require.NoError(t, registry.WriteStream(&text, plan))
	return text.String()
}

// What was extracted is a set of manifests; to clean those changes nothing.
func TestCleanHarbourIsIdempotent(t *testing.T) {
	t.Parallel()
	plan := cleaned(t, harbourObjects(t, registry.Selection{All: true}))
	requireIdempotent(t, plan)
}

func TestRawKeepsEverything(t *testing.T) {
	t.Parallel()
	objects := harbourObjects(t, registry.Selection{Namespaces: []string{"infra-production"}})
	plan, err := registry.Clean(objects, registry.CleanOptions{Profile: registry.Raw})
	require.NoError(t, err)
	require.Len(t, plan.Manifests, len(objects))
	for _, m := range plan.Manifests {
		content, err := m.Object.Content()
		require.NoError(t, err)
		require.Equal(t, content, contentOf(t, m))
		require.Empty(t, m.Changes)
	}
	_, err = registry.Clean(objects, registry.CleanOptions{Profile: "gitops"})
	require.ErrorContains(t, err, `profile "gitops"`)
}

// Without the key of the Secrets the rest is there, and they are named.
func TestLockedObjectsAreMissing(t *testing.T) {
	t.Parallel()
	r := registry.Harbour(t, registry.Options{Keyring: &registry.Keyring{}})
	selected, err := r.Select(t.Context(), registry.Selection{Namespaces: []string{"infra-production"}})
	require.NoError(t, err)
	plan := cleaned(t, selected.Objects)
	require.False(t, plan.Complete())
	var missing []string
	for _, l := range plan.Missing() {
		missing = append(missing, l.Object.String()+": "+l.Reason)
	}
	require.Equal(t, []string{
		`secrets infra-production/db-password: locked: encrypted by secretbox key "key1", and no secretbox key is at hand`,
		`secrets infra-production/pull: locked: encrypted by secretbox key "key1", and no secretbox key is at hand`,
		`secrets infra-production/supercronic-token: locked: encrypted by secretbox key "key1", and no secretbox key is at hand`,
	}, missing)
	require.Contains(t, plan.Summary(), registry.SummaryLine{
		Severity: registry.Missing,
		Text:     `secrets infra-production/pull: left out: locked: encrypted by secretbox key "key1", and no secretbox key is at hand`,
	})
}
