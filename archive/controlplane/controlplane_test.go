package controlplane_test

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// secretText stands in files and in no error.
const secretText = "s3cr3t-0f-the-harbour"

// harbour is the view of the real backup.
func harbour(t testing.TB) *controlplane.View {
	t.Helper()
	f, err := os.Open("../../testdata/harbour/kube-backup.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b := controlplane.New()
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return b.View()
		}
		require.NoError(t, err)
		if name := strings.TrimPrefix(h.Name, "./"); h.Typeflag == tar.TypeReg && strings.HasPrefix(name, "kubernetes/") {
			require.NoError(t, b.Add(name, tr))
		}
	}
}

func view(t testing.TB, files map[string]string) *controlplane.View {
	t.Helper()
	b := controlplane.New()
	for name, content := range files {
		require.NoError(t, b.Add(name, strings.NewReader(content)))
	}
	return b.View()
}

func TestHarbour(t *testing.T) {
	t.Parallel()
	v := harbour(t)
	require.Empty(t, v.Problems())
	require.Len(t, v.Files(), 32)
	require.NoError(t, fstest.TestFS(v, "kubernetes/encryption.yaml", "kubernetes/pki/etcd/ca.crt"))
	require.Equal(t, "/registry", v.EtcdPrefix())

	version, from := v.KubernetesVersion()
	require.Equal(t, "v1.37.1", version)
	require.Equal(t, "kubernetes/manifests/kube-apiserver.yaml", from)
	require.Contains(t, v.Images(), controlplane.Image{
		Path: "kubernetes/manifests/etcd.yaml", Container: "etcd", Image: "registry.k8s.io/etcd:3.7.0-0"})

	member, ok := v.EtcdMember()
	require.True(t, ok)
	require.Equal(t, controlplane.EtcdMember{
		Name: "master-0", PeerURLs: []string{"https://192.168.199.80:2380"}, ClientURLs: []string{"https://192.168.199.80:2379"},
		InitialCluster: "master-0=https://192.168.199.80:2380", DataDir: "/var/lib/etcd"}, member)

	flags, ok := v.Flags(controlplane.APIServer)
	require.True(t, ok)
	require.Equal(t, "10.222.0.0/16", flags["service-cluster-ip-range"])

	config, err := v.EncryptionConfig()
	require.NoError(t, err)
	require.Equal(t, "kubernetes/encryption.yaml", config.Path)
	require.Equal(t, "/etc/kubernetes/encryption.yaml", config.HostPath)
	require.Contains(t, config.How, "named by --encryption-provider-config in kube-apiserver.yaml")
	require.Contains(t, string(config.Content), "secretbox")
	require.Empty(t, config.Others)
}

func TestHarbourCertificates(t *testing.T) {
	t.Parallel()
	certs, problems := harbour(t).Certificates()
	require.Empty(t, problems)
	byPath := map[string]controlplane.Certificate{}
	for _, c := range certs {
		byPath[c.Path] = c
	}
	require.Len(t, byPath, 10+5, "ten in pki/, five kubeconfigs")
	ca := byPath["kubernetes/pki/ca.crt"]
	require.True(t, ca.IsCA)
	require.Equal(t, "CN=kubernetes", ca.Subject)
	admin := byPath["kubernetes/super-admin.conf"]
	require.Equal(t, "kubernetes-super-admin", admin.User)
	require.Equal(t, "CN=kubernetes-super-admin,O=system:masters", admin.Subject)
	require.Equal(t, "CN=kubernetes", admin.Issuer)
	require.False(t, admin.IsCA)
	require.Equal(t, 2027, admin.NotAfter.Year())
}

// apiserver is a manifest with these words after the program's name.
func apiserver(t testing.TB, image string, mounts, volumes string, words ...string) string {
	t.Helper()
	list, err := json.Marshal(append([]string{"/usr/local/bin/kube-apiserver"}, words...))
	require.NoError(t, err)
	return fmt.Sprintf(`{kind: Pod, metadata: {name: kube-apiserver}, spec: {
  containers: [{name: healthcheck, image: proxy}, {name: kube-apiserver, image: %q, command: %s, volumeMounts: [%s]}], volumes: [%s]}}`,
		image, list, mounts, volumes)
}

const config = "kind: EncryptionConfiguration\nresources:\n- providers:\n  - secretbox: {keys: [{name: a, secret: " + secretText + "}]}\n"

