package proof_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// BenchmarkProve proves harbour, and a generated database of LIFEBOAT_BENCH_KEYS
// keys (100000) under harbour's control plane, with the kube-apiserver that
// LIFEBOAT_KUBE_APISERVER names (make bench builds one): from the archive to the
// verdict.
func BenchmarkProve(b *testing.B) {
	server := os.Getenv("LIFEBOAT_KUBE_APISERVER")
	if server == "" {
		b.Skip("LIFEBOAT_KUBE_APISERVER names no kube-apiserver")
	}
	const harbour = "../../testdata/harbour/kube-backup.tar.gz"
	b.Run("harbour", func(b *testing.B) { benchmarkProve(b, server, harbour) })
	keys := 100_000
	if text := os.Getenv("LIFEBOAT_BENCH_KEYS"); text != "" {
		var err error
		keys, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	large := filepath.Join(b.TempDir(), "kube-backup.tar")
	require.NoError(b, largeBackup(large, harbour, keys))
	b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { benchmarkProve(b, server, large) })
}

func benchmarkProve(b *testing.B, server, source string) {
	b.Helper()
	for b.Loop() {
		src, err := lifeboat.Open(b.Context(), source, lifeboat.Options{})
		require.NoError(b, err)
		r, err := proof.Run(b.Context(), src, proof.Options{Dir: b.TempDir(), ReissueExpired: true, APIServer: proof.Binary{Path: server}})
		require.NoError(b, err)
		require.NotEqual(b, proof.CannotStart, r.Verdict, r.Reason)
		b.ReportMetric(r.Recovery().Seconds(), "s/ready")
		for _, step := range r.Steps {
			b.Logf("%-45s %6.2f s %s", step.Name, step.Took.Seconds(), step.Detail)
		}
		require.NoError(b, src.Close())
	}
}

// largeBackup packs the kubernetes/ of an archive with a generated snapshot.
func largeBackup(to, from string, keys int) error {
	db := to + ".db"
	if _, err := snapshottest.Generate(db, snapshottest.Spec{Keys: keys}); err != nil {
		return err
	}
	if err := snapshottest.AppendTrailer(db); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = errors.Join(packFile(w, "./etcd-backup.snapshot", db), packControlPlane(w, from), w.Close(), out.Close())
	return errors.Join(err, os.Remove(db))
}

func packFile(w *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

func packControlPlane(w *tar.Writer, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || !strings.HasPrefix(header.Name, "./kubernetes/") {
			continue
		}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}
