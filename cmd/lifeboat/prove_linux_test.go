package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// apiServerPath is this binary under the name of the program that it stands in
// for.
func apiServerPath(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), apiServerName)
	require.NoError(t, os.Symlink(self, path))
	return path
}

// The verb writes the report in all its forms, signs it, records it beside the
// archive, and leaves nothing else.
func TestProveReports(t *testing.T) {
	t.Parallel()
	s, work := newScene(t), t.TempDir()
	sealed := s.create(t, "sealed.tar.gz.age", "-r", s.recipient, "--sign", s.signer)
	source := filepath.Join(work, "sealed.tar.gz.age")
	require.NoError(t, os.Rename(sealed, source))
	require.NoError(t, os.Rename(sealed+".minisig", source+".minisig"))
	to := filepath.Join(work, "proof")
	r := lifeboat("prove", source, "-i", s.identity, "--pubkey", s.signer+".pub", "--kube-apiserver", apiServerPath(t), "--timeout", "1s",
		"--to", to, "--sign", s.signer, "--record")
	require.Equal(t, console.ExitDamaged, r.code, r.stderr)
	require.Contains(t, r.stdout, "sealed.tar.gz.age: the backup cannot start\n")
	require.Contains(t, r.stderr, "the backup cannot start: kube-apiserver is not ready after 1s")
	require.Contains(t, r.stderr, "/etc/kubernetes/extra/authn.yaml is not in the backup")
	require.Equal(t, []string{"proof", "sealed.tar.gz.age", "sealed.tar.gz.age.minisig", "sealed.tar.gz.age.proof.json"}, filesIn(t, work))
	require.Equal(t, []string{"junit.xml", "report.html", "report.json", "report.json.minisig", "report.md"}, filesIn(t, to))

	verifier, err := crypto.ReadVerifier(s.signer + ".pub")
	require.NoError(t, err)
	data := mustRead(t, filepath.Join(to, "report.json"))
	comment, err := verifier.Verify(bytes.NewReader(data), mustRead(t, filepath.Join(to, "report.json.minisig")))
	require.NoError(t, err)
	var report struct{ Source struct{ SHA256 string } }
	require.NoError(t, json.Unmarshal(data, &report))
	require.Equal(t, "proof of sha256 "+report.Source.SHA256+": the backup cannot start", comment)

	r = lifeboat("archive", "catalog", work)
	require.Contains(t, r.stdout, "FAILED "+time.Now().UTC().Format("2006-"), r.stderr)
}

// Interrupted while the server starts, prove leaves nothing and says 130.
func TestProveInterrupted(t *testing.T) {
	t.Parallel()
	work, server := t.TempDir(), apiServerPath(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan console.ExitCode, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- run(ctx, []string{"lifeboat", "prove", harbourArchive, "--kube-apiserver", server, "--work-dir", work}, strings.NewReader(""), &bytes.Buffer{}, &stderr)
	}()
	for len(ended) == 0 {
		if logs, err := filepath.Glob(filepath.Join(work, "*", "*", "proof", "logs", apiServerName+".log")); err != nil || len(logs) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	require.Equal(t, console.ExitInterrupted, <-ended, stderr.String())
	require.Empty(t, filesIn(t, work))
}
