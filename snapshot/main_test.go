package snapshot_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// check is rapid.Check, LIFEBOAT_SOAK times over.
func check(t *testing.T, prop func(*rapid.T)) {
	t.Helper()
	factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK"))
	if err != nil {
		factor = 1
	}
	for range factor {
		rapid.Check(t, prop)
	}
}

// harbour unpacks the snapshot of a real control plane's backup.
func harbour(t testing.TB) string {
	t.Helper()
	f, err := os.Open("../testdata/harbour/kube-backup.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	require.NoError(t, err)
	for entries := tar.NewReader(unpacked); ; {
		entry, err := entries.Next()
		require.NoError(t, err, "no snapshot in the backup")
		if filepath.Base(entry.Name) != "etcd-backup.snapshot" {
			continue
		}
		data, err := io.ReadAll(entries)
		require.NoError(t, err)
		return write(t, data)
	}
}

// generate makes a database of about this many keys.
func generate(t testing.TB, keys int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generated")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: keys, Trailer: true})
	require.NoError(t, err)
	return path
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func open(t testing.TB, path string) *snapshot.DB {
	t.Helper()
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// readAll asks a database everything it can be asked.
func readAll(t testing.TB, db *snapshot.DB) error {
	var errs []error
	var bytes int
	for kv, err := range db.At(t.Context(), 0, nil) {
		errs = append(errs, err)
		for _, b := range kv.Value {
			bytes += int(b)
		}
	}
	_, err := db.HashKV(t.Context(), 0)
	errs = append(errs, err)
	_, err = db.Info(t.Context())
	errs = append(errs, err)
	_, _, err = db.Members()
	errs = append(errs, err)
	_, err = db.Alarms()
	errs = append(errs, err)
	_, err = db.Check(t.Context())
	return errors.Join(append(errs, err)...)
}

// fingerprint is what must not change about a source.
type fingerprint struct {
	sum      [32]byte
	modified time.Time
	mode     os.FileMode
}

func fingerprintOf(t testing.TB, path string) fingerprint {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	return fingerprint{sha256.Sum256(data), info.ModTime(), info.Mode()}
}
