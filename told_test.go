package lifeboat_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Whoever wants an object does not need the archive's manifest. Verify does.
func TestUnreadableManifest(t *testing.T) {
	t.Parallel()
	data := ours(t)
	require.Contains(t, string(data), `"hash": `)
	path := filepath.Join(t.TempDir(), "backup.tar")
	require.NoError(t, os.WriteFile(path, bytes.Replace(data, []byte(`"hash": `), []byte(`"hash"; `), 1), 0o600))
	b := open(t, path, lifeboat.Options{})
	require.Equal(t, int64(1485), b.DB().Revision())
	_, err := b.Verify(t.Context())
	require.ErrorContains(t, err, "MANIFEST.json")
	require.Equal(t, lifeboat.Damaged, lifeboat.ClassOf(err))
}

// The time in an archive's name and comment is by the snapshot's own clock where it
// has one, whatever the time of the files in it is to be.
func TestPackTellsTheTime(t *testing.T) {
	t.Parallel()
	epoch := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	without := small(t, clusterUID(1), 20)
	change(t, without, illegible)
	for path, want := range map[string][2]string{
		snapshotFile(t): {"b8396dd5-20261121T205049Z-1485", " time=2024-01-02T03:04:05Z clock=2026-11-21T20:50:49Z "},
		without:         {"", " time=2024-01-02T03:04:05Z clock=- "},
	} {
		x, err := lifeboat.Pack(t.Context(), lifeboat.PackOptions{Snapshot: path, Epoch: epoch}, lifeboat.Options{})
		require.NoError(t, err)
		require.Contains(t, x.Comment(), want[1])
		name, err := x.Name("{cluster}-{time}-{revision}")
		if want[0] == "" {
			require.ErrorContains(t, err, "no namespace kube-system")
			name, err = x.Name("{time}")
			want[0] = "20240102T030405Z"
		}
		require.NoError(t, err)
		require.Equal(t, want[0], name)
		_, err = x.Name("{node}")
		require.ErrorContains(t, err, "and nothing else")
		require.NoError(t, x.Close())
	}
}

// A copy under another key tells of the snapshot what the original told.
func TestRekeyedTellsTheClock(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 0)
	x, err := lifeboat.Pack(t.Context(), lifeboat.PackOptions{Snapshot: snapshotFile(t), Recipients: f.team, Compression: archive.Compression{Format: archive.Gzip}}, lifeboat.Options{})
	require.NoError(t, err)
	defer x.Close()
	var content bytes.Buffer
	_, err = x.Write(t.Context(), &content)
	require.NoError(t, err)
	f.put(t, "a.tar.gz.age", content.Bytes(), x.Comment())
	copies := &fleet{dir: t.TempDir(), key: filepath.Join(t.TempDir(), "second"), pubkey: f.pubkey}
	how := lifeboat.RekeyOptions{Change: crypto.Change{Add: []crypto.Recipient{newKey(t, copies.key)}}, Signer: f.signer}
	done, err := lifeboat.RekeyPlace(t.Context(), f.store(t), copies.dir, f.options(), how)
	require.NoError(t, err)
	require.NoError(t, lifeboat.RekeyVerdict(done))
	before, err := lifeboat.Catalog(t.Context(), f.store(t), f.options())
	require.NoError(t, err)
	after, err := lifeboat.Catalog(t.Context(), copies.store(t), copies.options())
	require.NoError(t, err)
	require.True(t, before[0].Clock)
	require.True(t, after[0].Clock)
	require.Equal(t, before[0].Time, after[0].Time)
	require.Equal(t, append([]string{"former"}, how.Change.Add[0].Fingerprint()), after[0].Recipients)
}

// What is rotated is under a fresh key, which the former ones do not open; what is
// not encrypted has none to change.
func TestRekeyRotates(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 1)
	require.NoError(t, os.WriteFile(f.path("plain.tar"), ours(t), 0o600))
	opts := lifeboat.Options{Identities: []string{f.key}}
	second := filepath.Join(t.TempDir(), "second")
	only := crypto.Change{Only: []crypto.Recipient{newKey(t, second)}}
	for _, rotate := range []bool{true, false} {
		copies := &fleet{dir: t.TempDir(), key: second}
		done, err := lifeboat.RekeyPlace(t.Context(), f.store(t), copies.dir, opts, lifeboat.RekeyOptions{Change: only, Rotate: rotate})
		require.NoError(t, err)
		require.Equal(t, []string{"re-keyed", "failed"}, []string{done[0].Action, done[1].Action})
		require.Contains(t, done[1].Reason, crypto.ErrNotEncrypted.Error())
		require.Error(t, lifeboat.RekeyVerdict(done))
		require.NoFileExists(t, copies.path("plain.tar"))
		require.Equal(t, int64(9), open(t, copies.path(f.names[0]), lifeboat.Options{Identities: []string{second}}).DB().Revision())
		_, err = lifeboat.Open(t.Context(), copies.path(f.names[0]), opts)
		require.ErrorIs(t, err, crypto.ErrNoKey)
		was, err := os.ReadFile(f.path(f.names[0]))
		require.NoError(t, err)
		now, err := os.ReadFile(copies.path(f.names[0]))
		require.NoError(t, err)
		require.Equal(t, !rotate, bytes.Equal(was[len(was)-200:], now[len(now)-200:]), "the payload is the same where only its header is written anew")
	}
}

