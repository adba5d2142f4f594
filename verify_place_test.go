package lifeboat_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/shard"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// soaked is n, or that many times as much as LIFEBOAT_SOAK says.
func soaked(t *testing.T, n int) int {
	t.Helper()
	factor, err := strconv.Atoi(cmp.Or(os.Getenv("LIFEBOAT_SOAK"), "1"))
	require.NoError(t, err)
	return n * factor
}

// fleet is a place with small archives of several clusters.
type fleet struct {
	dir    string // the place
	key    string // opens them
	pubkey string // has signed them
	signer *crypto.Signer
	team   []crypto.Recipient
	names  []string
}

func clusterUID(i int) string { return fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%012x", 0x10000000+i*7919, i) }

func newFleet(t testing.TB, clusters, archives int) *fleet {
	t.Helper()
	keys := t.TempDir()
	f := &fleet{dir: t.TempDir(), key: filepath.Join(keys, "key"), pubkey: filepath.Join(keys, "sign.pub")}
	f.team = []crypto.Recipient{newKey(t, f.key)}
	private, public, err := crypto.GenerateSigner(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(keys, "sign"), private, 0o600))
	require.NoError(t, os.WriteFile(f.pubkey, public, 0o600))
	f.signer, _, err = crypto.ReadSigner(filepath.Join(keys, "sign"), nil)
	require.NoError(t, err)
	for c := range clusters {
		for n := range archives {
			f.names = append(f.names, f.pack(t, clusterUID(c), n, f.team, ""))
		}
	}
	return f
}

func newKey(t testing.TB, path string) crypto.Recipient {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(id.String()+"\n"), 0o600))
	r, err := crypto.ParseRecipient(id.Recipient().String(), nil)
	require.NoError(t, err)
	return r
}

// pack makes the n-th nightly archive of a cluster, under a name of its own
// unless one is given.
func (f *fleet) pack(t testing.TB, cluster string, n int, team []crypto.Recipient, name string) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(db, snapshottest.Spec{Keys: 8 + n, Updates: -1, Deletions: -1, Cluster: cluster, Trailer: true})
	require.NoError(t, err)
	x, err := lifeboat.Pack(t.Context(), lifeboat.PackOptions{
		Snapshot: db, Recipients: team, Compression: archive.Compression{Format: archive.Gzip},
		Epoch: time.Date(2026, 11, 1+n, 2, 0, 0, 0, time.UTC),
	}, lifeboat.Options{})
	require.NoError(t, err)
	defer x.Close()
	if name == "" {
		name, err = x.Name(fmt.Sprintf("{cluster}/%03d-{revision}.tar.gz.age", n))
		require.NoError(t, err)
	}
	var content bytes.Buffer
	_, err = x.Write(t.Context(), &content)
	require.NoError(t, err)
	f.put(t, name, content.Bytes(), x.Comment())
	return name
}

func (f *fleet) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *fleet) put(t testing.TB, name string, content []byte, comment string) {
	t.Helper()
	signature, err := f.signer.Sign(bytes.NewReader(content), comment)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(f.path(name)), 0o700))
	require.NoError(t, os.WriteFile(f.path(name), content, 0o600))
	require.NoError(t, os.WriteFile(f.path(name)+lifeboat.SignatureSuffix, signature, 0o600))
}

func (f *fleet) options() lifeboat.Options {
	return lifeboat.Options{Identities: []string{f.key}, PubKey: f.pubkey}
}

func (f *fleet) store(t testing.TB) place.Store {
	t.Helper()
	store, err := place.OpenFolder(f.dir)
	require.NoError(t, err)
	return store
}

// damage are eight ways in which an archive of a place comes to harm.
func damage() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"cut":        func(d []byte) []byte { return d[:len(d)*2/3] },
		"last byte":  func(d []byte) []byte { return d[:len(d)-1] },
		"empty":      func([]byte) []byte { return nil },
		"bit":        func(d []byte) []byte { d[len(d)/2] ^= 4; return d },
		"header":     func(d []byte) []byte { d[40] ^= 1; return d },
		"appended":   func(d []byte) []byte { return append(d, "more"...) },
		"zeroed end": func(d []byte) []byte { clear(d[len(d)-512:]); return d },
		"other file": func([]byte) []byte { return []byte("<html>503 Service Unavailable</html>") },
	}
}

