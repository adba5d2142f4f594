package proof_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
)

// working is how long the stand-ins work: they need half a second on a machine
// that has nothing else to do.
const working = 3 * time.Second

// proveWorking proves a backup with the stand-ins for the controllers, too.
func proveWorking(t *testing.T, b backup) *proof.Report {
	t.Helper()
	r, err := prove(t, b, func(o *proof.Options) { o.Controllers = controllersFor(o.APIServer.Path, working) })
	require.NoError(t, err)
	return r
}

// The controllers take their Leases and work; what a collector deletes has lost
// its owner; what a real restore has to expect is told.
func TestControllers(t *testing.T) {
	t.Parallel()
	r := proveWorking(t, backup{controllers: "generic-garbage-collector g"})
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	found := states(r)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "Deployments", "deletions"} {
		require.Equal(t, lifeboat.StateGood, found[name], name)
	}
	require.Equal(t, lifeboat.StateNote, found["what the controllers will do"])
	ran := r.Controllers
	require.Equal(t, []proof.Write{{Object: "configmaps infra/g", What: "deleted", Why: "garbage collection: its owner is gone (generic-garbage-collector)"}}, ran.Deleted)
	require.Equal(t, []string{"node-1"}, ran.NotReady)
	require.Contains(t, ran.Jobs, "jobs.batch infra/report-1")
	require.Contains(t, ran.Writes, "generic-garbage-collector: delete configmaps, 1")
	require.GreaterOrEqual(t, ran.For, working)
	require.Contains(t, r.Programs[2].Command[1], "--kubeconfig=")
	require.NotContains(t, r.Programs[1].Command, "audit", "what is proven is the archived command")
}

// What goes and has no explanation is a finding; so are controllers that do not
// work.
func TestControllersFind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ does, check, words string }{
		"nobody's dependent":        {"generic-garbage-collector a", "deletions", "configmaps infra/a was deleted by generic-garbage-collector, and it has no owner"},
		"an owner that is there":    {"generic-garbage-collector f", "deletions", "configmaps infra/f was deleted by generic-garbage-collector, and its owner is there"},
		"a Namespace that is there": {"namespace-controller a", "deletions", "configmaps infra/a was deleted by namespace-controller, and its Namespace is there"},
		"nobody":                    {"unseen a", "deletions", "configmaps infra/a was deleted by somebody who was not seen"},
		"nothing of its concern":    {"cronjob-controller a", "deletions", "configmaps infra/a was deleted by cronjob-controller"},
		"a controller of nobody's":  {"ghost a", "deletions", "configmaps infra/a was deleted by ghost"},
		"one that ends":             {"dies", "kube-controller-manager", "kube-controller-manager ended with"},
		"one that takes no Lease":   {"idle", "kube-controller-manager", "kube-controller-manager has not taken its Lease"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := proveWorking(t, backup{controllers: tc.does})
			require.Equal(t, proof.ProvenBut, r.Verdict, r.Reason)
			require.Equal(t, lifeboat.StateMismatch, states(r)[tc.check])
			require.Contains(t, r.Reason, tc.words)
		})
	}
}

// The certificates of the controllers have expired with the others, and are
// signed anew with them.
func TestControllersReissued(t *testing.T) {
	t.Parallel()
	r, err := prove(t, backup{hours: -1}, func(o *proof.Options) {
		o.Controllers, o.ReissueExpired = controllersFor(o.APIServer.Path, working), true
	})
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	require.Equal(t, lifeboat.StateGood, states(r)["kube-controller-manager"])
}

// Where they cannot be run that is said, and the rest is proven.
func TestControllersNotRun(t *testing.T) {
	t.Parallel()
	r := proveWorking(t, backup{controllers: "none"})
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	require.Equal(t, lifeboat.StateNotChecked, states(r)["kube-controller-manager"])

	r, err := prove(t, backup{}, func(o *proof.Options) {
		o.Controllers, o.Ways = controllersFor(o.APIServer.Path, time.Second), []sandbox.Way{sandbox.Loopback}
	})
	require.NoError(t, err)
	require.Equal(t, lifeboat.StateNotChecked, states(r)["controllers"])

	r = proveWorking(t, backup{flags: []string{"--etcd-prefix=/elsewhere"}})
	require.Equal(t, proof.CannotStart, r.Verdict)
	require.Equal(t, lifeboat.StateNotChecked, states(r)["controllers"])

	r, err = prove(t, backup{}, func(o *proof.Options) { o.Controllers = &proof.Controllers{} })
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict)
	require.Equal(t, lifeboat.StateNotChecked, states(r)["kube-scheduler"])
}
