package proof_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox/sandboxtest"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// prove proves a backup with the stand-in.
func prove(t *testing.T, b backup, change func(*proof.Options)) (*proof.Report, error) {
	t.Helper()
	src, err := lifeboat.Open(t.Context(), b.write(t), lifeboat.Options{})
	require.NoError(t, err)
	defer src.Close()
	opts := proof.Options{Dir: t.TempDir(), APIServer: proof.Binary{Path: standInPath(t), Found: "the stand-in"}, Versions: map[string]string{"etcd": "v3.7.3"}}
	if change != nil {
		change(&opts)
	}
	r, err := proof.Run(t.Context(), src, opts)
	if forbidden := (*sandbox.ForbiddenError)(nil); errors.As(err, &forbidden) {
		t.Skip(forbidden)
	}
	return r, err
}

// standInPath is this binary under the name of the program that it stands in for.
func standInPath(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kube-apiserver")
	require.NoError(t, os.Symlink(self, path))
	return path
}

// states are the results by the names of the checks; the worst of a name.
func states(r *proof.Report) map[string]lifeboat.State {
	order := []lifeboat.State{"", lifeboat.StateGood, lifeboat.StateNote, lifeboat.StateNotChecked, lifeboat.StateMismatch, lifeboat.StateBad}
	all := map[string]lifeboat.State{}
	for _, c := range r.Checks {
		if slices.Index(order, c.State()) > slices.Index(order, all[c.Name]) {
			all[c.Name] = c.State()
		}
	}
	return all
}

// What was archived runs as it stands, and is asked for everything.
func TestProven(t *testing.T) {
	t.Parallel()
	r, err := prove(t, backup{}, nil)
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	require.NoError(t, r.Err())
	require.Empty(t, r.Reason)
	require.Equal(t, map[string]lifeboat.State{
		"etcd": lifeboat.StateGood, "kube-apiserver": lifeboat.StateGood, "objects": lifeboat.StateGood, "whole objects": lifeboat.StateGood,
		"stored but not served": lifeboat.StateNote, "the server's own writes": lifeboat.StateNote, "serving certificate": lifeboat.StateGood,
		"cluster CA": lifeboat.StateNotChecked, "token key": lifeboat.StateNotChecked, // the fixture has handed out neither
	}, states(r))
	require.Equal(t, []proof.ResourceCount{
		{Resource: "configmaps", Stored: 8, Served: 9, Same: 8, Compared: 8},
		{Resource: "namespaces", Stored: 2, Served: 2, Same: 2, Compared: 2},
		{Resource: "secrets", Stored: 1, Served: 1, Same: 1, Compared: 1},
	}, r.Resources)
	const byFlags = "the archived flags do not serve their API"
	require.Equal(t, []proof.ResourceCount{{Resource: "deployments.apps", Stored: 1, Why: byFlags}, {Resource: "leases.coordination.k8s.io", Stored: 1, Why: byFlags}}, r.NotServed)
	require.Equal(t, []proof.Write{{Object: "configmaps kube-system/extension-apiserver-authentication", What: "created", Why: "how aggregated servers know their callers"}}, r.OwnWrites)
	for _, c := range r.Checks {
		if c.Name == "objects" {
			require.Equal(t, "11 of 13 stored objects are served under their names and at their revisions; what became of the others stands below", c.Detail)
		}
		if c.Name == "the server's own writes" {
			require.Equal(t, "since its start 1 objects were created, 0 changed and 0 deleted; each is named in the report", c.Detail)
		}
	}
	require.Equal(t, []string{"metrics.k8s.io/v1beta1 is served by another server of the cluster, which is not here"}, r.NotProvable)
	require.Equal(t, "Kubernetes v1.37.1", r.Programs[1].Version)
	require.Contains(t, r.Programs[1].Command, "--advertise-address="+archived)
	require.Equal(t, []string{
		"no mount of kubernetes/manifests/kube-apiserver.yaml brings /etc/kubernetes/pki/ca.crt into its container, and here it is there (--client-ca-file)",
		"etcd is the one that is linked into lifeboat (v3.7.3), not the one of the manifest's image registry.k8s.io/etcd:3.7.3-0",
		"flags of etcd's manifest that the linked etcd is started without: --listen-metrics-urls",
	}, slices.DeleteFunc(r.Weaker, func(text string) bool {
		return strings.HasPrefix(text, "no mount") && !strings.Contains(text, "--client-ca-file")
	}))
	require.Len(t, r.Source.SHA256, 64)
	require.Positive(t, r.Recovery())
	for _, s := range r.Steps {
		require.False(t, s.Failed, s.Name)
	}
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.NotContains(t, string(text), "aHVudGVyMg")
}