func TestFindingTheEncryptionConfig(t *testing.T) {
	t.Parallel()
	const manifest = "kubernetes/manifests/kube-apiserver.yaml"
	extra := `{mountPath: /etc/kubernetes/deckhouse/extra-files, name: extra}`
	for name, c := range map[string]struct {
		files     map[string]string
		path, how string
		others    []string
	}{
		"deckhouse": {map[string]string{
			manifest: apiserver(t, "x", extra, `{name: extra, hostPath: {path: /etc/kubernetes/deckhouse/extra-files}}`,
				"--encryption-provider-config=/etc/kubernetes/deckhouse/extra-files/secret-encryption-config.yaml"),
			"kubernetes/deckhouse/extra-files/secret-encryption-config.yaml": config,
		}, "kubernetes/deckhouse/extra-files/secret-encryption-config.yaml", "through its hostPath mount", nil},
		"mounted elsewhere": {map[string]string{
			manifest: apiserver(t, "x", `{mountPath: /keys, name: k}, {mountPath: /keys/deep/, name: d, subPath: sub}`,
				`{name: k, hostPath: {path: /root}}, {name: d, hostPath: {path: /etc/kubernetes/enc/}}`,
				"--encryption-provider-config", "/keys/deep/./enc.yaml"),
			"kubernetes/enc/sub/enc.yaml": config, "kubernetes/old.yaml": config,
		}, "kubernetes/enc/sub/enc.yaml", "through its hostPath mount", []string{"kubernetes/old.yaml"}},
		"mount of a like name": {map[string]string{
			manifest: apiserver(t, "x", `{mountPath: /etc/kube, name: k}`, `{name: k, hostPath: {path: /root}}`,
				"--encryption-provider-config=/etc/kubernetes/e.yaml"),
			"kubernetes/e.yaml": config,
		}, "kubernetes/e.yaml", "no mount covers it", nil},
		"lies outside": {map[string]string{
			manifest:                      apiserver(t, "x", `{mountPath: /k, name: k}`, `{name: k, hostPath: {path: /root}}`, "--encryption-provider-config=/k/e.yaml"),
			"kubernetes/copy-of-it.yaml":  config,
			"kubernetes/unconcerned.yaml": "text: EncryptionConfiguration\n",
		}, "kubernetes/copy-of-it.yaml", `("/k/e.yaml") is not in the backup`, nil},
		"lies outside, a namesake does not": {map[string]string{
			manifest:                 apiserver(t, "x", `{mountPath: /k, name: k}`, `{name: k, hostPath: {path: /root}}`, "--encryption-provider-config=/k/e.yaml"),
			"kubernetes/root/e.yaml": config,
		}, "kubernetes/root/e.yaml", `("/k/e.yaml") is not in the backup`, nil},
		"a file mounted by itself": {map[string]string{
			manifest: apiserver(t, "x", `{mountPath: /k/e.yaml, name: k}`, `{name: k, hostPath: {path: /etc/kubernetes/enc/new.yaml}}`,
				"--encryption-provider-config=/k/e.yaml"),
			"kubernetes/enc/new.yaml": config, "kubernetes/enc/enc.yaml": config,
		}, "kubernetes/enc/new.yaml", "through its hostPath mount", []string{"kubernetes/enc/enc.yaml"}},
		"no flag": {map[string]string{
			manifest: apiserver(t, "x", "", ""), "kubernetes/z.yaml": strings.ReplaceAll(config, "Configuration", "Config"),
			"kubernetes/enc/enc.yaml": config,
		}, "kubernetes/enc/enc.yaml", "has no --encryption-provider-config", []string{"kubernetes/z.yaml"}},
		"no manifest": {map[string]string{"kubernetes/a.json": `{"kind": "EncryptionConfiguration"}`},
			"kubernetes/a.json", "there is no kube-apiserver manifest", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := view(t, c.files).EncryptionConfig()
			require.NoError(t, err)
			require.NotNil(t, found)
			require.Equal(t, c.path, found.Path)
			require.Contains(t, found.How, c.how)
			require.Equal(t, c.files[c.path], string(found.Content))
			require.ElementsMatch(t, c.others, found.Others)
		})
	}
	for _, files := range []map[string]string{nil, {"kubernetes/manifests/encryption.yaml": config}} { // kubelet's folder is no place for it
		found, err := view(t, files).EncryptionConfig()
		require.NoError(t, err)
		require.Nil(t, found)
	}
	_, err := view(t, map[string]string{manifest: apiserver(t, "x", "", "", "--encryption-provider-config=/../../../k.yaml")}).EncryptionConfig()
	require.ErrorIs(t, err, controlplane.ErrNoEncryptionConfig)
	require.ErrorContains(t, err, `"/../../../k.yaml"`)
}

