package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// upgradeCopy is where `kubeadm upgrade` leaves a copy of etcd's database
// (kubernetes cmd/kubeadm/app/phases/upgrade/staticpods.go).
const upgradeCopy = "kubernetes/tmp/kubeadm-backup-etcd-2026-03-01-10-20-30/etcd/member/snap/db"

// A host that was upgraded by kubeadm: its backup is read, in any order, and
// the copy is never taken for the snapshot that stands beside it.
func TestUpgradedHost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	bare := s.backup.snapshot[:len(s.backup.snapshot)-sha256.Size] // the trailer tells the two apart
	snapshot, old := entry{name: "./etcd-backup.snapshot", data: s.backup.snapshot}, entry{name: "./" + upgradeCopy, data: bare}
	for name, c := range map[string]struct {
		entries []entry
		code    console.ExitCode // of verify
		words   string
	}{
		"snapshot first": {append(append([]entry{snapshot}, s.files...), old), console.ExitDone, `sha256 trailer +good`},
		"copy first":     {append(append([]entry{old}, s.files...), snapshot), console.ExitDone, `sha256 trailer +good`},
		"copy alone":     {append([]entry{old}, s.files...), console.ExitIncomplete, `snapshot +MISMATCH +there is none: the only etcd database is "` + upgradeCopy},
	} {
		path := filepath.Join(t.TempDir(), "kube-backup.tar.gz")
		require.NoError(t, os.WriteFile(path, gzipOf(t, tarOf(t, c.entries...)), 0o600))
		r := lifeboat("archive", "verify", path)
		require.Equal(t, c.code, r.code, "%s: %s%s", name, r.stdout, r.stderr)
		require.Regexp(t, c.words, r.stdout, name)
		require.Contains(t, r.stdout+r.stderr, upgradeCopy, name)
		r = lifeboat("inspect", path)
		require.Equal(t, console.ExitDone, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stdout, upgradeCopy, name)
		r = lifeboat("get", path, "namespaces", "-o", "name")
		require.Equal(t, console.ExitDone, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stdout, "namespace/infra-production", name)
		r = lifeboat("extract", path, "-n", "infra-production", "--to", filepath.Join(t.TempDir(), "out"))
		require.Equal(t, console.ExitDone, r.code, "%s: %s", name, r.stderr)
	}

	two := entry{name: "./kubernetes/tmp/kubeadm-backup-etcd-2025-03-01-10-20-30/etcd/member/snap/db", data: bare}
	failed := entry{name: "./etcd-backup.snapshot"} // `etcdctl snapshot save` met a full disk
	for code, entries := range map[console.ExitCode][]entry{console.ExitRefused: {old, two}, console.ExitDamaged: {old, failed}} {
		path := filepath.Join(t.TempDir(), "kube-backup.tar.gz")
		require.NoError(t, os.WriteFile(path, gzipOf(t, tarOf(t, entries...)), 0o600))
		r := lifeboat("get", path, "ns")
		require.Equal(t, code, r.code, r.stderr)
		require.Contains(t, r.stderr, upgradeCopy)
	}
}

// What create makes on such a host, its own next command reads.
func TestCreateOnUpgradedHost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := filepath.Join(s.dir, filepath.FromSlash(upgradeCopy))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, s.backup.snapshot[:len(s.backup.snapshot)-sha256.Size], 0o600))
	made := filepath.Join(s.dir, "made.tar.gz")
	r := lifeboat("archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "--to", made)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stderr, upgradeCopy)
	r = lifeboat("archive", "verify", made)
	require.Equal(t, console.ExitDone, r.code, "%s%s", r.stdout, r.stderr)
	require.Regexp(t, `snapshot +note +"`+upgradeCopy, r.stdout)
	require.Regexp(t, `etcd hash +good`, r.stdout)
}