// Where a host allows no namespaces the proof is a weaker one, and says so.
func TestProvenOnLoopback(t *testing.T) {
	t.Parallel()
	issuers := []string{"--service-account-issuer=https://new.example", "--service-account-issuer=https://old.example"}
	r, err := prove(t, backup{flags: issuers}, func(o *proof.Options) { o.Ways = []sandbox.Way{sandbox.Loopback} })
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	require.Subset(t, r.Programs[1].Command, issuers)
	require.Equal(t, string(sandbox.Loopback), r.Way)
	require.Contains(t, r.Programs[1].Command, "--advertise-address="+archived)
}

// A backup that differs from what the server shows is proven but for that.
func TestProvenBut(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]struct {
		check string
		words string
		look  func(r *proof.Report) any
		has   any
	}{
		"missing":    {"missing objects", "1 stored objects are not served: configmaps infra/c", func(r *proof.Report) any { return r.Missing }, []string{"configmaps infra/c"}},
		"changed":    {"whole objects", "configmaps infra/c (data.key)", func(r *proof.Report) any { return r.Differing }, []proof.Difference{{Object: "configmaps infra/c", Paths: []string{"data.key"}}}},
		"older":      {"whole objects", "configmaps infra/c (metadata.resourceVersion)", func(r *proof.Report) any { return r.Resources[0].Same }, 7},
		"extra":      {"unexpected objects", "1 objects are served that are not in the backup", func(r *proof.Report) any { return r.Unexpected }, []string{"namespaces ghost"}},
		"unreadable": {"unreadable objects", "unable to transform key", func(r *proof.Report) any { return r.Resources[0].Same }, 7},
		"strange":    {"the server's own writes", "1 of them are none", func(r *proof.Report) any { return len(r.OwnWrites) }, 2},
	} {
		r, err := prove(t, backup{fault: fault}, nil)
		require.NoError(t, err)
		require.Equal(t, proof.ProvenBut, r.Verdict, fault)
		require.Equal(t, lifeboat.StateMismatch, states(r)[want.check], fault)
		require.Contains(t, r.Reason, want.words)
		require.Equal(t, want.has, want.look(r), fault)
		failed := (*lifeboat.Error)(nil)
		require.ErrorAs(t, r.Err(), &failed)
		require.Equal(t, lifeboat.Incomplete, failed.Class)
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.NotContains(t, string(text), "must not be shown")
	}
}

// A backup from which nothing starts is told with the reason.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		backup backup
		check  string
		words  []string
	}{
		"a file that nobody packed":    {backup{drop: "kubernetes/deckhouse/extra-files/audit.yml"}, "kube-apiserver", []string{`kube-apiserver ended with "exit status 1"`, "/extra/audit.yml is not in the backup"}},
		"etcd's certificate":           {backup{drop: "kubernetes/pki/etcd/server.crt"}, "etcd", []string{"/etc/kubernetes/pki/etcd/server.crt is not in the backup"}},
		"a flag that is gone":          {backup{flags: []string{"--gone=1"}}, "kube-apiserver", []string{"does not know --gone"}},
		"another prefix":               {backup{flags: []string{"--etcd-prefix=/elsewhere"}}, "objects", []string{"as an empty cluster: none of 13 objects", `"/registry"`}},
		"an expired certificate":       {backup{hours: -1}, "serving certificate", []string{"none of its clients would trust it", "expired"}},
		"another host's certificate":   {backup{addr: "192.0.2.81"}, "serving certificate", []string{"192.0.2.81"}},
		"objects that nobody can read": {backup{fault: "never"}, "kube-apiserver", []string{"kube-apiserver is not ready after 2s: informer-sync", "values are encrypted with a key"}},
		"a server that says nothing":   {backup{fault: "silent"}, "kube-apiserver", []string{"kube-apiserver is not ready after 2s", "its log is empty"}},
		"a server that dies":           {backup{fault: "dies"}, "kube-apiserver", []string{`kube-apiserver ended with "exit status 2"`, "on purpose"}},
		"another cluster's client":     {backup{other: true}, "kube-apiserver", nil},
		"no objects":                   {backup{bare: true}, "objects", []string{"as an empty cluster: the backup holds no object"}},
	} {
		r, err := prove(t, tc.backup, func(o *proof.Options) {
			if tc.backup.fault == "never" || tc.backup.fault == "silent" {
				o.Timeout = 2 * time.Second
			}
		})
		require.NoError(t, err, name)
		require.Equal(t, proof.CannotStart, r.Verdict, name)
		require.Equal(t, lifeboat.StateBad, states(r)[tc.check], "%s: %s", name, r.Reason)
		for _, word := range tc.words {
			require.Contains(t, r.Reason, word, name)
		}
		failed := (*lifeboat.Error)(nil)
		require.ErrorAs(t, r.Err(), &failed, name)
		require.Equal(t, lifeboat.Damaged, failed.Class)
	}
}

