package etcdproc

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// archivedOf reads flags as the child does.
func archivedOf(t *testing.T, flags map[string]string) (a *archived, dropped []string) {
	t.Helper()
	all := map[string]string{"data-dir": "/var/lib/etcd", "listen-client-urls": "https://127.0.0.1:2379,https://192.0.2.80:2379"}
	for name, value := range flags {
		all[name] = value
	}
	args, env, dropped, err := ArchivedServer(all)
	require.NoError(t, err)
	require.Equal(t, []string{childEnv + "=" + archivedTask}, env)
	a, err = parseArchived(args)
	require.NoError(t, err)
	return a, dropped
}

// The flags of a static Pod mean what they mean to etcd, and those that are not
// followed are named.
func TestArchivedFlags(t *testing.T) {
	t.Parallel()
	a, dropped := archivedOf(t, map[string]string{
		"name": "master-0", "heartbeat-interval": "250", "election-timeout": "2500", "quota-backend-bytes": "8589934592",
		"auto-compaction-retention": "8", "cipher-suites": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		"cert-file": "/pki/server.crt", "client-cert-auth": "true", "client-crl-file": "/pki/clients.crl",
		"peer-cert-file": "/pki/peer.crt", "peer-client-cert-auth": "true", "peer-crl-file": "/pki/peers.crl",
		"initial-cluster": "master-0=https://192.0.2.80:2380", "listen-metrics-urls": "http://127.0.0.1:2381", "metrics": "basic",
	})
	require.Equal(t, []string{"listen-metrics-urls", "metrics"}, dropped)
	require.Len(t, a.listenClient, 2)
	require.Equal(t, "/var/lib/etcd", a.cfg.DataDir)
	require.EqualValues(t, 250, a.cfg.TickMs)
	require.Equal(t, 10, a.cfg.ElectionTicks)
	require.EqualValues(t, 8<<30, a.cfg.QuotaBackendBytes)
	require.Equal(t, 8*time.Hour, a.cfg.AutoCompactionRetention)
	require.True(t, a.cfg.ClientCertAuthEnabled, "authentication by the name in a certificate")
	require.False(t, a.cfg.NewCluster)
	require.Equal(t, "/pki/server.crt", a.client.CertFile)
	require.Equal(t, "/pki/clients.crl", a.client.CRLFile)
	require.Equal(t, a.peer, a.cfg.PeerTLSInfo)
	require.Equal(t, "/pki/peers.crl", a.cfg.PeerTLSInfo.CRLFile)
	require.True(t, a.cfg.PeerTLSInfo.ClientCertAuth)
	require.NotEmpty(t, a.client.CipherSuites)
	require.Equal(t, a.client.CipherSuites, a.peer.CipherSuites)

	for retention, want := range map[string]time.Duration{"90m": 90 * time.Minute, "1": time.Hour} {
		a, _ = archivedOf(t, map[string]string{"auto-compaction-retention": retention})
		require.Equal(t, want, a.cfg.AutoCompactionRetention, retention)
	}
	a, _ = archivedOf(t, map[string]string{"auto-compaction-mode": "revision", "auto-compaction-retention": "1000"})
	require.EqualValues(t, 1000, a.cfg.AutoCompactionRetention, "revisions, not a time")
	require.Equal(t, "default", a.cfg.Name)

	_, err := parseArchived([]string{"--data-dir=/d", "--listen-client-urls=http://127.0.0.1:2379", "--listen-metrics-urls=x"})
	require.ErrorContains(t, err, "is none that this program follows")
	_, err = parseArchived([]string{"--data-dir=/d", "--listen-client-urls=http://127.0.0.1:2379", "--election-timeout=soon"})
	require.ErrorContains(t, err, "--election-timeout")
	_, err = parseArchived([]string{"--data-dir=/d"})
	require.ErrorContains(t, err, "no --data-dir or no --listen-client-urls")
}

