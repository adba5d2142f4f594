package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// fleet is a place with the nightly archives of several clusters, and what is
// true of each.
type fleet struct {
	*scene
	place string
	truth map[string]string // outcome by name
}

// newFleet packs it. Of every hundred archives one is damaged, in eight ways by
// turns, one is another cluster's under the name of its own, and one is locked with another key; of a
// few, one each.
func newFleet(t *testing.T, clusters, nights int) *fleet {
	t.Helper()
	f := &fleet{scene: newScene(t), truth: map[string]string{}}
	f.place = filepath.Join(f.dir, "fleet")
	require.NoError(t, os.Mkdir(f.place, 0o700))
	stranger, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	every := min(100, clusters*nights-1)
	for i := range clusters * nights {
		cluster, recipient, outcome := i/nights, f.recipient, "good"
		name := fmt.Sprintf("%s-202611%02dT020000Z.tar.gz.age", f.cluster(cluster)[:8], i%nights+1)
		switch i % every {
		case 1:
			outcome = "BAD"
		case 2:
			cluster, outcome = (cluster+1)%clusters, "MISMATCH"
		case 3:
			recipient, outcome = stranger.Recipient().String(), "no key"
		}
		f.pack(t, name, f.cluster(cluster), i%nights, recipient)
		if outcome == "BAD" {
			damage(t, filepath.Join(f.place, name), i/every)
		}
		f.truth[name] = outcome
	}
	return f
}

// damage does harm to an archive, in the eight ways by turns.
func damage(t *testing.T, path string, turn int) {
	t.Helper()
	data := mustRead(t, path)
	at := rand.IntN(len(data))
	switch turn % 8 {
	case 0:
		data = data[:at]
	case 1:
		data = data[:len(data)-1]
	case 2:
		data = nil
	case 3:
		data[at] ^= 1 << rand.IntN(8)
	case 4: // a block that the disk has lost
		copy(data[at:], bytes.Repeat([]byte{0xff}, 512))
	case 5:
		data = append(data, data[:512]...)
	case 6: // two blocks that stand in each other's place
		half := len(data) / 2
		data = append(append([]byte(nil), data[half:]...), data[:half]...)
	case 7:
		data = []byte("<html>503 Service Unavailable</html>")
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func (f *fleet) cluster(i int) string {
	return fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%012x", 0x10000000+i*7919, i)
}

func (f *fleet) pack(t *testing.T, name, cluster string, night int, recipient string) {
	t.Helper()
	db := filepath.Join(f.dir, "db")
	_, err := snapshottest.Generate(db, snapshottest.Spec{Keys: 8 + night, Updates: -1, Deletions: -1, Cluster: cluster, Trailer: true})
	require.NoError(t, err)
	r := lifeboat("archive", "create", "--snapshot", db, "-r", recipient, "--sign", f.signer, "--no-verify", "--to", filepath.Join(f.place, name))
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.NoError(t, os.Remove(db))
}

// job is a CronJob of deploy/: its arguments as a Pod of the Job name gets them.
func (f *fleet) job(t *testing.T, manifest, name string, shards int) (args []string, completions int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../deploy", manifest))
	require.NoError(t, err)
	var cron batchv1.CronJob
	require.NoError(t, yaml.UnmarshalStrict(data, &cron))
	spec := cron.Spec.JobTemplate.Spec
	if spec.Completions != nil {
		completions = int(*spec.Completions)
	}
	shards = min(shards, completions)
	said := strings.NewReplacer("$(PLACE)", f.place, "$(RUN)", name, "/keys/recovery.key", f.identity, "/keys/backup.pub", f.signer+".pub",
		fmt.Sprintf("--shards=%d", completions), fmt.Sprintf("--shards=%d", shards))
	for _, arg := range spec.Template.Spec.Containers[0].Args {
		args = append(args, said.Replace(arg))
	}
	return args, shards
}

// outcomes runs a command to its end, which is that something is damaged, and
// gives what it says of each archive.
func (f *fleet) outcomes(t *testing.T, args ...string) map[string]string {
	t.Helper()
	cmd := self(t, append(args, "-o", "json")...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	var said bytes.Buffer
	cmd.Stderr = &said
	output, _ := cmd.Output() // the code says it
	require.Equal(t, int(console.ExitDamaged), cmd.ProcessState.ExitCode(), said.String())
	return verdicts(t, output)
}

// worker is a Pod of an Indexed Job, killed at random moments and started again
// as the Job controller does: exit codes 3 to 6 end the index, 0 too.
func (f *fleet) worker(t *testing.T, index int, args []string, kills *atomic.Int64) {
	for try := range 200 {
		cmd := self(t, args...)
		var said bytes.Buffer
		cmd.Stderr = &said
		cmd.Env = append(os.Environ(), fmt.Sprint("JOB_COMPLETION_INDEX=", index), "XDG_STATE_HOME="+t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		timer := time.AfterFunc(time.Duration(100+rand.IntN(600+400*try))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // the code says it
		timer.Stop()
		switch code := cmd.ProcessState.ExitCode(); {
		case code == 0 || code >= 3 && code <= 6:
			return
		case code == -1:
			kills.Add(1)
		default:
			t.Errorf("shard %d exits with %d: %s", index, code, said.String())
			return
		}
	}
	t.Errorf("shard %d does not come to an end", index)
}

// verdicts are the outcomes in JSON that a command prints, each archive once.
func verdicts(t *testing.T, output []byte) map[string]string {
	t.Helper()
	var report struct {
		Items []struct{ Name, Outcome string }
	}
	require.NoError(t, json.Unmarshal(output, &report))
	found := map[string]string{}
	for _, item := range report.Items {
		require.NotContains(t, found, item.Name, "it is there twice")
		found[item.Name] = item.Outcome
	}
	return found
}

// The Jobs of deploy/, with their own arguments, over a fleet with damage,
// archives of other clusters and such as are locked, their Pods killed at random:
// every archive is told for what it is, none is skipped or counted twice, and the
// merge is the run of one host.
func TestFleetOfWorkers(t *testing.T) {
	t.Parallel()
	clusters, nights := min(4*soak, 40), min(3*soak, 30)
	f := newFleet(t, clusters, nights)
	require.Equal(t, f.truth, f.outcomes(t, "archive", "verify", f.place, "-i", f.identity, "--pubkey", f.signer+".pub"))

	args, shards := f.job(t, "verify.yaml", "night-1", 2*soak)
	var kills atomic.Int64
	var wait sync.WaitGroup
	for index := range shards {
		wait.Go(func() { f.worker(t, index, args, &kills) })
	}
	wait.Wait()
	require.False(t, t.Failed())
	records, err := filepath.Glob(filepath.Join(f.place, ".lifeboat/verified/night-1/*.json")) // a kill may leave NAME.json.part beside one
	require.NoError(t, err)
	require.Len(t, records, len(f.truth), "a record for each archive")
	args, _ = f.job(t, "merge.yaml", "merge-1", 0)
	require.Equal(t, f.truth, f.outcomes(t, args...))
	t.Logf("%d archives, %d workers, killed %d times", len(f.truth), shards, kills.Load())
}