// memberOf restores the data dir of master-0, and opens it with the manifests of
// the archive.
func memberOf(t *testing.T, src *lifeboat.Backup, cluster string) (dir string, member *lifeboat.Backup) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "etcd")
	plan, err := datadir.PlanRestore(t.Context(), src.DB(), src.File(), datadir.RestoreOptions{
		InitialCluster: cluster, NoBootCheck: true,
		Members: []datadir.NewMember{{Name: "master-0", PeerURLs: []string{"https://192.0.2.80:2380"}, Target: datadir.Target{Path: dir}}},
	})
	require.NoError(t, err)
	_, err = plan.Run(t.Context())
	require.NoError(t, err)
	member, err = lifeboat.Open(t.Context(), dir, lifeboat.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, member.Close()) })
	member.Adopt(src)
	return dir, member
}

// A data dir is proven as it stands, with the manifests of an archive; it is not
// changed.
func TestDataDir(t *testing.T) {
	t.Parallel()
	source := backup{}.write(t)
	src, err := lifeboat.Open(t.Context(), source, lifeboat.Options{})
	require.NoError(t, err)
	defer src.Close()
	dir, member := memberOf(t, src, "master-0=https://192.0.2.80:2380")
	db, err := os.ReadFile(filepath.Join(dir, "member", "snap", "db"))
	require.NoError(t, err)
	r, err := proof.Run(t.Context(), member, proof.Options{Dir: t.TempDir(), DataDir: dir, APIServer: proof.Binary{Path: standInPath(t)}})
	if forbidden := (*sandbox.ForbiddenError)(nil); errors.As(err, &forbidden) {
		t.Skip(forbidden)
	}
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	require.Equal(t, 8, r.Resources[0].Same)
	after, err := os.ReadFile(filepath.Join(dir, "member", "snap", "db"))
	require.NoError(t, err)
	require.Equal(t, db, after)

	// One of two members would wait for the other until the time is over.
	dir, member = memberOf(t, src, "master-0=https://192.0.2.80:2380,master-1=https://192.0.2.81:2380")
	_, err = proof.Run(t.Context(), member, proof.Options{Dir: t.TempDir(), DataDir: dir, APIServer: proof.Binary{Path: standInPath(t)}})
	require.ErrorContains(t, err, "is of a cluster of 2 members, and one alone does not serve")
}

// What has expired is signed anew where the archive's own CA can, and the proof
// says so.
func TestReissueExpired(t *testing.T) {
	t.Parallel()
	renew := func(o *proof.Options) { o.ReissueExpired = true }
	r, err := prove(t, backup{hours: -1}, renew)
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	require.Contains(t, r.Weaker, "expired, and signed anew for the sandbox: kubernetes/kube-controller-manager.conf, kubernetes/kube-scheduler.conf, kubernetes/pki/apiserver.crt")
	_, err = prove(t, backup{hours: -1, noKeys: true}, renew)
	require.ErrorContains(t, err, "the key of its authority is not in the backup")
	_, err = prove(t, backup{hours: -1, caHours: -1}, renew)
	require.ErrorContains(t, err, "its authority has expired, too")
}

