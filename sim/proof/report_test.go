package proof_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
)

var update = flag.Bool("update", false, "rewrite the reports in testdata")

// found is a report with something of everything, names that try to break out
// of their place among them.
func found() *proof.Report {
	return &proof.Report{
		Verdict: proof.ProvenBut, Reason: "1 stored objects are not served: configmaps infra/<b>c</b>",
		Started: time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC), Way: "user, network, mount and process namespaces", Seed: 7,
		Source: proof.Source{Path: "kube|backup.tar.gz", Kind: "kube-backup archive", SHA256: "f2726af5", Cluster: "b8396dd5", Revision: 1485},
		Programs: []proof.ProgramUsed{
			{Name: "etcd", Found: "linked into lifeboat", Version: "v3.7.3", Image: "etcd:3.7.0-0", Command: []string{"/lifeboat", "--name=master-0"}},
			{Name: "kube-apiserver", Found: "in PATH: /usr/bin/kube-apiserver", Version: "Kubernetes v1.37.1", SHA256: "5849db34"},
		},
		Versions: map[string]string{"lifeboat": "v0.9.0", "kubernetes": "v1.37.1"},
		Weaker:   []string{"etcd is the linked one"},
		Steps: []proof.Step{
			{Name: "restoring the data dir", Took: 860 * time.Millisecond, Detail: "621 keys"},
			{Name: "starting etcd", Took: 620 * time.Millisecond, Detail: "it serves on 127.0.0.1:2379"},
			{Name: "starting kube-apiserver", Took: 4210 * time.Millisecond, Detail: "ready after 4.2s"},
			{Name: "comparing what it serves", Took: time.Second, Failed: true},
		},
		Checks: []lifeboat.Check{
			lifeboat.Good("kube-apiserver", 1, "servers", "it is ready, after 4.2s"),
			lifeboat.Mismatch("missing objects", "1 stored objects are not served: configmaps infra/<b>c</b>"),
			lifeboat.Bad("serving certificate", "expired"),
			lifeboat.NotChecked("whole objects", "3 objects could not be read"),
			lifeboat.Note("the server's own writes", "1 since its start"),
		},
		Resources: []proof.ResourceCount{{Resource: "configmaps", Stored: 9, Served: 9, Same: 8, Compared: 8}, {Resource: "pods"}},
		Missing:   []string{"configmaps infra/<b>c</b>"}, Differing: []proof.Difference{{Object: "secrets infra/s", Paths: []string{"data.password", "type"}}},
		NotServed:   []proof.ResourceCount{{Resource: "leasecandidates.coordination.k8s.io", Stored: 2, Why: "the archived flags do not serve their API"}},
		NotProvable: []string{"metrics.k8s.io/v1beta1 is served by another server"},
		OwnWrites:   []proof.Write{{Object: "leases.coordination.k8s.io kube-system/apiserver-x", What: "changed", Why: "the API server's own identity"}},
	}
}

// The reports are read by people, by CI servers and by programs: a change of
// them is seen as one.
func TestReports(t *testing.T) {
	t.Parallel()
	r := found()
	for name, write := range map[string]func(io.Writer) error{
		"report.json": r.WriteJSON, "report.md": r.WriteMarkdown, "report.html": r.WriteHTML, "junit.xml": r.WriteJUnit,
	} {
		var got bytes.Buffer
		require.NoError(t, write(&got), name)
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), got.String(), name)
	}
	require.Equal(t, 5690*time.Millisecond, r.Recovery())
	require.Equal(t, "Kubernetes v1.37.1", r.Record(12).Server)
}
