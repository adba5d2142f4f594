package oracle

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// run runs the program and requires its exit code.
func (l lifeboat) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.Command(l.binary, args...)
	output, _ := cmd.CombinedOutput()
	require.NotNil(t, cmd.ProcessState, "%s", output)
	require.Equal(t, code, cmd.ProcessState.ExitCode(), "%q: %s", args, output)
	return string(output)
}

// unpacked is harbour in a folder, to be changed and packed again.
func unpacked(t *testing.T) string { return unpackedFrom(t, harbour) }

func unpackedFrom(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	output, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput()
	require.NoError(t, err, "%s", output)
	return dir
}

// packed is a folder as kube-backup archives are, packed by tar.
func packed(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kube-backup.tar.gz")
	output, err := exec.Command("tar", "-czf", path, "-C", dir, ".").CombinedOutput()
	require.NoError(t, err, "%s", output)
	return path
}

// changedHarbour is harbour with a snapshot to which something was written, by
// etcd itself.
func (l lifeboat) changedHarbour(t *testing.T, change func(ctx context.Context, etcd *clientv3.Client)) string {
	t.Helper()
	return l.changed(t, harbour, change)
}

// changed is changedHarbour of another archive of that host.
func (l lifeboat) changed(t *testing.T, archive string, change func(ctx context.Context, etcd *clientv3.Client)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	data := filepath.Join(t.TempDir(), "etcd")
	l.run(t, 0, "etcd", "restore", archive, "--to", data, "--no-boot-check")
	config := embed.NewConfig()
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.Name, config.Dir, config.UnsafeNoFsync = "master-0", data, true
	config.ListenClientUrls, config.AdvertiseClientUrls, config.ListenPeerUrls = any, any, any
	config.AdvertisePeerUrls = []url.URL{{Scheme: "https", Host: "192.168.199.80:2380"}}
	config.InitialCluster = "master-0=https://192.168.199.80:2380"
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(config)
	require.NoError(t, err)
	defer server.Close()
	<-server.Server.ReadyNotify()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + server.Clients[0].Addr().String()}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer client.Close()
	change(ctx, client)
	stream, err := client.Snapshot(ctx)
	require.NoError(t, err)
	defer stream.Close()
	dir := unpackedFrom(t, archive)
	file, err := os.Create(filepath.Join(dir, "etcd-backup.snapshot"))
	require.NoError(t, err)
	_, err = io.Copy(file, stream)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return packed(t, dir)
}

// TestProveOtherForms: encrypted and signed, and a data dir before it goes live.
func TestProveOtherForms(t *testing.T) {
	program, work := findLifeboat(t), t.TempDir()
	at := func(name string) string { return filepath.Join(work, name) }
	output := program.run(t, 0, "key", "generate", "--to", at("id"))
	recipient := regexp.MustCompile(`age1[0-9a-z]+`).FindString(output)
	program.run(t, 0, "key", "generate", "--sign", "--to", at("sign.key"))
	dir := unpacked(t)
	program.run(t, 0, "archive", "create", "--snapshot", filepath.Join(dir, "etcd-backup.snapshot"), "--kubernetes", filepath.Join(dir, "kubernetes"),
		"-r", recipient, "--sign", at("sign.key"), "--to", at("signed.tar.gz.age"))
	r, code := program.prove(t, at("signed.tar.gz.age"), "-i", at("id"), "--pubkey", at("sign.key.pub"), "--sign", at("sign.key"))
	require.Equal(t, 0, code, r.Reason)
	require.Empty(t, r.Differing)

	program.run(t, 0, "etcd", "restore", harbour, "--to", at("etcd"))
	r, code = program.prove(t, harbour, "--data-dir", at("etcd"))
	require.Equal(t, 0, code, r.Reason)
	require.Empty(t, r.Missing)
	require.Empty(t, r.Differing)
}

// tearConfigMap writes an object that nobody can read.
func tearConfigMap(t *testing.T) func(context.Context, *clientv3.Client) {
	return func(ctx context.Context, etcd *clientv3.Client) {
		_, err := etcd.Put(ctx, "/registry/configmaps/infra-production/torn", "k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\xff\xff")
		require.NoError(t, err)
	}
}

// lockKind writes a kind again as if it were encrypted with a key that is not there.
func lockKind(t *testing.T, kind string) func(context.Context, *clientv3.Client) {
	return func(ctx context.Context, etcd *clientv3.Client) {
		found, err := etcd.Get(ctx, "/registry/"+kind+"/", clientv3.WithPrefix())
		require.NoError(t, err)
		require.NotEmpty(t, found.Kvs)
		for _, kv := range found.Kvs {
			_, err := etcd.Put(ctx, string(kv.Key), "k8s:enc:secretbox:v1:lost:"+string(kv.Value))
			require.NoError(t, err)
		}
	}
}

