package buckets

import (
	"bytes"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Workers of an Indexed Job are killed at random moments and started again, as
// the Job controller would: no archive is skipped, none counts twice, and the
// merge says what one run over the whole place says.
func TestWorkersKilled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir, first := scene(t, s)
	const archives, shards = 24, 3
	for i := range archives {
		name := fmt.Sprintf("night-%02d.tar.gz.age", i)
		content, err := os.ReadFile(filepath.Join(dir, first))
		must(t, err)
		if i == 7 {
			content = content[:len(content)-100]
		}
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		s.run(t, dir, 0, "archive", "push", name, "--to", "s3://backups/fleet")
	}
	var whole, merged struct {
		Items []struct{ Name, Outcome string }
	}
	verify := []string{"archive", "verify", "s3://backups/fleet", "-i", "key", "-o", "json"}
	read(t, s, dir, &whole, verify...)
	for round := range 2 * soak(t) {
		run := fmt.Sprint("nightly-", round)
		var wait sync.WaitGroup
		for index := range shards {
			wait.Go(func() { s.worker(t, dir, index, append(verify, "--run", run, "--shards", fmt.Sprint(shards))) })
		}
		wait.Wait()
		read(t, s, dir, &merged, "archive", "ledger", "merge", "s3://backups/fleet", "--run", run, "-o", "json")
		if len(merged.Items) != archives || fmt.Sprint(merged) != fmt.Sprint(whole) {
			t.Fatalf("round %d: merged %v, and the run without shards is %v", round, merged, whole)
		}
	}
}

// worker runs a shard until it has a verdict, as a Job does: exit codes 0 and 3
// to 6 are final.
func (s *store) worker(t *testing.T, dir string, index int, args []string) {
	var said bytes.Buffer
	for try := range 50 {
		said.Reset()
		cmd := s.lifeboat(t.Context(), dir, args...)
		cmd.Env = append(cmd.Env, fmt.Sprint("JOB_COMPLETION_INDEX=", index))
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(time.Duration(50+mathrand.IntN(1500+500*try)) * time.Millisecond):
			cmd.Process.Signal(syscall.SIGKILL)
			<-ended
		}
		if code := cmd.ProcessState.ExitCode(); code == 0 || code >= 3 && code <= 6 {
			return
		}
	}
	t.Errorf("shard %d does not come to an end: %s", index, said.String())
}

// read runs a command for the JSON that it prints, whatever its verdict is.
func read(t *testing.T, s *store, dir string, into any, args ...string) {
	t.Helper()
	output, _ := s.lifeboat(t.Context(), dir, args...).Output()
	must(t, json.Unmarshal(output, into))
}
