package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	signature, err := os.ReadFile(path + signatureSuffix)
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

// No command of the families opens a socket that could reach anybody. (etcd's
// embed package asks the kernel for the default route when it is linked, over
// a netlink socket: etcd client/pkg/netutil.)
func TestArchiveOpensNoSocket(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace on this host")
	}
	s := newScene(t)
	sealed := s.create(t, "a.age", "-r", s.recipient, "--sign", s.signer)
	for i, args := range [][]string{
		{"archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient, "--sign", s.signer, "--to", filepath.Join(s.dir, "b.age")},
		{"archive", "unpack", sealed, "-i", s.identity, "--to", filepath.Join(s.dir, "out")},
		{"archive", "rekey", sealed, "-i", s.identity, "--add", s.recipient, "--to", filepath.Join(s.dir, "c.age")},
		{"key", "generate", "--to", filepath.Join(s.dir, "key")},
	} {
		cmd := self(t, args...)
		trace := filepath.Join(s.dir, "trace"+strconv.Itoa(i))
		cmd.Args = append([]string{"strace", "-f", "-qq", "-e", "trace=socket,connect,bind", "-o", trace}, cmd.Args...)
		cmd.Path, _ = exec.LookPath("strace")
		output, err := cmd.CombinedOutput()
		if err != nil && strings.Contains(string(output), "ptrace") {
			t.Skip("this host lets nobody trace")
		}
		require.NoError(t, err, string(output))
		calls, err := os.ReadFile(trace)
		require.NoError(t, err)
		for call := range strings.Lines(string(calls)) {
			if strings.Contains(call, "socket(") {
				require.Contains(t, call, "AF_NETLINK", "%q", args)
			}
			require.NotContains(t, call, "connect(", "%q", args)
		}
	}
}
