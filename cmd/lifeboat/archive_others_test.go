package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"filippo.io/age"
	"github.com/stretchr/testify/require"
	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// What is made here, age's library, the standard library's gzip and tar,
// minisign's library and etcdutl open.
func TestOthersOpenOurs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := s.create(t, "a.age", "-r", s.recipient, "--sign", s.signer)
	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	public, err := minisign.PublicKeyFromFile(s.signer + ".pub")
	require.NoError(t, err)
	signature, err := os.ReadFile(path + ".minisig")
	require.NoError(t, err)
	require.True(t, minisign.Verify(public, sealed, signature))

	text, err := os.ReadFile(s.identity)
	require.NoError(t, err)
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	plain, err := age.Decrypt(bytes.NewReader(sealed), id)
	require.NoError(t, err)
	unzipped, err := gzip.NewReader(plain)
	require.NoError(t, err)
	files := map[string][]byte{}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		files[h.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
	require.True(t, bytes.Equal(s.backup.snapshot, files["./etcd-backup.snapshot"]))
	for _, f := range s.files {
		require.True(t, bytes.Equal(f.data, files[f.name]), f.name)
	}
	copied := filepath.Join(t.TempDir(), "snapshot")
	require.NoError(t, os.WriteFile(copied, files["./etcd-backup.snapshot"], 0o600))
	status, err := etcdsnapshot.NewV3(zap.NewNop()).Status(copied)
	require.NoError(t, err)
	require.Equal(t, int64(1485), status.Revision)
}