// Of a fleet with damage, archives of other clusters in each other's place, and
// such as are locked, every one is told for what it is, and no other.
func TestVerifyPlaceFindsAll(t *testing.T) {
	t.Parallel()
	clusters, archives := min(soaked(t, 4), 40), min(soaked(t, 5), 30)
	f := newFleet(t, clusters, archives)
	want := map[string]lifeboat.Outcome{}
	for _, name := range f.names {
		want[name] = lifeboat.OutcomeGood
	}
	ways, hundredth := slices.Sorted(maps.Keys(damage())), (len(f.names)+99)/100
	for i := range max(hundredth, len(ways)) {
		name := f.names[(i*7+1)%len(f.names)]
		data, err := os.ReadFile(f.path(name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(f.path(name), damage()[ways[i%len(ways)]](data), 0o600))
		want[name] = lifeboat.OutcomeBad
	}
	for i := range hundredth {
		stranger := fmt.Sprintf("%s-202612%02dT020000Z.tar.gz.age", clusterUID(i % clusters)[:8], i+1)
		f.pack(t, clusterUID((i+1)%clusters), 3, f.team, stranger)
		want[stranger] = lifeboat.OutcomeMismatch
		locked := f.pack(t, clusterUID(i%clusters), 40+i, []crypto.Recipient{newKey(t, filepath.Join(t.TempDir(), "other"))}, "")
		want[locked] = lifeboat.OutcomeNoKey
	}
	unsigned := f.pack(t, clusterUID(0), 39, f.team, "")
	require.NoError(t, os.Remove(f.path(unsigned)+lifeboat.SignatureSuffix))
	want[unsigned] = lifeboat.OutcomeBad

	report, err := lifeboat.VerifyPlace(t.Context(), f.store(t), f.options(), lifeboat.PlaceOptions{})
	require.NoError(t, err)
	got := map[string]lifeboat.Outcome{}
	for _, finding := range report.Findings {
		got[finding.Name] = finding.Outcome
	}
	require.Equal(t, want, got)
	require.Equal(t, lifeboat.Damaged, lifeboat.ClassOf(report.Verdict()))
	require.Len(t, report.Clusters, clusters)

	var page bytes.Buffer
	require.NoError(t, report.WriteMetrics(&page))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&page)
	require.NoError(t, err)
	require.Len(t, families["lifeboat_newest_archive_size_bytes"].GetMetric(), clusters)
	counted := map[bool]int{}
	for _, m := range families["lifeboat_archives"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "cluster" {
				counted[l.GetValue() != ""] += int(m.GetGauge().GetValue())
			}
		}
	}
	known := 0
	for _, finding := range report.Findings {
		if finding.Cluster != "" {
			known++
		}
	}
	require.Equal(t, map[bool]int{true: known, false: len(report.Findings) - known}, counted, "each archive once")
	require.Zero(t, families["lifeboat_verify_success"].GetMetric()[0].GetGauge().GetValue())
}

// normal is a report without the moments at which it was looked.
func normal(r *lifeboat.PlaceReport) *lifeboat.PlaceReport {
	for i := range r.Findings {
		r.Findings[i].Looked, r.Findings[i].Run = time.Time{}, ""
	}
	for i := range r.Clusters {
		r.Clusters[i].Verified = time.Time{}
	}
	return r
}

// The merge of all shards is the run without shards, however often one was
// killed: what has a verdict is not looked at again, and nothing counts twice.
func TestShardsAreTheRun(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 4)
	require.NoError(t, os.Truncate(f.path(f.names[5]), 900))
	now := time.Date(2026, 11, 6, 2, 0, 0, 0, time.UTC)
	how := lifeboat.PlaceOptions{MaxAge: place.Duration{Hours: 26}, Now: now}
	whole, err := lifeboat.VerifyPlace(t.Context(), f.store(t), f.options(), how)
	require.NoError(t, err)

	ledger, err := place.OpenLedger(f.store(t), "nightly-1")
	require.NoError(t, err)
	seen := map[string]bool{}
	for i := range 3 {
		part := how
		part.Ledger, part.Shard = ledger, shard.Shard{Index: i, Of: 3}
		report, err := lifeboat.VerifyPlace(t.Context(), f.store(t), f.options(), part)
		require.NoError(t, err)
		for _, finding := range report.Findings {
			require.False(t, seen[finding.Name], "%s is in two shards", finding.Name)
			seen[finding.Name] = true
		}
		part.Now = now.Add(time.Hour) // the same shard again, as a Job starts it
		again, err := lifeboat.VerifyPlace(t.Context(), f.store(t), f.options(), part)
		require.NoError(t, err)
		require.Equal(t, report.Findings, again.Findings)
	}
	require.Len(t, seen, 12)
	merged, err := lifeboat.MergePlace(t.Context(), f.store(t), f.store(t), "nightly-1", lifeboat.Options{}, how)
	require.NoError(t, err)
	require.Equal(t, normal(whole), normal(merged))
	require.Equal(t, lifeboat.Damaged, lifeboat.ClassOf(merged.Verdict()))

	// One that is replaced, or new, has no verdict: the whole has none.
	f.pack(t, clusterUID(2), 7, f.team, f.names[0])
	merged, err = lifeboat.MergePlace(t.Context(), f.store(t), f.store(t), "nightly-1", lifeboat.Options{}, how)
	require.NoError(t, err)
	require.Equal(t, lifeboat.Failed, lifeboat.ClassOf(merged.Verdict()))
}