// A file is found as the component sees it; one that is not in the backup is told
// with the place where it would be.
func TestFlagFile(t *testing.T) {
	t.Parallel()
	v := view(t, map[string]string{
		"kubernetes/manifests/kube-apiserver.yaml": apiserver(t, "x", `{mountPath: /a, name: a}`, `{name: a, hostPath: {path: /etc/kubernetes/audit}}`,
			"--audit-policy-file=/a/policy.yaml", "--tls-cert-file=/a/tls.crt", "--client-ca-file=/etc/kubernetes/pki/ca.crt", "--kubelet-certificate-authority=/srv/ca.crt", "--profiling="),
		"kubernetes/audit/policy.yaml": "rules: []", "kubernetes/pki/ca.crt": "CA", "kubernetes/srv/ca.crt": "another",
	})
	for flag, want := range map[string]controlplane.FlagFile{
		"audit-policy-file": {Flag: "/a/policy.yaml", Path: "kubernetes/audit/policy.yaml", Content: []byte("rules: []")},
		"client-ca-file":    {Flag: "/etc/kubernetes/pki/ca.crt", Path: "kubernetes/pki/ca.crt", Content: []byte("CA")},
	} {
		file, ok, err := v.FlagFile(controlplane.APIServer, flag)
		require.NoError(t, err, flag)
		require.True(t, ok, flag)
		require.Equal(t, want, file)
	}
	for flag, where := range map[string]string{"tls-cert-file": "/etc/kubernetes/audit/tls.crt", "kubelet-certificate-authority": "/srv/ca.crt"} {
		file, ok, err := v.FlagFile(controlplane.APIServer, flag)
		require.ErrorIs(t, err, fs.ErrNotExist, flag)
		require.ErrorContains(t, err, fmt.Sprintf("%q, which --%s in kube-apiserver.yaml names", where, flag))
		require.True(t, ok, flag)
		require.Empty(t, file.Path)
	}
	for _, of := range [][2]string{{controlplane.APIServer, "egress-selector-config-file"}, {controlplane.APIServer, "profiling"}, {controlplane.Etcd, "audit-policy-file"}} {
		_, ok, err := v.FlagFile(of[0], of[1])
		require.NoError(t, err, of)
		require.False(t, ok, of)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	v := view(t, map[string]string{
		"kubernetes/manifests/kube-apiserver.yaml": apiserver(t, "x", "", "",
			"--a=1", "--b", "2", "--switch", "--etcd_prefix", "kube/deep/", "--a=3", "--empty=", "--eq=k=v", "-v=4", "word"),
		"kubernetes/manifests/etcd.json": `{"kind": "Pod", "spec": {"containers": [{"name": "other", "command": ["/opt/bin/etcd"], "args": ["-name", "m1"],
			"env": [{"name": "ETCD_NAME", "value": "m2"}, {"name": "ETCD_INITIAL_CLUSTER", "value": "m1=http://a,m2=http://b"},
			{"name": "ETCD_INITIAL_ADVERTISE_PEER_URLS", "value": "http://a,http://a2"}, {"name": "HOME", "value": "/"}]}]}}`,
	})
	flags, ok := v.Flags(controlplane.APIServer)
	require.True(t, ok)
	require.Equal(t, controlplane.Flags{"a": "3", "b": "2", "switch": "true", "etcd-prefix": "kube/deep/", "empty": "", "eq": "k=v", "v": "4"}, flags)
	require.Equal(t, "/kube/deep", v.EtcdPrefix())
	member, ok := v.EtcdMember()
	require.True(t, ok)
	require.Equal(t, controlplane.EtcdMember{Name: "m1", PeerURLs: []string{"http://a", "http://a2"}, InitialCluster: "m1=http://a,m2=http://b"}, member)
	_, ok = v.Flags(controlplane.Scheduler)
	require.False(t, ok)
	_, ok = view(t, nil).EtcdMember()
	require.False(t, ok)
}

func TestKubernetesVersion(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"registry.k8s.io/kube-apiserver:v1.37.1":                                "v1.37.1",
		"host:5000/kube-apiserver:v1.30.4-deckhouse@sha256:" + secretText:       "v1.30.4-deckhouse",
		"host:5000/kube-apiserver":                                              "",
		"registry.deckhouse.io/deckhouse/ce@sha256:" + strings.Repeat("0a", 32): "",
		"kube-apiserver:latest":                                                 "",
		"":                                                                      "",
	} {
		version, _ := view(t, map[string]string{"kubernetes/manifests/kube-apiserver.yaml": apiserver(t, image, "", "")}).KubernetesVersion()
		require.Equal(t, want, version, image)
	}
}