// What this host or the backup does not have is no verdict.
func TestCouldNotTry(t *testing.T) {
	t.Parallel()
	_, err := prove(t, backup{drop: "kubernetes/manifests/etcd.yaml"}, nil)
	require.ErrorContains(t, err, "no manifest of etcd")
	_, err = prove(t, backup{noKeys: true, controllers: "none"}, nil)
	require.ErrorContains(t, err, "nobody in the backup may ask")
	_, err = prove(t, backup{}, func(o *proof.Options) { o.APIServer.Path = "/bin/false" })
	require.ErrorContains(t, err, `"/bin/false" --version`)
	_, err = prove(t, backup{}, func(o *proof.Options) { o.APIServer.Path = "/bin/true" })
	require.ErrorContains(t, err, `"/bin/true" is not kube-apiserver`)
	script := filepath.Join(t.TempDir(), "kube-apiserver")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nexec kube-apiserver\n"), 0o755))
	_, err = prove(t, backup{}, func(o *proof.Options) { o.APIServer.Path = script })
	require.ErrorContains(t, err, "it is a script")

	// Nor is what the backup has no part in.
	for fault, words := range map[string]string{
		"full":   "this host has no room",
		"killed": "was killed, as the kernel does when memory is short",
		"kms":    "the KMS that holds the key does not answer",
	} {
		_, err = prove(t, backup{fault: fault}, func(o *proof.Options) { o.Timeout = 3 * time.Second })
		require.ErrorContains(t, err, "not provable here: ", fault)
		require.ErrorContains(t, err, words)
	}
}

// A server of another version than the manifest's image proves less. What it
// does not know is no proof that the backup is no good.
func TestOtherVersion(t *testing.T) {
	t.Parallel()
	r, err := prove(t, backup{server: "1.34.10", image: "1.34.1"}, nil)
	require.NoError(t, err)
	require.Equal(t, proof.ProvenBut, r.Verdict)
	require.Contains(t, r.Reason, "2 objects: this kube-apiserver, which is of another version than the manifest's image, does not serve their API")
	require.Contains(t, r.Weaker, `kube-apiserver is "Kubernetes v1.34.10", and the manifest's image is "registry.k8s.io/kube-apiserver:v1.34.1"`)
	_, err = prove(t, backup{server: "1.34.10", flags: []string{"--gone=1"}}, nil)
	require.ErrorContains(t, err, `kube-apiserver is "Kubernetes v1.34.10", and the manifest's image is "registry.k8s.io/kube-apiserver:v1.37.1": this version does not know --gone`)

	// One that is older than the linked types, and what the cluster ran.
	r, err = prove(t, backup{server: "1.34.1", image: "1.34.1"}, nil)
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
	r, err = prove(t, backup{server: "1.34.1", image: "1.34.1", fault: "changed"}, nil)
	require.NoError(t, err)
	require.Equal(t, []proof.Difference{{Object: "configmaps infra/c", Paths: []string{"data.key"}}}, r.Differing)
	require.Equal(t, proof.ProvenBut, r.Verdict)
}

// Without the CA nobody can say whether clients would trust the server.
func TestWithoutCA(t *testing.T) {
	t.Parallel()
	r, err := prove(t, backup{renamed: true, addr: "192.0.2.81"}, nil)
	require.NoError(t, err)
	require.Equal(t, proof.ProvenBut, r.Verdict)
	require.Equal(t, "there is no kubernetes/pki/ca.crt", r.Reason)
	require.Equal(t, lifeboat.StateNotChecked, states(r)["serving certificate"])
}

// Whose address a name in the flags was is not told anywhere: it leads to all of
// them.
func TestNames(t *testing.T) {
	t.Parallel()
	r, err := prove(t, backup{named: true}, nil)
	require.NoError(t, err)
	require.Equal(t, proof.Proven, r.Verdict, r.Reason)
}

