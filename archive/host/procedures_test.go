package host

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const harbourArchive = "../../testdata/harbour/kube-backup.tar.gz"

// master is a host of the harbour cluster: its /etc/kubernetes, and master-0's
// data dir, where Deckhouse keeps it.
func master(t testing.TB, member string) string {
	t.Helper()
	dir := scratch(t)
	masterAt(t, dir, member)
	return dir
}

func masterAt(t testing.TB, dir, member string) {
	t.Helper()
	unpack(t, harbourArchive, func(name string) string {
		if rest, ok := strings.CutPrefix(name, "kubernetes/"); ok {
			return filepath.Join(dir, "etc/kubernetes", rest)
		}
		return ""
	})
	data := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd")
	require.NoError(t, os.MkdirAll(data, 0o700))
	if member != "" {
		unpack(t, "../../testdata/harbour/members.tar.gz", func(name string) string {
			if rest, ok := strings.CutPrefix(name, member+"/"); ok {
				return filepath.Join(data, rest)
			}
			return ""
		})
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "var/lib"), 0o755))
	require.NoError(t, os.Symlink("/mnt/kubernetes-data/var-lib-etcd", filepath.Join(dir, "var/lib/etcd")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/.kube"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "root/.kube/config"), []byte("kind: Config\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/hostname"), []byte("master-0\n"), 0o600))
}

// unpack writes the files of a tar to where place says, holes as holes.
func unpack(t testing.TB, archive string, place func(name string) string) {
	t.Helper()
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		to := place(strings.TrimPrefix(h.Name, "./"))
		if to == "" || !h.FileInfo().Mode().IsRegular() { // a sparse one has a type of its own
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o700))
		out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, h.FileInfo().Mode())
		require.NoError(t, err)
		block := make([]byte, 1<<20)
		for at, end := int64(0), int64(0); ; {
			n, err := io.ReadFull(tr, block)
			if strings.Trim(string(block[:n]), "\x00") != "" {
				end = at + int64(n)
				_, werr := out.WriteAt(block[:n], at)
				require.NoError(t, werr)
			}
			at += int64(n)
			if err != nil {
				if ext := filepath.Ext(to); ext == ".wal" || ext == ".tmp" {
					at = min(at, end) // what etcd has allocated ahead is left out
				}
				require.NoError(t, out.Truncate(at))
				break
			}
		}
		require.NoError(t, out.Close())
	}
}

func look(t testing.TB, root *Root) *State {
	t.Helper()
	s, err := Look(context.Background(), root, LookOptions{ReadFile: os.ReadFile})
	require.NoError(t, err)
	return s
}

// carryOut runs a plan to its end.
func carryOut(t testing.TB, root *Root, plan *Plan, works map[string]Work) {
	t.Helper()
	run, err := Begin(root, plan)
	require.NoError(t, err)
	require.NoError(t, quick(run).Forward(context.Background(), works))
	require.NoError(t, run.Close())
}

func TestLook(t *testing.T) {
	t.Parallel()
	s := look(t, openRoot(t, master(t, "etcd-0")))
	require.Equal(t, "/etc/kubernetes/manifests/etcd.yaml", s.Etcd.Path)
	require.Equal(t, "master-0", s.Member.Name)
	require.Equal(t, "/var/lib/etcd", s.DataDir.Named)
	require.Equal(t, "/mnt/kubernetes-data/var-lib-etcd", s.DataDir.Real)
	require.NoError(t, s.DataDir.Err)
	require.Len(t, s.DataDir.Survivor.Members, 3)
	require.False(t, s.Alone())
	quota, set := s.Quota()
	require.Equal(t, int64(2<<30), quota)
	require.False(t, set)
	require.Equal(t, []string{"registry.k8s.io/etcd:3.7.0-0", "registry.k8s.io/kube-apiserver:v1.37.1", "registry.k8s.io/kube-controller-manager:v1.37.1", "registry.k8s.io/kube-scheduler:v1.37.1"}, s.Images())
	require.Equal(t, "crictl exec $(crictl ps --name '^etcd$' -q) etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt"+
		" --key /etc/kubernetes/pki/etcd/server.key --endpoints https://127.0.0.1:2379", s.Etcdctl())
}