// Old archives of a place are no rollback; an old newest one is.
func TestPlaceAgainstThisHost(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 3)
	opts := f.options()
	opts.StateDir = t.TempDir()
	verify := func() lifeboat.State {
		report, err := lifeboat.VerifyPlace(t.Context(), f.store(t), opts, lifeboat.PlaceOptions{})
		require.NoError(t, err)
		for _, check := range report.Clusters[0].Checks {
			if check.Name == "older than before" {
				return check.State()
			}
		}
		return ""
	}
	require.Equal(t, lifeboat.StateGood, verify())
	require.Equal(t, lifeboat.StateGood, verify(), "the older ones are what a place is for")
	require.NoError(t, os.Remove(f.path(f.names[2])))
	require.Equal(t, lifeboat.StateMismatch, verify(), "the newest is gone, and an old one stands for it")
}

// A fork is two histories of one revision.
func TestForkInPlace(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 2)
	fork := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(fork, snapshottest.Spec{Keys: 9, Updates: -1, Deletions: -1, Cluster: clusterUID(0), Seed: 4, Trailer: true})
	require.NoError(t, err)
	x, err := lifeboat.Pack(t.Context(), lifeboat.PackOptions{Snapshot: fork, Recipients: f.team}, lifeboat.Options{})
	require.NoError(t, err)
	defer x.Close()
	var content bytes.Buffer
	_, err = x.Write(t.Context(), &content)
	require.NoError(t, err)
	f.put(t, "fork.tar.gz.age", content.Bytes(), x.Comment())
	report, err := lifeboat.VerifyPlace(t.Context(), f.store(t), f.options(), lifeboat.PlaceOptions{})
	require.NoError(t, err)
	require.False(t, lifeboat.Sound(report.Clusters[0].Checks))
	require.Equal(t, lifeboat.Incomplete, lifeboat.ClassOf(report.Verdict()))
}

// An archive that is replaced between listing and reading has no verdict.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 2)
	report, err := lifeboat.VerifyPlace(t.Context(), &swapped{f.store(t), func() { f.pack(t, clusterUID(0), 5, f.team, f.names[0]) }}, f.options(), lifeboat.PlaceOptions{})
	require.NoError(t, err)
	require.Equal(t, lifeboat.OutcomeFailed, report.Findings[0].Outcome)
	require.Contains(t, report.Findings[0].Reason, "replaced between the listing and the reading")
	require.Equal(t, lifeboat.OutcomeGood, report.Findings[1].Outcome)
	require.Equal(t, lifeboat.Failed, lifeboat.ClassOf(report.Verdict()))
}

// swapped is a place in which something happens after the listing.
type swapped struct {
	place.Store
	after func()
}

func (s *swapped) List(ctx context.Context) ([]place.Entry, error) {
	entries, err := s.Store.List(ctx)
	s.after()
	return entries, err
}