// Whenever a proof is killed, nothing of it runs on; the host is as it was.
func TestProofKilled(t *testing.T) {
	source, binary := backup{}.write(t), standInPath(t)
	steps := []string{"restoring the data dir", "making the sandbox", "asking the programs for their versions", "starting etcd", "starting kube-apiserver", "comparing what it serves", "running the controllers"}
	for _, step := range steps {
		before, dir := sandboxtest.Host(t), t.TempDir()
		cmd := exec.Command("/proc/self/exe", source, dir, binary)
		cmd.Env = append(os.Environ(), proverEnv+"=1m")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != step {
			require.Contains(t, steps, lines.Text())
		}
		require.Equal(t, step, lines.Text())
		if step == steps[len(steps)-1] { // until all four run
			sandboxtest.WaitFor(t, "the controllers", func() bool { return running(dir, "kube-scheduler") })
		}
		time.Sleep(10 * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		sandboxtest.WaitFor(t, "the end of all processes after "+step, func() bool { return holding(dir) == 0 })
		require.Equal(t, before, sandboxtest.Host(t))
		require.NoError(t, os.RemoveAll(dir), "nothing is mounted in it")
	}
}

// However a proof ends by itself, nothing of it runs on; the host is as it was.
func TestProofLeavesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		backup backup
		change func(*proof.Options)
	}{
		"proven":    {},
		"a timeout": {backup{fault: "silent"}, func(o *proof.Options) { o.Timeout = time.Second }},
		"a timeout, without namespaces": {backup{fault: "silent"}, func(o *proof.Options) {
			o.Timeout, o.Ways = time.Second, []sandbox.Way{sandbox.Loopback}
		}},
		"no program at all": {backup{}, func(o *proof.Options) { o.APIServer.Path = "/bin/false" }},
	} {
		before, dir := sandboxtest.Host(t), t.TempDir()
		r, err := prove(t, tc.backup, func(o *proof.Options) {
			if o.Dir = dir; tc.change != nil {
				tc.change(o)
			}
		})
		require.Equal(t, name == "no program at all", err != nil, "%s: %v", name, err)
		if err == nil {
			require.Equal(t, name == "proven", r.Verdict == proof.Proven, "%s: %s", name, r.Reason)
		}
		require.Zero(t, holding(dir), "%s: processes", name)
		require.Equal(t, before, sandboxtest.Host(t), name)
		require.NoError(t, os.RemoveAll(dir), "nothing is mounted in it")
	}
}

// running tells whether a program has written its log.
func running(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, "logs", name+".log"))
	return err == nil
}

// A user without any privilege gets the same proof, and so does root without
// the network: not one packet goes over the host's devices.
func TestProvenAnyhow(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("the other tests run without privileges already")
	}
	for name, attributes := range map[string]*syscall.SysProcAttr{
		"without privileges": {Credential: &syscall.Credential{Uid: sandboxtest.Nobody, Gid: sandboxtest.Nobody}},
		"without a network": {
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, binary := sandboxtest.ForNobody(t, "kube-apiserver")
			archive, err := os.ReadFile(backup{}.write(t))
			require.NoError(t, err)
			source := filepath.Join(dir, "kube-backup.tar")
			require.NoError(t, os.WriteFile(source, archive, 0o644))
			work := filepath.Join(dir, "work")
			require.NoError(t, os.Mkdir(work, 0o700))
			if attributes.Credential != nil {
				require.NoError(t, os.Chown(work, sandboxtest.Nobody, sandboxtest.Nobody))
			} else { // root of its own namespace is nobody to Nobody
				require.NoError(t, os.Chown(dir, os.Getuid(), os.Getgid()))
			}
			cmd := exec.Command(binary, source, work, binary)
			cmd.Args[0] = "prover" // under its own name it is the stand-in
			cmd.Env = append(os.Environ(), proverEnv+"=6s")
			if cmd.SysProcAttr = attributes; attributes.Cloneflags != 0 {
				cmd.Env = append(cmd.Env, countEnv+"=1")
			}
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "does not allow a sandbox") {
				t.Skip(string(out))
			}
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "\nproven\n")
			require.Contains(t, string(out), "\npackets: 0\n")
		})
	}
}

// holding counts the processes that stand in dir, have it as their root, or
// have it in their command line.
func holding(dir string) (n int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		root, _ := os.Readlink(process + "/root")
		cwd, _ := os.Readlink(process + "/cwd")
		words, _ := os.ReadFile(process + "/cmdline")
		mounts, _ := os.ReadFile(process + "/mountinfo")
		if strings.HasPrefix(root, dir) || strings.HasPrefix(cwd, dir) || strings.Contains(string(words), dir) || strings.Contains(string(mounts), dir) {
			n++
		}
	}
	return n
}