// A socket with TLS is one, whatever it listens on.
func TestArchivedTLS(t *testing.T) {
	t.Parallel()
	a, _ := archivedOf(t, map[string]string{"cert-file": "/pki/server.crt"})
	for scheme, want := range map[string]bool{"https": true, "unixs": true, "http": false, "unix": false} {
		require.Equal(t, want, tlsOf(scheme, &a.client) != nil, scheme)
	}
}

// What a copy of a data dir holds is what the data dir holds, zeros at its end
// and in its middle too.
func TestCopySparseKeepsEveryByte(t *testing.T) {
	t.Parallel()
	const block = 256 << 10
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	data := map[string][]byte{
		"empty":               {},
		"zeros":               make([]byte, 3*block+5),
		"zeros at the end":    append([]byte("page"), make([]byte, 2*block)...),
		"zeros first":         append(make([]byte, block), "page"...),
		"zeros, then a byte":  append(make([]byte, block-1), 7),
		"zeros in the middle": append(append([]byte("page"), make([]byte, 3*block)...), "page"...),
	}
	require.NoError(t, os.Mkdir(filepath.Join(from, "wal"), 0o755))
	for name, text := range data {
		require.NoError(t, os.WriteFile(filepath.Join(from, "wal", name), text, 0o644))
	}
	require.NoError(t, copyTree(t.Context(), from, to))
	for name, text := range data {
		path := filepath.Join(to, "wal", name)
		copied, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, len(text), len(copied), name)
		require.True(t, string(text) == string(copied), name)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it is plaintext")
	}
	info, err := os.Stat(filepath.Join(to, "wal"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

// A start may take as long as a slow disk needs for its size.
func TestStartLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2*time.Minute, startLimit(0))
	require.Equal(t, 2*time.Minute+800*time.Second, startLimit(8e9))
}

// A name becomes a host in a URL and a folder: nothing leads out of that.
func TestNamesOfMembers(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"m1": true, "n-2": true, "": false, "..": false, "a/b": false, "A": false, "a:1": false, clientHost: false,
		"012345678901234567890123456789012": false,
	} {
		require.Equal(t, ok, checkName(name) == nil, "%q", name)
	}
}

// Settings of another etcd on this machine, and proxies, do not reach a child.
func TestEnvironOfAChild(t *testing.T) {
	t.Setenv("ETCD_VERIFY", "all")
	t.Setenv("ETCD_DATA_DIR", "/var/lib/etcd")
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
	t.Setenv("no_proxy", "x")
	t.Setenv("LIFEBOAT_TEST_KEPT", "1")
	require.Contains(t, childEnviron(), "LIFEBOAT_TEST_KEPT=1")
	require.Contains(t, childEnviron(), "HTTPS_PROXY=http://192.0.2.1:3128")
	for _, v := range append(childEnviron(), memberEnviron()...) {
		require.NotContains(t, v, "ETCD_VERIFY=")
		require.NotContains(t, v, "ETCD_DATA_DIR=")
	}
	for _, v := range memberEnviron() {
		require.NotContains(t, v, "_PROXY=")
		require.NotContains(t, v, "_proxy=")
	}
}

// Only a folder that this user made for itself alone is one of ours to remove.
func TestOwnFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lifeboat-etcd-1.part")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.True(t, isOurs(dir))
	require.NoError(t, os.Chmod(dir, 0o750))
	require.False(t, isOurs(dir), "others may look into it")
	require.NoError(t, os.Chmod(dir, 0o700))
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, 65534, -1))
		require.False(t, isOurs(dir), "it is another user's")
		require.NoError(t, os.Chown(dir, 0, -1))
	}
	outside := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, ownerFile)))
	_, err := lockScratch(dir, 0)
	require.Error(t, err, "the owner file is a link to somewhere else")
	require.NoError(t, os.Remove(filepath.Join(dir, ownerFile)))
	link := filepath.Join(filepath.Dir(dir), "lifeboat-etcd-2.part")
	require.NoError(t, os.Symlink(dir, link))
	require.False(t, isOurs(link))
}