func opener(path string) func(ctx context.Context) (*lifeboat.Backup, error) {
	return func(ctx context.Context) (*lifeboat.Backup, error) {
		return lifeboat.Open(ctx, path, lifeboat.Options{})
	}
}

func TestRestoreAndUndo(t *testing.T) {
	t.Parallel()
	for name, member := range map[string]string{"in the place of a member": "etcd-0", "on an empty disk": ""} {
		dir := master(t, member)
		before := tree(t, dir, true)
		root := openRoot(t, dir)
		s := look(t, root)
		plan, err := s.PlanRestore(noon, harbourArchive, RestoreOptions{})
		require.NoError(t, err)
		require.Equal(t, before, tree(t, dir, true), "%s: a plan changes nothing", name)
		carryOut(t, root, plan, s.RestoreWorks(RestoreOptions{}, opener(harbourArchive)))

		after := look(t, root)
		require.True(t, after.Etcd.In() && after.APIServer.In())
		require.True(t, after.Alone())
		require.Equal(t, "master-0", after.DataDir.Survivor.Name())
		require.GreaterOrEqual(t, after.DataDir.Survivor.Info.Revision, int64(BumpMargin+1485), name)
		back(t, root)
		require.Equal(t, before, tree(t, dir, true), name)
	}
}

func TestRebuildAndUndo(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	s := look(t, root)
	plan, err := s.PlanRebuild(noon, false)
	require.NoError(t, err)
	works := s.RestoreWorks(RestoreOptions{NoBootCheck: true}, opener(root.Path(s.DataDir.Real)))
	carryOut(t, root, plan, works)
	after := look(t, root)
	require.True(t, after.Alone())
	db, err := snapshot.Open(context.Background(), after.DataDir.Survivor.Database)
	require.NoError(t, err)
	defer db.Close()
	n := 0
	for _, err := range db.At(context.Background(), 0, func(key []byte) bool { return string(key) == "/registry/configmaps/infra-production/wal-tail" }) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 1, n, "what stood in the log alone is there")
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
}

// etcd runs, and nothing will stop it.
func TestStopRefusesWhatKubeletWillNotStop(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	database := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/db")
	f, err := os.OpenFile(database, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, lockForTest(f))
	root := openRoot(t, dir)
	s := look(t, root)
	require.ErrorIs(t, s.DataDir.InUse, snapshot.ErrInUse)
	plan, err := s.PlanEtcdOff(noon)
	require.NoError(t, err, "its manifest is in the folder, so kubelet will stop it")
	run, err := Begin(root, plan)
	require.NoError(t, err)
	require.ErrorIs(t, quick(run).Forward(context.Background(), nil), snapshot.ErrInUse, "it did not")
	require.NoError(t, run.Close())

	require.NoError(t, os.Remove(filepath.Join(dir, "etc/kubernetes/etcd.yaml.old-20261128T120000Z")))
	s = look(t, root)
	_, err = s.PlanRestore(noon, harbourArchive, RestoreOptions{Name: "master-0", PeerURLs: []string{"https://192.168.199.80:2380"}})
	require.ErrorIs(t, err, snapshot.ErrInUse)
}