// The keys of a KMS are never in a backup: nothing is wrong with it, and what
// opens the values is said.
func TestClusterWithKMS(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	db := s.backup.snapshot[:len(s.backup.snapshot)-sha256.Size]
	old, sealed := []byte("k8s:enc:secretbox:v1:key1:"), []byte("k8s:enc:kms:v1:vault-2026:")
	require.Len(t, sealed, len(old))
	require.True(t, bytes.Contains(db, old))
	db = bytes.ReplaceAll(db, old, sealed)
	sum := sha256.Sum256(db)
	require.NoError(t, os.WriteFile(s.snapshot, append(db, sum[:]...), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.kubernetes, "encryption.yaml"), []byte(`apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - kms: {name: vault-2026, endpoint: unix:///run/kms.sock}
  - identity: {}
`), 0o600))
	r := lifeboat("archive", "verify", s.create(t, "kms.tar.gz"))
	require.Equal(t, console.ExitDone, r.code, "%s%s", r.stdout, r.stderr)
	require.Regexp(t, `encryption keys +not checked +6 values are locked by kms v1 provider "vault-2026": only that KMS opens them`, r.stdout)
}

// kubespray keeps the PKI in /etc/kubernetes/ssl, and pki is a link to it.
func TestLinkedPKI(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.NoError(t, os.Rename(filepath.Join(s.kubernetes, "pki"), filepath.Join(s.kubernetes, "ssl")))
	require.NoError(t, os.Symlink("/etc/kubernetes/ssl", filepath.Join(s.kubernetes, "pki")))
	made := s.create(t, "made.tar.gz")
	hand := filepath.Join(s.dir, "hand.tar.gz")
	tarred, err := exec.Command("tar", "-C", s.dir, "-czf", hand, "etcd.snapshot", "kubernetes").CombinedOutput()
	require.NoError(t, err, "%s", tarred)
	for _, path := range []string{made, hand} {
		r := lifeboat("archive", "verify", path)
		require.Equal(t, console.ExitDone, r.code, "%s%s", r.stdout, r.stderr)
		require.Regexp(t, `cluster CA +good`, r.stdout)
		require.Regexp(t, `token key +good`, r.stdout)

		to := filepath.Join(t.TempDir(), "pki")
		r = lifeboat("archive", "unpack", path, "kubernetes/pki", "--to", to)
		require.Equal(t, console.ExitIncomplete, r.code, r.stderr)
		require.Contains(t, r.stderr, `that is "kubernetes/ssl" in the archive`)
		require.NoFileExists(t, to)
		r = lifeboat("archive", "unpack", path, "kubernetes/pki", "kubernetes/ssl", "--to", to)
		require.Equal(t, console.ExitIncomplete, r.code, r.stderr)
		require.FileExists(t, filepath.Join(to, "kubernetes", "ssl", "ca.key"))
	}
	to := filepath.Join(t.TempDir(), "all")
	r := lifeboat("archive", "unpack", made, "--links", "--to", to)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.FileExists(t, filepath.Join(to, "kubernetes", "pki", "ca.key"))
}

// An archive without the CA's key is no night's work well done.
func TestCreateSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *scene) error
		code   console.ExitCode
		words  string
	}{
		"pki elsewhere": {func(s *scene) error {
			return errors.Join(os.Rename(filepath.Join(s.kubernetes, "pki"), filepath.Join(s.dir, "k8s-pki")), os.Symlink(filepath.Join(s.dir, "k8s-pki"), filepath.Join(s.kubernetes, "pki")))
		}, console.ExitIncomplete, "what it leads to is not"},
		"one key elsewhere": {func(s *scene) error {
			return errors.Join(os.Rename(filepath.Join(s.kubernetes, "pki", "ca.key"), filepath.Join(s.dir, "ca.key")), os.Symlink("../../ca.key", filepath.Join(s.kubernetes, "pki", "ca.key")))
		}, console.ExitIncomplete, `"kubernetes/pki/ca.key" leads out of the folder`},
		"no pki":       {func(s *scene) error { return os.RemoveAll(filepath.Join(s.kubernetes, "pki")) }, console.ExitIncomplete, "there is no pki"},
		"no manifests": {func(s *scene) error { return os.RemoveAll(filepath.Join(s.kubernetes, "manifests")) }, console.ExitIncomplete, "there is no manifests"},
		"an old link":  {func(s *scene) error { return os.Symlink("nothing", filepath.Join(s.kubernetes, "old")) }, console.ExitDone, "and nothing is there"},
	} {
		s := newScene(t)
		require.NoError(t, c.change(s), name)
		to := filepath.Join(s.dir, "made.tar.gz")
		r := lifeboat("archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "--to", to)
		require.Equal(t, c.code, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stderr, c.words, name)
		require.Contains(t, r.stdout, "read back whole", name)
		require.FileExists(t, to, name)
	}
}
