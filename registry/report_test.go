package registry_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
)

const mixedObjects = `apiVersion: v1
kind: Namespace
metadata: {name: kube-system, labels: {team: infra}, uid: 11111111-0000-4000-8000-000000000001}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: shop, uid: 11111111-0000-4000-8000-000000000002}
imagePullSecrets: [{name: registry}]
---
apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: shop, uid: 11111111-0000-4000-8000-000000000003, finalizers: [example.com/x]}
data: {password: aHVudGVyMg==}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: going, namespace: shop, uid: 11111111-0000-4000-8000-000000000004, deletionTimestamp: "2026-01-01T00:00:00Z"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "a\e[2Jb", namespace: shop, uid: 11111111-0000-4000-8000-000000000005}
---
apiVersion: v1
kind: Event
metadata: {name: e, namespace: shop, uid: 11111111-0000-4000-8000-000000000006}
`

func TestSummaryNamesWhatMatters(t *testing.T) {
	t.Parallel()
	objects := objectsOfYAML(t, []byte(mixedObjects))
	objects[2].Problems = []registry.Problem{{Code: registry.UnknownFields, Detail: "fields 9"}}
	plan := cleaned(t, objects)
	require.False(t, plan.Complete())
	require.Equal(t, []registry.SummaryLine{
		{Severity: registry.Info, Text: "3 objects written, 4 fields dropped or changed; 2 objects left out by rule, 1 missing"},
		{Severity: registry.Detail, Text: "left out by rule being-deleted: 1 (somebody had deleted it; only its finalizers were outstanding when the backup was made)"},
		{Severity: registry.Detail, Text: "left out by rule events: 1 (an event tells of something that happened to an object that is no more, and expires within the hour)"},
		{Severity: registry.Warning, Text: "configmaps shop/going: it was being deleted when the backup was made"},
		{Severity: registry.Warning, Text: "namespaces kube-system: the API server makes it at start; this one has labels or annotations of its own"},
		{Severity: registry.Warning, Text: "serviceaccounts shop/default: its namespace gets one at its birth; this one was changed by a user and is to be applied"},
		{Severity: registry.Warning, Text: `secrets shop/pull: finalizer "example.com/x" was dropped; its controller has to add it anew`},
		{Severity: registry.Missing, Text: "secrets shop/pull: unknown-fields: fields 9"},
		{Severity: registry.Missing, Text: `"configmaps shop/a\x1b[2Jb": left out: an API server refuses its name: ` +
			"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"},
	}, plan.Summary())
	require.Equal(t, []string{
		"kubectl apply -f out/00-namespaces/namespaces_kube-system.apply",
		"kubectl apply -f out/30-serviceaccounts/serviceaccounts_shop_default.apply",
		"kubectl create -R -f out/45-config",
	}, plan.Commands("out/"))
}

func TestCommandsAreOneWhereOneWillDo(t *testing.T) {
	t.Parallel()
	plan := onePlan(t)
	require.Equal(t, []string{"kubectl create -R -f restored"}, plan.Commands("restored/"))
	require.Equal(t, []string{`kubectl create -R -f '/tmp/it'\''s here'`}, plan.Commands("/tmp/it's here"))
	require.Empty(t, cleaned(t, nil).Commands("restored"))
}

func TestReportShape(t *testing.T) {
	t.Parallel()
	plan := cleaned(t, objectsOfYAML(t, []byte(mixedObjects)))
	var text strings.Builder
	require.NoError(t, registry.NewReport(plan, registry.ReportSource{Path: "b.tar.gz", Form: "archive", Revision: 7, Engine: "direct"}).Encode(&text))
	var report registry.ExtractReport
	require.NoError(t, json.Unmarshal([]byte(text.String()), &report))
	require.Equal(t, "lifeboat/v1 ExtractReport", report.APIVersion+" "+report.Kind)
	require.Equal(t, registry.ReportSummary{Objects: 6, Written: 3, LeftOut: 2, Missing: 1, Fields: 4}, report.Summary)
	require.Equal(t, "45-config/secrets_shop_pull.yaml", report.Objects[2].File)
	require.Equal(t, "/registry/secrets/shop/pull", report.Objects[2].Key)
	require.Equal(t, "metadata.finalizers[0]", report.Objects[2].Changes[1].Path)
	require.True(t, report.Objects[0].Exists)
	require.NotContains(t, text.String(), "11111111-0000")
	require.NotContains(t, text.String(), "\x1b")
	rules := map[string]bool{}
	for _, r := range report.Rules {
		rules[r.ID] = true
	}
	for _, o := range report.Objects {
		for _, c := range o.Changes {
			require.True(t, rules[c.Rule], c.Rule)
		}
	}
}

// A digest tells equal values of one object from different ones; the same
// value in another object has another, so that nobody can try values.
func TestDigestsAreKeyedByTheObject(t *testing.T) {
	t.Parallel()
	digests := func(uid, value string) string {
		o := objectOf(map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s", "namespace": "shop", "uid": uid, "resourceVersion": value},
		})
		for _, c := range cleaned(t, []*registry.Object{o}).Manifests[0].Changes {
			if c.Path == "metadata.resourceVersion" {
				return c.Digest
			}
		}
		return "none"
	}
	require.Len(t, digests("u1", "7"), 16)
	require.Equal(t, digests("u1", "7"), digests("u1", "7"))
	require.NotEqual(t, digests("u1", "7"), digests("u1", "8"))
	require.NotEqual(t, digests("u1", "7"), digests("u2", "7"))
	require.Empty(t, digests("", "7"))
}

// Every object is counted once, as what it is.
func TestReportCountsWhatIsMissing(t *testing.T) {
	t.Parallel()
	objects := objectsOfYAML(t, []byte(mixedObjects))
	objects[2].Problems = []registry.Problem{{Code: registry.UnknownFields, Detail: "fields 9"}}
	locked := &registry.Object{
		Key:  registry.Key{Path: "/registry/secrets/shop/pw", Plural: "secrets", Namespace: "shop", Name: "pw"},
		Form: registry.Encrypted, Namespace: "shop", Name: "pw", Problems: []registry.Problem{{Code: registry.Locked, Detail: "wrong key"}},
	}
	report := registry.NewReport(cleaned(t, append(objects, locked)), registry.ReportSource{})
	require.Equal(t, registry.ReportSummary{Objects: 7, Written: 3, LeftOut: 2, Missing: 2, Fields: 4, WithProblems: 1}, report.Summary)
}

// A note about many is one line, which says about how many.
func TestSummaryCountsTheOthers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		3: "secrets shop/s0, secrets shop/s1, secrets shop/s2: ", 4: "secrets shop/s0, secrets shop/s1, secrets shop/s2 and 1 more: ",
		6: "secrets shop/s0, secrets shop/s1, secrets shop/s2 and 3 more: ",
	} {
		var text []string
		for i := range n {
			text = append(text, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: s%d, namespace: shop, finalizers: [example.com/x]}\n", i))
		}
		lines := cleaned(t, objectsOfYAML(t, []byte(strings.Join(text, "---\n")))).Summary()
		require.Equal(t, registry.SummaryLine{
			Severity: registry.Warning, Text: want + `finalizer "example.com/x" was dropped; its controller has to add it anew`,
		}, lines[len(lines)-1])
	}
}