func TestEtcdOffAndOn(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	s := look(t, root)
	plan, err := s.PlanEtcdOff(noon)
	require.NoError(t, err)
	carryOut(t, root, plan, nil)
	require.NoFileExists(t, filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"))
	s = look(t, root)
	require.Equal(t, "master-0", s.Member.Name, "the manifest that was moved out tells")
	_, err = s.PlanEtcdOff(noon)
	require.ErrorIs(t, err, ErrNothing)
	id, err := LastDone(root, "host etcd off")
	require.NoError(t, err)
	require.Equal(t, plan.ID, id)
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
	_, err = LastDone(root, "host etcd off")
	require.ErrorIs(t, err, ErrNoRun)
}

func TestForceFlag(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	root := openRoot(t, dir)
	plan, err := look(t, root).PlanForceFlag(true, noon)
	require.NoError(t, err)
	require.Equal(t, "34: +    - --force-new-cluster\n", plan.Steps[0].Diff)
	require.True(t, plan.Severe)
	carryOut(t, root, plan, nil)
	_, err = look(t, root).PlanForceFlag(true, noon)
	require.ErrorIs(t, err, ErrNothing)
	plan, err = look(t, root).PlanForceFlag(false, noon)
	require.NoError(t, err)
	require.False(t, plan.Severe)
	carryOut(t, root, plan, nil)
	_, err = look(t, root).PlanForceFlag(false, noon)
	require.ErrorIs(t, err, ErrNothing)
}

func TestQuota(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	s := look(t, root)
	_, err := s.PlanQuota(noon, QuotaOptions{Double: true, Disarm: true})
	require.ErrorIs(t, err, ErrRefused, "there are other members")
	require.ErrorContains(t, err, "diverge")
	plan, err := s.PlanQuota(noon, QuotaOptions{Double: true})
	require.NoError(t, err)
	require.Equal(t, "34: +    - --quota-backend-bytes=4294967296\n", plan.Steps[0].Diff)
	require.Contains(t, strings.Join(plan.Next, "\n"), "alarm disarm")
	require.Contains(t, strings.Join(plan.Next, "\n"), "on master-1")
	carryOut(t, root, plan, nil)
	plan, err = look(t, root).PlanQuota(noon, QuotaOptions{Double: true})
	require.NoError(t, err)
	require.Equal(t, "34: -    - --quota-backend-bytes=4294967296\n34: +    - --quota-backend-bytes=8589934592\n", plan.Steps[0].Diff)
	plan, err = look(t, root).PlanQuota(noon, QuotaOptions{Set: 16 << 30})
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan.Notes, "\n"), "16 GiB is beyond the 8 GiB")
	_, err = look(t, root).PlanQuota(noon, QuotaOptions{Set: 8 << 20})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "is a unit missing")
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
}

func TestAuditOff(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	data, err := os.ReadFile("../controlplane/testdata/edit/deckhouse-kube-apiserver.yaml")
	require.NoError(t, err)
	manifest := filepath.Join(dir, "etc/kubernetes/manifests/kube-apiserver.yaml")
	require.NoError(t, os.WriteFile(manifest, data, 0o600))
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	plan, err := look(t, root).PlanAuditOff(noon)
	require.NoError(t, err)
	require.Contains(t, plan.Steps[0].Why, "kube-audit-log")
	carryOut(t, root, plan, nil)
	now, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.NotContains(t, string(now), "--audit")
	require.Contains(t, string(now), "deckhouse-extra-files", "another flag needs it")
	_, err = look(t, root).PlanAuditOff(noon)
	require.ErrorIs(t, err, ErrNothing)
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
}