// A re-keyed place verifies with the new key alone, says of itself what the old
// one said, and a killed run is gone on with.
func TestRekeyPlace(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, 3)
	second := filepath.Join(t.TempDir(), "second")
	how := lifeboat.RekeyOptions{Change: crypto.Change{Only: []crypto.Recipient{newKey(t, second)}}, Signer: f.signer}
	copies := &fleet{dir: t.TempDir(), key: second, pubkey: f.pubkey}
	done, err := lifeboat.RekeyPlace(t.Context(), f.store(t), copies.dir, f.options(), how)
	require.NoError(t, err)
	require.NoError(t, lifeboat.RekeyVerdict(done))
	before, err := lifeboat.Catalog(t.Context(), f.store(t), f.options())
	require.NoError(t, err)
	after, err := lifeboat.Catalog(t.Context(), copies.store(t), copies.options())
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for i := range before {
		require.Equal(t, before[i].Name, after[i].Name)
		require.Equal(t, before[i].Revision, after[i].Revision)
		require.Equal(t, before[i].Cluster, after[i].Cluster)
		require.Equal(t, before[i].Time, after[i].Time)
		require.NotEqual(t, before[i].Recipients, after[i].Recipients)
	}
	report, err := lifeboat.VerifyPlace(t.Context(), copies.store(t), copies.options(), lifeboat.PlaceOptions{})
	require.NoError(t, err)
	require.NoError(t, report.Verdict())

	// As after a kill: one copy has no signature yet, one is not there.
	require.NoError(t, os.Remove(copies.path(f.names[0])+lifeboat.SignatureSuffix))
	require.NoError(t, os.Remove(copies.path(f.names[1])))
	require.NoError(t, os.Remove(copies.path(f.names[1])+lifeboat.SignatureSuffix))
	kept, err := os.ReadFile(copies.path(f.names[2]))
	require.NoError(t, err)
	done, err = lifeboat.RekeyPlace(t.Context(), f.store(t), copies.dir, f.options(), how)
	require.NoError(t, err)
	require.NoError(t, lifeboat.RekeyVerdict(done))
	now, err := os.ReadFile(copies.path(f.names[2]))
	require.NoError(t, err)
	require.Equal(t, kept, now)
	report, err = lifeboat.VerifyPlace(t.Context(), copies.store(t), copies.options(), lifeboat.PlaceOptions{})
	require.NoError(t, err)
	require.NoError(t, report.Verdict())
	require.Len(t, report.Findings, 6)

	// A copy that somebody has put in the place of ours is not taken for it, whatever
	// its size is; one without a signature is not signed for standing there.
	mine, err := os.ReadFile(copies.path(f.names[3]))
	require.NoError(t, err)
	hostile := bytes.Clone(mine)
	hostile[len(hostile)-1] ^= 1
	require.NoError(t, os.WriteFile(copies.path(f.names[3]), hostile, 0o600))
	done, err = lifeboat.RekeyPlace(t.Context(), f.store(t), copies.dir, f.options(), how)
	require.NoError(t, err)
	require.Equal(t, lifeboat.Refused, lifeboat.ClassOf(lifeboat.RekeyVerdict(done)))
	require.Contains(t, done[3].Reason, "no re-keyed copy of this one")
	require.NoError(t, os.Remove(copies.path(f.names[3])+lifeboat.SignatureSuffix))
	records, err := filepath.Glob(filepath.Join(copies.dir, ".lifeboat/rekeyed/*/*"))
	require.NoError(t, err)
	for _, path := range records { // which say that it is ours
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var record map[string]string
		require.NoError(t, json.Unmarshal(text, &record))
		if record["name"] == f.names[3] {
			delete(record, "signature")
			record["sha256"] = fmt.Sprintf("%x", sha256.Sum256(hostile))
			text, err = json.Marshal(record)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, text, 0o600))
		}
	}
	done, err = lifeboat.RekeyPlace(t.Context(), f.store(t), copies.dir, f.options(), how)
	require.NoError(t, err)
	require.Equal(t, lifeboat.Refused, lifeboat.ClassOf(lifeboat.RekeyVerdict(done)))
	require.Contains(t, done[3].Reason, "without a signature")
	require.NoFileExists(t, copies.path(f.names[3])+lifeboat.SignatureSuffix)

	// Unsigned ones are known by their sums.
	plain := &fleet{dir: t.TempDir()}
	how.Signer = nil
	for _, want := range []lifeboat.Class{"", "", lifeboat.Refused} {
		done, err = lifeboat.RekeyPlace(t.Context(), f.store(t), plain.dir, f.options(), how)
		require.NoError(t, err)
		require.Equal(t, want, lifeboat.ClassOf(lifeboat.RekeyVerdict(done)))
		text, err := os.ReadFile(plain.path(f.names[0]))
		require.NoError(t, err)
		if done[0].Action == "already there" {
			text[len(text)-1] ^= 1
			require.NoError(t, os.WriteFile(plain.path(f.names[0]), text, 0o600))
		}
	}
}
