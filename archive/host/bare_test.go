package host

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
)

// A bare host gets /etc/kubernetes out of the archive, too, whether or not an empty
// folder stands there. One with a control plane's files keeps them.
func TestBareHost(t *testing.T) {
	t.Parallel()
	how := RestoreOptions{Name: "master-0", PeerURLs: []string{"https://192.168.199.80:2380"}, Kubernetes: true, Members: []string{"master-2", "master-0", "it's"}}
	works := map[string]Work{ // of the data dir other tests have the real ones
		WorkRestore: ownWorks["build it"], WorkCheck: ownWorks["look at it"], WorkFiles: UnpackFiles(harbourArchive, lifeboat.Options{}),
	}
	for _, folder := range []string{"etc", "etc/kubernetes/manifests"} {
		dir := scratch(t)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "var/lib"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/hostname"), []byte("master-0\n"), 0o600))
		before := tree(t, dir, true)
		root := openRoot(t, dir)
		s := look(t, root)
		a, err := s.Assess(noon, harbourArchive)
		require.NoError(t, err)
		require.Equal(t, "complete loss of the data", a.Case)
		require.Equal(t, []string{"lifeboat host restore " + harbourArchive + " --with-kubernetes --root " + dir}, a.Next)

		plan, err := s.PlanRestore(noon, harbourArchive, how)
		require.NoError(t, err)
		next := strings.Join(plan.Next, "\n")
		require.NotContains(t, next, "put etcd.yaml into")
		require.NotContains(t, next, "Deckhouse")
		require.Contains(t, next, `kubectl delete node 'it'\''s' master-2`)
		carryOut(t, root, plan, works)
		require.FileExists(t, filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"))
		require.FileExists(t, filepath.Join(dir, "etc/kubernetes/pki/ca.key"))
		require.FileExists(t, filepath.Join(dir, "var/lib/etcd/member/snap/new"))
		_, err = look(t, root).PlanRestore(noon, harbourArchive, how)
		require.ErrorIs(t, err, ErrRefused)
		back(t, root)
		after := tree(t, dir, true)
		for _, line := range before { // what was unpacked is kept, under the run's name
			require.Contains(t, after, line)
		}
		require.NoFileExists(t, filepath.Join(dir, "etc/kubernetes/pki/ca.key"))
		require.NoDirExists(t, filepath.Join(dir, "var/lib/etcd/member"))
	}
	_, err := look(t, openRoot(t, scratch(t))).PlanRestore(noon, "-", how)
	require.ErrorIs(t, err, ErrPipe)
	require.ErrorIs(t, err, ErrRefused)
	_, err = look(t, openRoot(t, scratch(t))).PlanRestore(noon, harbourArchive, RestoreOptions{})
	require.ErrorIs(t, err, ErrNoManifest)
}

// An archive without kubernetes/ leaves nothing behind.
func TestUnpackFilesOfASnapshotAlone(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "backup.tar")
	f, err := os.Create(src)
	require.NoError(t, err)
	w := tar.NewWriter(f)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "RECOVERY.txt", Mode: 0o600, Size: 2, Format: tar.FormatPAX}))
	_, err = w.Write([]byte("x\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	to := filepath.Join(t.TempDir(), "files")
	require.ErrorContains(t, UnpackFiles(src, lifeboat.Options{})(t.Context(), to), "there is no kubernetes/ in it")
	require.NoDirExists(t, to)
}

// A folder that a killed beginning left, and a file of anybody, are no runs. Of
// two runs of one second the one that was begun later is the later one.
func TestHistoryOfOddNames(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := whole(t, dir)
	journal := filepath.Join(dir, "var/lib/lifeboat/journal")
	require.NoError(t, os.Mkdir(filepath.Join(journal, "20261128T120001Z.part"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(journal, "notes"), nil, 0o600))
	runs, err := History(root)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	open, err := Unfinished(root)
	require.NoError(t, err)
	require.Empty(t, open)

	for _, id := range []string{"20261128T120001Z-10", "20261128T120001Z", "20261128T120001Z-9", "20261128T120000Z-11", "20261128T120001Z-2"} {
		require.NoError(t, os.Mkdir(filepath.Join(journal, id), 0o700))
	}
	runs, err = History(root)
	require.NoError(t, err)
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	require.Equal(t, []string{
		"20261128T120000Z-11", "20261128T120001Z", "20261128T120001Z-2", "20261128T120001Z-9", "20261128T120001Z-10", "20261128T120000Z",
	}, ids, "what cannot be read has no number")
}

// A Secret is the one of that namespace and name.
func TestSecret(t *testing.T) {
	t.Parallel()
	b, err := lifeboat.Open(t.Context(), harbourArchive, lifeboat.Options{})
	require.NoError(t, err)
	defer b.Close()
	data, err := Secret(t.Context(), b, "d8-system", "deckhouse-registry")
	require.NoError(t, err)
	require.Contains(t, string(data[".dockerconfigjson"]), `"auths"`)
	for _, name := range [][2]string{{"d8-system", "none"}, {"infra-production", "deckhouse-registry"}, {"infra-production", "flip"}} {
		_, err = Secret(t.Context(), b, name[0], name[1])
		require.ErrorIs(t, err, ErrNoSecret, name)
	}
}

// The masters that go, go from the highest number down, and the lowest stays.
func TestChecklists(t *testing.T) {
	t.Parallel()
	cluster := func(n int) *Cluster {
		c := &Cluster{}
		for i := range n {
			c.Masters = append(c.Masters, Master{Name: "master-" + string(rune('0'+i)), Member: uint64(i + 1)})
		}
		return c
	}
	commands := func(l *Checklist, err error) string {
		require.NoError(t, err)
		var text strings.Builder
		for _, item := range l.Items {
			text.WriteString(item.What + " " + item.Command + "\n")
		}
		return text.String() + strings.Join(l.Notes, "\n")
	}
	down := commands(cluster(3).ScaleDown())
	require.Less(t, strings.Index(down, "kubectl delete node master-2"), strings.Index(down, "kubectl delete node master-1"))
	require.NotContains(t, down, "kubectl delete node master-0")
	require.Contains(t, down, "lifeboat host force-new-cluster on the one that is left")
	require.Contains(t, down, "highAvailability is not set")
	require.Contains(t, down, "--ssh-host master-0")
	require.NotContains(t, down, "--ssh-host master-1")
	require.NotContains(t, down, "Deckhouse's queue")
	settled := cluster(3)
	settled.HighAvail, settled.Deckhouse = "true", true
	down = commands(settled.ScaleDown())
	require.NotContains(t, down, "highAvailability is not set")
	require.Contains(t, down, "Deckhouse's queue")
	_, err := cluster(1).ScaleDown()
	require.ErrorIs(t, err, ErrRefused)

	require.Contains(t, commands(cluster(1).ScaleUp(3)), "set masterNodeGroup.replicas to 3")
	for _, to := range []int{1, 2, 4} {
		_, err = cluster(1).ScaleUp(to)
		require.ErrorIs(t, err, ErrRefused, "to %d", to)
	}
	_, err = cluster(3).ScaleUp(3)
	require.ErrorIs(t, err, ErrRefused)

	require.Contains(t, commands(cluster(3).Replace()), "kubectl delete node master-0")
	require.Contains(t, commands(cluster(1).Replace()), "lifeboat host scale SRC --to 3")
	_, err = cluster(2).Replace()
	require.ErrorIs(t, err, ErrRefused)
}

// Of a large file a plan holds size and time; of a small one the content.
func TestFactOfALargeFile(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := openRoot(t, dir)
	name := filepath.Join(dir, "etc/large")
	require.NoError(t, os.WriteFile(name, make([]byte, maxDigest+1), 0o600))
	f, err := root.fact("/etc/large")
	require.NoError(t, err)
	require.Equal(t, "file", f.Kind)
	require.NoError(t, root.holds(f))
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(name, maxDigest+2))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
	require.ErrorContains(t, root.holds(f), `the content of "/etc/large" was changed since`)
	require.NoError(t, os.Remove(name))
	require.ErrorContains(t, root.holds(f), `"/etc/large" was a file and is nothing`)
	_, err = root.readFile("/etc", 1<<20)
	require.ErrorContains(t, err, "no regular file")
}