func TestDismiss(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	before := tree(t, dir, true)
	manifest, err := os.ReadFile(filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"))
	require.NoError(t, err)
	root := openRoot(t, dir)
	s := look(t, root)
	_, err = s.PlanDismiss(noon, nil)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, `"master-0"`)
	others := []snapshot.Member{{ID: 1, Name: "master-1", PeerURLs: []string{"https://192.168.199.81:2380"}}}
	plan, err := s.PlanDismiss(noon, others)
	require.NoError(t, err)
	carryOut(t, root, plan, nil)
	for _, gone := range []string{"manifests/etcd.yaml", "pki/ca.key", "pki/sa.pub", "pki/etcd", "pki/apiserver.crt", "admin.conf"} {
		require.NoFileExists(t, filepath.Join(dir, "etc/kubernetes", gone))
	}
	require.NoFileExists(t, filepath.Join(dir, "root/.kube/config"))
	require.FileExists(t, filepath.Join(dir, "etc/kubernetes/pki/ca.crt"), "a worker needs it")
	require.FileExists(t, filepath.Join(dir, "etc/kubernetes/kubelet.conf"))
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))

	// What is printed to destroy the keys takes what stands aside, and nothing else.
	plan, err = look(t, root).PlanDismiss(noon, others)
	require.NoError(t, err)
	carryOut(t, root, plan, nil)
	was := left(t, dir, plan.ID)
	_, commands, found := strings.Cut(plan.Next[len(plan.Next)-1], "\n")
	require.True(t, found)
	output, err := exec.Command("sh", "-ec", commands).CombinedOutput()
	require.NoError(t, err, string(output))
	was = slices.DeleteFunc(was, func(line string) bool { return strings.Contains(line, ".old-ID") })
	require.Equal(t, was, left(t, dir, plan.ID))

	a, err := look(t, root).Assess(noon, "")
	require.NoError(t, err)
	require.Equal(t, "this node was dismissed as a master", a.Case)
	require.Contains(t, a.Next[0], "undo "+plan.ID)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"), manifest, 0o600))
	a, err = look(t, root).Assess(noon, "")
	require.NoError(t, err)
	require.Equal(t, "complete loss of the data", a.Case, "it was made a master again")
}

// What etcd writes to its data before kubelet has stopped it does not stand in the
// way of a plan; what changes where nothing runs does. A manifest behind a link is
// edited where it stands.
func TestPlanHoldsToWhatStands(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	root := openRoot(t, dir)
	manifests := filepath.Join(dir, "etc/kubernetes/manifests")
	member := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/new")
	begin := func() error {
		plan, err := look(t, root).PlanRestore(noon, harbourArchive, RestoreOptions{Name: "master-0", PeerURLs: []string{"https://192.168.199.80:2380"}})
		require.NoError(t, err)
		require.True(t, plan.Severe)
		require.Contains(t, strings.Join(plan.Next, "\n"), "kubectl delete node master-1 master-2")
		require.NoError(t, os.WriteFile(member, nil, 0o600))
		run, err := Begin(root, plan)
		require.NoError(t, os.Remove(member))
		if err == nil {
			require.NoError(t, errors.Join(run.Abandon(), run.Close()))
		}
		return err
	}
	require.NoError(t, begin())
	aside := filepath.Join(dir, "etcd.yaml")
	require.NoError(t, os.Rename(filepath.Join(manifests, "etcd.yaml"), aside))
	require.ErrorIs(t, begin(), ErrChanged)
	a, err := look(t, root).Assess(noon, harbourArchive)
	require.NoError(t, err)
	require.NotContains(t, strings.Join(a.Next, "\n"), "--with-kubernetes", "the rest of it is there")
	_, err = look(t, root).PlanRestore(noon, harbourArchive, RestoreOptions{Name: "m", PeerURLs: []string{"http://x:2380"}, Kubernetes: true})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "is not empty")

	require.NoError(t, os.Symlink("/etcd.yaml", filepath.Join(manifests, "etcd.yaml")))
	data, err := os.ReadFile(aside)
	require.NoError(t, err)
	twice := strings.Replace(string(data), "    - etcd\n", "    - etcd\n    - --quota-backend-bytes=1073741824\n    - --quota-backend-bytes=2147483648\n", 1)
	require.NoError(t, os.WriteFile(aside, []byte(twice), 0o600))
	plan, err := look(t, root).PlanQuota(noon, QuotaOptions{Double: true})
	require.NoError(t, err)
	notes := strings.Join(plan.Notes, "\n")
	require.Contains(t, notes, "--quota-backend-bytes stands 2 times: the last one, 2147483648, counts")
	require.Contains(t, notes, "/etc/kubernetes/manifests/etcd.yaml is a symbolic link: /etcd.yaml is edited")
	carryOut(t, root, plan, nil)
	to, err := os.Readlink(filepath.Join(manifests, "etcd.yaml"))
	require.NoError(t, err)
	require.Equal(t, "/etcd.yaml", to)
	data, err = os.ReadFile(aside)
	require.NoError(t, err)
	require.Contains(t, string(data), "--quota-backend-bytes=4294967296\n")
}