// TestProveDamaged: one object that nobody can read, one kind that is locked
// with a key that is not there. The API server says which.
func TestProveDamaged(t *testing.T) {
	program := findLifeboat(t)
	source := program.changedHarbour(t, tearConfigMap(t))
	r, code := program.prove(t, source)
	require.Equal(t, 3, code, r.Reason)
	require.Contains(t, strings.Join(r.Unreadable, "\n"), "configmaps infra-production/torn")

	source = program.changedHarbour(t, lockKind(t, "limitranges"))
	r, code = program.prove(t, source, "--timeout", "30s")
	require.Equal(t, 5, code, r.Reason) // a server that cannot list one kind does not become ready
	require.Contains(t, r.Reason, "values are encrypted with a key that")
	require.Contains(t, r.Reason, "limitranges")
}

// TestProvePKI: an expired certificate, and its renewal in the sandbox; a CA of
// another cluster; the whole PKI of another one.
func TestProvePKI(t *testing.T) {
	program := findLifeboat(t)
	dir := unpacked(t)
	h := host{dir: filepath.Join(dir, "kubernetes")}
	h.reissue(t, "pki/apiserver", time.Now().Add(-time.Hour))
	expired := packed(t, dir)
	r, code := program.prove(t, expired)
	require.Equal(t, 5, code, r.Reason)
	require.Contains(t, r.Reason, "expired")
	r, code = program.prove(t, expired, "--reissue-expired")
	require.Equal(t, 0, code, r.Reason)

	dir = unpacked(t)
	h = host{dir: filepath.Join(dir, "kubernetes")}
	h.usurp(t)
	source := packed(t, dir)
	program.run(t, 3, "archive", "verify", source)
	r, code = program.prove(t, source)
	require.Equal(t, 5, code, r.Reason)
	require.Contains(t, r.Reason, "none of its clients would trust it")

	// All that the CA has signed is signed anew by the other one: such a server
	// starts, and is another cluster's.
	for _, name := range []string{"pki/apiserver", "pki/apiserver-kubelet-client"} {
		h.reissue(t, name, time.Now().Add(time.Hour))
	}
	r, code = program.prove(t, packed(t, dir))
	require.Equal(t, 3, code, r.Reason)
	require.Contains(t, r.Reason, "kube-root-ca.crt")
}

// TestProveWebhook: objects that only a webhook converts are counted as not
// provable here; all else is proven.
func TestProveWebhook(t *testing.T) {
	program := findLifeboat(t)
	const version = `{"name":%q,"served":true,"storage":%t,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}`
	source := program.changedHarbour(t, func(ctx context.Context, etcd *clientv3.Client) {
		definition := fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"buoys.sea.example.com","uid":"8d7d32b5-3a02-4fb1-9f0d-1d0c8f0a0001","creationTimestamp":"2026-01-01T00:00:00Z"},`+
			`"spec":{"group":"sea.example.com","names":{"plural":"buoys","singular":"buoy","kind":"Buoy","listKind":"BuoyList"},"scope":"Namespaced","versions":[%s,%s],`+
			`"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:9/convert"}}}},`+
			`"status":{"storedVersions":["v1alpha1","v1"]}}`, fmt.Sprintf(version, "v1", true), fmt.Sprintf(version, "v1alpha1", false))
		_, err := etcd.Put(ctx, "/registry/apiextensions.k8s.io/customresourcedefinitions/buoys.sea.example.com", definition)
		require.NoError(t, err)
		for _, v := range []string{"v1", "v1alpha1"} {
			_, err := etcd.Put(ctx, "/registry/sea.example.com/buoys/default/"+v, fmt.Sprintf(`{"apiVersion":"sea.example.com/%s","kind":"Buoy","metadata":{"name":%q,"namespace":"default","generation":1,"uid":"8d7d32b5-3a02-4fb1-9f0d-1d0c8f0a00%02d","creationTimestamp":"2026-01-01T00:00:00Z"}}`, v, v, len(v)))
			require.NoError(t, err)
		}
	})
	r, code := program.prove(t, source)
	require.Equal(t, 0, code, r.Reason)
	require.Contains(t, strings.Join(r.NotProvable, "\n"), "buoys.sea.example.com is converted by a webhook, which is not here: 1 objects")
}

// TestProveControllers: the real controllers take their Leases and work for a
// minute on the copy; each deletion is theirs.
func TestProveControllers(t *testing.T) {
	bin := linkPrograms(t)
	r, code := findLifeboat(t).prove(t, harbour, "--controllers",
		"--kube-controller-manager", filepath.Join(bin, "kube-controller-manager"), "--kube-scheduler", filepath.Join(bin, "kube-scheduler"))
	require.Equal(t, 0, code, r.Reason)
	states := map[string]string{}
	for _, c := range r.Checks {
		states[c.Name] = c.State
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "Deployments", "deletions"} {
		require.Equal(t, "good", states[name], name)
	}
	require.Empty(t, r.Controllers.Unexplained)
	require.NotEmpty(t, r.Controllers.NotReady)
	for _, w := range r.Controllers.Deleted {
		t.Logf("%s %s: %s", w.Object, w.What, w.Why)
	}
}
