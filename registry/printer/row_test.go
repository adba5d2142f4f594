package printer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestObjectsThatCannotBeShownStandInTheTableOfTheirKind(t *testing.T) {
	t.Parallel()
	p := printer.New(registry.NewResources(nil), noon)
	readable := object(t, "/registry/secrets/infra/open",
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"open","namespace":"infra","creationTimestamp":"2026-11-21T11:59:00Z"},"type":"Opaque","data":{"a":"Yg=="}}`)
	locked := object(t, "/registry/secrets/infra/locked", "k8s:enc:secretbox:v1:key1:0123456789012345678901234567890123456789")
	damaged := object(t, "/registry/secrets/infra/damaged", "k8s\x00\xff\xff")
	require.Equal(t, strings.TrimPrefix(`
NAME      TYPE            DATA            AGE
open      Opaque          1               60s
locked    <locked>        <locked>        <locked>
damaged   <undecodable>   <undecodable>   <undecodable>
`, "\n"), show(t, printer.Options{}, p.Row(readable), p.Row(locked), p.Row(damaged)))
}

// printHorizontalPodAutoscaler dereferences what validation guarantees.
func TestInvalidObjectsDoNotPanic(t *testing.T) {
	t.Parallel()
	p := printer.New(registry.NewResources(nil), noon)
	o := object(t, "/registry/horizontalpodautoscalers/infra/h",
		`{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h","namespace":"infra"},"spec":{"metrics":[{"type":"Object"}]}}`)
	require.Empty(t, o.Problems)
	require.Contains(t, show(t, printer.Options{}, p.Row(o)), "h      <invalid>")
}

// The clock moves on; what the table says does not.
func TestAgesCountToTheGivenMoment(t *testing.T) {
	t.Parallel()
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"infra","creationTimestamp":"2026-11-21T10:00:00Z"},
		"spec":{"containers":[{"name":"c"}]},
		"status":{"phase":"Running","containerStatuses":[{"name":"c","restartCount":3,"lastState":{"terminated":{"finishedAt":"2026-11-21T11:55:00Z"}},"state":{"running":{}},"ready":true}]}}`
	o := object(t, "/registry/pods/infra/p", pod)
	for now, want := range map[time.Time]string{
		noon:                         "1/1     Running   3 (5m ago)   120m",
		noon.Add(24 * time.Hour):     "1/1     Running   3 (24h ago)   26h",
		noon.AddDate(20, 0, 0):       "1/1     Running   3 (20y ago)   20y",
		noon.Add(-119 * time.Minute): "1/1     Running   3 (<invalid> ago)   60s",
		// A backup's present is its newest Lease; what was written seconds later is as old as that.
		noon.Add(-5*time.Minute - 7*time.Second):   "1/1     Running   3 (0s ago)   114m",
		noon.Add(-120*time.Minute - 8*time.Second): "1/1     Running   3 (<invalid> ago)   0s",
	} {
		require.Contains(t, show(t, printer.Options{}, printer.New(registry.NewResources(nil), now).Row(o)), want)
	}
	job := object(t, "/registry/jobs/infra/j", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"infra"},"spec":{"completions":1},"status":{"startTime":"2026-11-21T11:00:00Z"}}`)
	require.Contains(t, show(t, printer.Options{}, printer.New(registry.NewResources(nil), noon).Row(job)), "j      Running   0/1           60m        <unknown>")
}

func TestWriterSetsTablesAsKubectl(t *testing.T) {
	t.Parallel()
	p := printer.New(registry.NewResources(nil), noon)
	cm := p.Row(object(t, "/registry/configmaps/a/one", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","namespace":"a"}}`))
	ns := p.Row(object(t, "/registry/namespaces/a", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"},"status":{"phase":"Active"}}`))
	role := p.Row(object(t, "/registry/roles/a/r", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r","namespace":"a","creationTimestamp":"2026-11-21T11:00:00Z"}}`))
	require.Equal(t, strings.TrimPrefix(`
NAMESPACE   NAME            DATA   AGE
a           configmap/one   0      <unknown>

NAME          STATUS   AGE
namespace/a   Active   <unknown>

NAMESPACE   NAME                               CREATED AT
a           role.rbac.authorization.k8s.io/r   2026-11-21T11:00:00Z
`, "\n"), show(t, printer.Options{Namespace: true, Kind: true}, cm, ns, role))
	require.Equal(t, "one   0     <unknown>\na     Active   <unknown>\n", show(t, printer.Options{NoHeaders: true}, cm, ns))
	require.Empty(t, show(t, printer.Options{}))
	require.Equal(t, "role.rbac.authorization.k8s.io/r", printer.Reference(role.Resource, "r"))
}

func TestWriterKeepsTheTerminalSafe(t *testing.T) {
	t.Parallel()
	row := printer.Row{Columns: []printer.Column{{Name: "Name"}, {Name: "Note"}}, Cells: []string{"a\x1b]0;x\x07\u009b31m\u202eb\xff", "one\ntwo"}}
	require.Equal(t, "a^[]0;x^G\\u009b31m\\u202eb\\ufffd   one...\n", show(t, printer.Options{NoHeaders: true}, row))
}

func TestWriterAlignsColumns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching(`[a-zé<>.:/-]{0,20}`), 3, 3), 1, 30).Draw(t, "cells")
		var b strings.Builder
		w := printer.NewWriter(&b, printer.Options{})
		for _, c := range cells {
			require.NoError(t, w.Write(printer.Row{Columns: []printer.Column{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Cells: c}))
		}
		require.NoError(t, w.Flush())
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		require.Len(t, lines, len(cells)+1)
		second := strings.Index(lines[0], "B")
		third := strings.Index(lines[0], "C")
		for i, c := range cells {
			require.Equal(t, fmt.Sprintf("%-*s%-*s%s", second, c[0], third-second, c[1], c[2]), lines[i+1])
		}
	})
}

func BenchmarkRow(b *testing.B) {
	objects := harbourObjects(b, func(k registry.Key) bool { return k.Plural == "pods" })
	p := printer.New(registry.NewResources(nil), noon)
	for b.Loop() {
		for _, o := range objects {
			p.Row(o)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(objects)), "µs/row")
}

func BenchmarkPreferred(b *testing.B) {
	objects := harbourObjects(b, func(k registry.Key) bool { return k.Plural == "pods" })
	converter := printer.NewConverter(registry.NewResources(nil))
	for b.Loop() {
		for _, o := range objects {
			converter.Preferred(o)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(objects)), "µs/object")
}