// What a person reads of a run is short; nothing is named twice.
func TestKept(t *testing.T) {
	t.Parallel()
	root := whole(t, hostTree(t))
	run, err := Load(root, "20261128T120000Z")
	require.NoError(t, err)
	defer run.Close()
	kept := []string{"/etc/kubernetes/kube-apiserver.yaml.old-20261128T120000Z", "/mnt/kubernetes-data/var-lib-etcd/lifeboat-20261128T120000Z"}
	require.Equal(t, kept, run.Kept())
	require.Equal(t, kept, run.KeptLines())
	require.True(t, strings.HasPrefix(run.BackSteps()[0], "take back: move "))
	require.Len(t, run.BackSteps(), 9)
}

// An undo is severe as its run was, once there is something to change.
func TestSevereBack(t *testing.T) {
	t.Parallel()
	root := openRoot(t, hostTree(t))
	plan, err := everything(root)
	require.NoError(t, err)
	plan.Severe = true
	run, err := Begin(root, plan)
	require.NoError(t, err)
	swap := slices.IndexFunc(plan.Steps, func(s Step) bool { return s.Kind == Swap })
	quick(run).Observe = func(step int, event string) {
		if step >= 0 {
			require.Equal(t, step > swap || step == swap && run.last(step) != "", run.SevereBack(), "step %d, %s", step, event)
		}
	}
	require.NoError(t, run.Forward(t.Context(), ownWorks))
	require.True(t, run.SevereBack())
	run.Observe = nil
	require.NoError(t, run.Back(t.Context(), ownWorks))
	require.False(t, run.SevereBack())
	require.NoError(t, run.Close())
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c, err := ParseCredentials([]byte(`{"auths":{"https://registry.deckhouse.io/v2":{"auth":"dTpw"},"other:5000":{"username":"u","password":"p"}}}`))
	require.NoError(t, err)
	require.Equal(t, Credentials{"registry.deckhouse.io": "dTpw", "other:5000": "dTpw"}, c)
	_, err = ParseCredentials([]byte(`{"auths": "s3cret"`))
	require.ErrorIs(t, err, ErrNoCredentials)
	require.NotContains(t, err.Error(), "s3cret")
	script := pullScript([]string{"registry.deckhouse.io/deckhouse/ee@sha256:1", "busybox"}, map[string]string{"registry.deckhouse.io": "/root/my auth"})
	require.Contains(t, script, "CRICTL_AUTH=$(cat '/root/my auth') crictl pull registry.deckhouse.io/deckhouse/ee@sha256:1\n")
	require.NotContains(t, script, "--auth")

	files := PullFolder("/root/pull", []string{"registry.deckhouse.io/deckhouse/ee@sha256:1", "other:5000/x", "busybox"}, c)
	require.Len(t, files, 5)
	require.Equal(t, "dTpw\n", files["other_5000.auth"])
	require.Contains(t, files["pull.sh"], "CRICTL_AUTH=$(cat /root/pull/other_5000.auth) crictl pull other:5000/x\n")
	require.Contains(t, files["containerd-1.toml"], "version = 2\n\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"other:5000\".auth]\nauth = \"dTpw\"\n")
	require.Contains(t, files["containerd-2.toml"], "version = 3\n\n[plugins.\"io.containerd.cri.v1.images\".registry.configs.\"other:5000\".auth]\n")
}
