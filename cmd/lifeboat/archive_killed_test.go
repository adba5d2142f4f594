package main

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// Every writing command, killed at random moments: what stood beside the target
// is as it was, the target is whole or not there, all that can be left is its
// own part, for nobody else to read, and the next run names and removes that.
func TestArchiveKilled(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.NoError(t, os.Remove(s.snapshot))
	_, err := snapshottest.Generate(s.snapshot, snapshottest.Spec{Keys: 12_000, Trailer: true}) // 34 MB
	require.NoError(t, err)
	sealed := s.create(t, "a.age", "-r", s.recipient, "--compress", "none")
	for name, args := range map[string][]string{
		"create":  {"create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient},
		"encrypt": {"encrypt", s.snapshot, "-r", s.recipient},
		"decrypt": {"decrypt", sealed, "-i", s.identity},
		"rekey":   {"rekey", sealed, "-i", s.identity, "--add", s.recipient},
		"rotate":  {"rekey", sealed, "-i", s.identity, "--rotate", "-R", recipientFile(t, s)},
		"unpack":  {"unpack", sealed, "-i", s.identity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			old, target := filepath.Join(dir, "yesterday"), filepath.Join(dir, "out")
			require.NoError(t, os.WriteFile(old, []byte("yesterday's archive"), 0o600))
			part := target + ".part"
			args := append(append([]string{"archive"}, args...), "--to", target)
			left := 0
			for round := 0; round < 2*soak || left == 0 && round < 100; round++ {
				require.NoError(t, os.RemoveAll(target))
				had := exists(t, part)
				killAtRandom(t, part, args)
				if exists(t, part) {
					left++
					requirePrivate(t, part)
				}
				if had && exists(t, target) {
					require.False(t, exists(t, part), "the part of the run before stayed")
				}
				if exists(t, target) {
					requireWhole(t, name, target, s)
				}
				require.Equal(t, "yesterday's archive", string(mustRead(t, old)))
			}
			require.Positive(t, left, "no run was killed while it wrote")
			require.NoError(t, os.RemoveAll(target))
			had := exists(t, part)
			r := lifeboat(args...)
			require.Equal(t, console.ExitDone, r.code, r.stderr)
			if had {
				require.Contains(t, r.stderr, filepath.Base(part)+`", which a killed run had left`)
			}
			requireWhole(t, name, target, s)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 2)
		})
	}
}

// killAtRandom runs the command and kills it: at any moment, or at any moment
// after it began to write.
func killAtRandom(t testing.TB, part string, args []string) {
	t.Helper()
	cmd := self(t, args...)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // killed, as a rule
	if rand.IntN(2) == 0 {
		for !exists(t, part) {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
		time.Sleep(rand.N(20 * time.Millisecond))
	} else {
		time.Sleep(rand.N(400 * time.Millisecond))
	}
	_ = cmd.Process.Kill() // it may have ended by itself
	<-ended
}

func exists(t testing.TB, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	return err == nil
}

// requirePrivate: plaintext may stand in a part, where the target would be.
func requirePrivate(t testing.TB, part string) {
	t.Helper()
	info, err := os.Lstat(part)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
}

func requireWhole(t testing.TB, verb, target string, s *scene) {
	t.Helper()
	switch verb {
	case "decrypt":
		require.Equal(t, console.ExitDone, lifeboat("archive", "list", target).code)
	case "unpack":
		require.Equal(t, mustRead(t, s.snapshot), mustRead(t, filepath.Join(target, "etcd-backup.snapshot")))
		require.FileExists(t, filepath.Join(target, "MANIFEST.json"))
	case "encrypt":
		out := filepath.Join(t.TempDir(), "plain")
		require.Equal(t, console.ExitDone, lifeboat("archive", "decrypt", target, "-i", s.identity, "--to", out).code)
		require.Equal(t, mustRead(t, s.snapshot), mustRead(t, out))
	default:
		require.Equal(t, console.ExitDone, lifeboat("archive", "list", target, "-i", s.identity).code)
	}
}