// What kubelet would not run is not read, and what cannot be read is said.
func TestManifestProblems(t *testing.T) {
	t.Parallel()
	right := apiserver(t, "a:v1.30.0", "", "")
	v := view(t, map[string]string{
		"kubernetes/manifests/kube-apiserver.yaml":       right,
		"kubernetes/manifests/a-copy.yaml":               strings.ReplaceAll(right, "v1.30.0", "v1.20.0"),
		"kubernetes/manifests/.hidden.yaml":              "{",
		"kubernetes/manifests/broken.yaml":               "env: [" + secretText,
		"kubernetes/manifests/wrong.yaml":                "kind: Pod\nspec: " + secretText,
		"kubernetes/manifests/deploy.yaml":               "kind: Deployment",
		"kubernetes/manifests/empty.yaml":                "",
		"kubernetes/manifests/bomb.yaml":                 "a: &a [x,x,x,x,x,x,x,x,x]\n" + anchors(30) + "kind: Pod\n",
		"kubernetes/manifests/deeper/kube-apiserver.yml": "{",
	})
	version, from := v.KubernetesVersion()
	require.Equal(t, "v1.30.0", version)
	require.Equal(t, "kubernetes/manifests/kube-apiserver.yaml", from)
	found := map[string]string{}
	for _, p := range v.Problems() {
		found[p.Path] = p.Detail
		require.NotContains(t, p.Detail, secretText)
	}
	require.Equal(t, map[string]string{
		"kubernetes/manifests/a-copy.yaml": "runs kube-apiserver as kube-apiserver.yaml does, which was used",
		"kubernetes/manifests/broken.yaml": "is no Pod manifest in YAML or JSON",
		"kubernetes/manifests/wrong.yaml":  "is no Pod manifest in YAML or JSON",
		"kubernetes/manifests/bomb.yaml":   "is no Pod manifest in YAML or JSON",
		"kubernetes/manifests/deploy.yaml": "is in the folder of static Pods and holds none",
		"kubernetes/manifests/empty.yaml":  "is in the folder of static Pods and holds none",
	}, found)
}

// anchors is the billion laughs.
func anchors(n int) string {
	var b strings.Builder
	for i := range n {
		from, to := string(rune('a'+i%26))+strings.Repeat("x", i/26), string(rune('a'+(i+1)%26))+strings.Repeat("x", (i+1)/26)
		fmt.Fprintf(&b, "%s: &%s [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n", to, to, from, from, from, from, from, from, from, from, from)
	}
	return b.String()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := controlplane.New()
	require.NoError(t, b.Add("kubernetes/endless", io.LimitReader(zeros{}, 1<<40)))
	require.NoError(t, b.Add("kubernetes/fits", io.LimitReader(zeros{}, controlplane.MaxFile)))
	for i := range 70 {
		require.NoError(t, b.Add(fmt.Sprintf("kubernetes/big%02d", i), io.LimitReader(zeros{}, controlplane.MaxFile)))
	}
	for i := range controlplane.MaxFiles {
		require.NoError(t, b.Add(fmt.Sprintf("kubernetes/small%d", i), strings.NewReader("")))
	}
	for _, name := range []string{"", ".", "/etc/x", "../x", "a/../b", "a/"} {
		require.ErrorIs(t, b.Add(name, strings.NewReader("")), fs.ErrInvalid, name)
	}
	disk := errors.New("input/output error")
	require.ErrorIs(t, b.Add("kubernetes/x", iotest.ErrReader(disk)), disk)

	v := b.View()
	require.Len(t, v.Files(), controlplane.MaxFiles)
	require.Equal(t, controlplane.Problem{Path: "kubernetes/endless", Detail: "is larger than 1 MiB and was left out"}, v.Problems()[0])
	require.Len(t, v.Problems(), 1+7+64, "one too large, 7 of 71 beyond 64 MiB, 4096 small ones beside 64")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	v := view(t, map[string]string{"kubernetes/a": "content"})
	require.False(t, v.Empty())
	data, err := v.ReadFile("kubernetes/a")
	require.NoError(t, err)
	data[0] = 'X'
	data, err = v.ReadFile("kubernetes/a")
	require.NoError(t, err)
	require.Equal(t, "content", string(data), "a View does not change")
	_, err = v.ReadFile("kubernetes")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.True(t, view(t, nil).Empty())
}