// Who can encrypt is not who has made it: without a key for signatures that is said,
// and whether there would be one to check.
func TestUnsignedIsSaid(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(harbour)
	require.NoError(t, err)
	sealed, key := seal(t, data)
	for _, says := range []string{"nothing proves who made ", "the signature of "} {
		var told heard
		open(t, sealed, lifeboat.Options{Identities: []string{key}, Observer: told.observer()})
		require.Contains(t, strings.Join(told.warn, "\n"), says)
		require.NoError(t, os.WriteFile(sealed+lifeboat.SignatureSuffix, nil, 0o600))
	}
	packed, err := os.ReadFile(sealed)
	require.NoError(t, err)
	var told heard
	open(t, "-", lifeboat.Options{Identities: []string{key}, Stdin: bytes.NewReader(packed), Observer: told.observer()})
	require.Contains(t, strings.Join(told.warn, "\n"), "nothing proves who made ")
}

// An option of data dirs is refused for an archive of a place, too.
func TestPlaceHasNoLogs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 1)
	opts := f.options()
	opts.CommittedOnly = true
	report, err := lifeboat.VerifyPlace(t.Context(), f.store(t), opts, lifeboat.PlaceOptions{})
	require.NoError(t, err)
	require.Equal(t, lifeboat.OutcomeFailed, report.Findings[0].Outcome)
	require.Contains(t, report.Findings[0].Reason, "nothing else has a write-ahead log")
}

// A folder that is no data dir: the backups in it are named, those of other programs
// with the command that takes them out.
func TestFolderOfBackups(t *testing.T) {
	t.Parallel()
	snap, err := os.ReadFile(snapshotFile(t))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		files map[string][]byte
		says  []string
		not   string
	}{
		"one":         {map[string][]byte{"sub/nightly": snap}, []string{"a folder that holds backups", "give the file: ", "sub/nightly"}, "one of its"},
		"several":     {map[string][]byte{"1": snap, "2.gz": gzipped(t, snap), "3.z": zlibbed(t, snap)}, []string{"give one of its 3 backups; the last by its name: ", "3.z"}, ""},
		"deep":        {map[string][]byte{"a/b/c/d": snap}, []string{"a/b/c/d"}, ""},
		"too deep":    {map[string][]byte{"a/b/c/d/e/f": snap}, nil, "holds backups"},
		"with pki":    {map[string][]byte{"s": snap, "manifests/etcd.yaml": nil}, []string{"tar -cC "}, ""},
		"manifests":   {map[string][]byte{"1/etcd.yaml": nil, "2/etcd.yaml": nil}, []string{"no data of etcd", "--manifest ", "2/etcd.yaml"}, ""},
		"restic's":    {map[string][]byte{"config": nil, "data/x": nil, "keys/x": nil, "snapshots/x": nil}, []string{"a restic repository", "restic -r "}, ""},
		"nobody's":    {map[string][]byte{"x": []byte("text"), "y.gz": gzipped(t, []byte("text"))}, nil, "holds backups"},
		"a data dir?": {map[string][]byte{"config": nil, "data/x": nil}, nil, "repository"},
	} {
		dir := t.TempDir()
		for file, data := range tc.files {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), data, 0o600))
		}
		_, err := lifeboat.Open(t.Context(), dir, lifeboat.Options{})
		require.ErrorIs(t, err, datadir.ErrNotDataDir, name)
		e, hint := (*lifeboat.Error)(nil), ""
		if errors.As(err, &e) {
			hint = e.Hint
		}
		for _, text := range tc.says {
			require.Contains(t, err.Error()+" "+hint, text, name)
		}
		if tc.not != "" {
			require.NotContains(t, err.Error()+" "+hint, tc.not, name)
		}
	}
}

// Where dirs stand on other hosts, what is typed is said for each host; what stands
// here is carried only to where it is built.
func TestCompareHosts(t *testing.T) {
	t.Parallel()
	collect := func(name string) string {
		dir, err := datadir.Open(memberDir(t, name))
		require.NoError(t, err)
		data, _, err := datadir.CollectDir(t.Context(), dir, "host of "+name, snapshot.Spool{Where: snapshot.Anywhere, Dir: t.TempDir()})
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), name+".evidence")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	here, there := memberDir(t, "etcd-0"), collect("etcd-1")
	for _, paths := range [][]string{{here, there}, {there, here}} {
		found, err := lifeboat.Compare(t.Context(), paths, lifeboat.Options{})
		require.NoError(t, err)
		next := strings.Join(found.Next, "\n")
		require.Equal(t, found.Recommended == there, strings.Contains(next, "lifeboat etcd collect "+here), next)
		require.Contains(t, next, "lifeboat host force-new-cluster --peer-dir ")
		require.Contains(t, next, "lifeboat host etcd off")
		require.Len(t, found.Next, map[bool]int{true: 3, false: 2}[found.Recommended == there])
	}

	// Another member's evidence is a peer's.
	b := open(t, here, lifeboat.Options{PeerDirs: []string{there}})
	require.True(t, b.Evidence().Complete())
}

// Lengths of time are as people say them of backups.
func TestPace(t *testing.T) {
	t.Parallel()
	for every, want := range map[time.Duration]string{0: "", 90 * time.Minute: "1h30m", 24 * time.Hour: "24h", time.Hour: "1h", 10 * time.Minute: "10m", 72*time.Hour + 30*time.Minute: "3d0h"} {
		require.Equal(t, want, lifeboat.Holding{Every: int64(every.Seconds()), Gaps: []place.Gap{}}.Pace())
	}
}