func certificate(t testing.TB, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestCertificateProblems(t *testing.T) {
	t.Parallel()
	good := certificate(t, "good")
	damaged := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(secretText)})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(secretText)})
	kubeconfig := func(data []byte) string {
		out, err := yaml.Marshal(map[string]any{"kind": "Config", "users": []any{
			map[string]any{"name": "u", "user": map[string]any{"client-certificate-data": base64.StdEncoding.EncodeToString(data)}},
			map[string]any{"name": "by path", "user": map[string]any{"client-certificate": "/var/lib/kubelet/pki/x.pem"}},
		}})
		require.NoError(t, err)
		return string(out)
	}
	certs, problems := view(t, map[string]string{
		"kubernetes/pki/chain.crt":     string(bytes.Join([][]byte{good, damaged, key, good}, nil)),
		"kubernetes/pki/empty.crt":     "",
		"kubernetes/pki/key-only.pem":  string(key),
		"kubernetes/pki/ca.key":        secretText,
		"kubernetes/good.conf":         kubeconfig(good),
		"kubernetes/damaged.conf":      kubeconfig(damaged),
		"kubernetes/not-base64.conf":   "users: [{user: {client-certificate-data: '" + secretText + "'}}]",
		"kubernetes/broken.conf":       "client-certificate: [" + secretText,
		"kubernetes/other.conf":        "{" + secretText,
		"kubernetes/deckhouse/ca.crt":  "not in pki/",
		"kubernetes/pki/etcd/peer.crt": string(good),
	}).Certificates()
	var subjects []string
	for _, c := range certs {
		subjects = append(subjects, c.Path+" "+c.User+" "+c.Subject)
	}
	require.Equal(t, []string{
		"kubernetes/good.conf u CN=good", "kubernetes/pki/chain.crt  CN=good", "kubernetes/pki/chain.crt  CN=good", "kubernetes/pki/etcd/peer.crt  CN=good",
	}, subjects)
	found := map[string]string{}
	for _, p := range problems {
		found[p.Path] = p.Detail
	}
	require.Equal(t, map[string]string{
		"kubernetes/pki/chain.crt":   "holds a certificate that cannot be parsed",
		"kubernetes/pki/empty.crt":   "holds no certificate",
		"kubernetes/damaged.conf":    "holds a certificate that cannot be parsed",
		"kubernetes/not-base64.conf": "is not a kubeconfig in YAML or JSON",
		"kubernetes/broken.conf":     "is not a kubeconfig in YAML or JSON",
	}, found)
}

func ExampleView() {
	b := controlplane.New()
	manifest := `{kind: Pod, spec: {containers: [{name: kube-apiserver, image: "registry.k8s.io/kube-apiserver:v1.30.1",
  command: [kube-apiserver, --etcd-prefix=/cluster-a]}]}}`
	if err := b.Add("kubernetes/manifests/kube-apiserver.yaml", strings.NewReader(manifest)); err != nil {
		fmt.Println(err)
	}
	view := b.View()
	version, _ := view.KubernetesVersion()
	fmt.Println(version, view.EtcdPrefix())
	// Output: v1.30.1 /cluster-a
}

// FuzzView feeds manifests and kubeconfigs that nobody wrote: answers may be
// empty, none may panic or point outside of the view.
func FuzzView(f *testing.F) {
	f.Add([]byte("kind: Pod\nspec: {containers: [{name: kube-apiserver, command: [--encryption-provider-config, /etc/kubernetes/x]}]}"), "x")
	f.Add([]byte("users: [{user: {client-certificate-data: AAAA}}]"), "a.conf")
	f.Add([]byte("kind: EncryptionConfiguration"), "manifests/kube-apiserver.yaml")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		b := controlplane.New()
		for _, n := range []string{"kubernetes/manifests/a", "kubernetes/pki/a.crt", "kubernetes/a.conf", "kubernetes/" + name} {
			if fs.ValidPath(n) {
				require.NoError(t, b.Add(n, bytes.NewReader(data)))
			}
		}
		v := b.View()
		v.Certificates()
		v.KubernetesVersion()
		v.EtcdMember()
		require.True(t, strings.HasPrefix(v.EtcdPrefix(), "/"))
		if found, err := v.EncryptionConfig(); err == nil && found != nil {
			require.Contains(t, v.Files(), found.Path)
		}
	})
}
