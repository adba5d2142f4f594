package proof_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// archived is the address of the host that was backed up: nobody's
// (RFC 5737), and in the certificates.
const archived = "192.0.2.80"

// authority is a CA that the fixture's certificates are of.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, hours int) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Duration(hours) * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert, key}
}

// issue signs a certificate; hours is how long it holds from now on.
func (a *authority) issue(t *testing.T, hours int, subject pkix.Name, addresses ...string) (cert, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Duration(hours) * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, address := range addresses {
		if ip := net.ParseIP(address); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, address)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pemKey(t, private)
}

func pemKey(t *testing.T, key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

const object = `{"apiVersion":"v1","kind":%q,"metadata":{"name":%q,"namespace":%q,"uid":%q,"creationTimestamp":"2026-01-01T00:00:00Z"}%s}`

// keyspace is what the fixture's etcd holds.
func keyspace() map[string]string {
	all := map[string]string{
		"/registry/secrets/infra/s":         fmt.Sprintf(object, "Secret", "s", "infra", "u-s", `,"data":{"password":"aHVudGVyMg=="},"type":"Opaque"`),
		"/registry/deployments/infra/web":   `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"infra"}}`,
		"/registry/masterleases/192.0.2.80": "not an object",
		"/registry/leases/kube-system/kube-controller-manager": `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"kube-controller-manager","namespace":"kube-system"},` +
			`"spec":{"renewTime":"2026-01-01T00:00:00.000000Z"}}`,
		"/registry/configmaps/kube-system/z": fmt.Sprintf(object, "ConfigMap", "z", "kube-system", "u-z", ""),
	}
	for _, name := range []string{"infra", "kube-system"} {
		all["/registry/namespaces/"+name] = fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q,"uid":%q,"creationTimestamp":"2026-01-01T00:00:00Z","labels":{"kubernetes.io/metadata.name":%q}},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}`, name, "u-"+name, name)
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		all["/registry/configmaps/infra/"+name] = fmt.Sprintf(object, "ConfigMap", name, "infra", "u-"+name, `,"data":{"key":"value"}`)
	}
	for name, owner := range map[string]string{"f": "u-a", "g": "u-none"} { // one that is there, one that is gone
		all["/registry/configmaps/infra/"+name] = fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"infra","uid":"u-%s","creationTimestamp":"2026-01-01T00:00:00Z","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":%q}]}}`, name, name, owner)
	}
	return all
}

var (
	snapshotOnce sync.Once
	snapshotData []byte
)

// snapshot is what a real etcd saves of the keyspace.
func snapshot(t *testing.T) []byte {
	t.Helper()
	snapshotOnce.Do(func() { snapshotData = snapshotOf(t, keyspace()) })
	require.NotEmpty(t, snapshotData)
	return snapshotData
}

func snapshotOf(t *testing.T, all map[string]string) []byte {
	t.Helper()
	config := embed.NewConfig()
	config.Dir = filepath.Join(t.TempDir(), "etcd")
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.AdvertiseClientUrls, config.ListenPeerUrls, config.AdvertisePeerUrls = any, any, any, any
	config.Name, config.UnsafeNoFsync = "master-0", true
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(config)
	require.NoError(t, err)
	defer server.Close()
	<-server.Server.ReadyNotify()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + server.Clients[0].Addr().String()}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer client.Close()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		_, err := client.Put(t.Context(), key, all[key])
		require.NoError(t, err)
	}
	stream, err := client.Snapshot(t.Context())
	require.NoError(t, err)
	data, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.NoError(t, stream.Close())
	return data
}

// backup is a backup to be, one field for each thing that can be wrong with it.
type backup struct {
	fault   string   // of the stand-in
	flags   []string // more of kube-apiserver
	drop    string   // a file that nobody packed
	hours   int      // how long the serving certificate holds; 0 is a day
	caHours int      // likewise, the authority
	addr    string   // in the serving certificate; "" is archived
	noKeys  bool     // neither CA key nor kubeconfig
	other   bool     // etcd's client certificate is another cluster's
	bare    bool     // no object is in etcd
	named   bool     // etcd is on the archived address alone, and has a name there
	server  string   // the version of kube-apiserver, "" for the manifest's
	renamed bool     // the CA stands in root.crt
	image   string   // its version in the manifest, "" for 1.37.1

	controllers string // what the stand-in for kube-controller-manager does, "none" for no manifests of it and kube-scheduler
}

// write makes the archive, and returns its path.
func (b backup) write(t *testing.T) string {
	t.Helper()
	ca, stranger := newAuthority(t, cmp.Or(b.caHours, 24)), newAuthority(t, 24)
	if b.hours == 0 {
		b.hours = 24
	}
	if b.addr == "" {
		b.addr = archived
	}
	signer := ca
	if b.other {
		signer = stranger
	}
	files := map[string][]byte{
		"etcd-backup.snapshot":                       snapshot(t),
		"kubernetes/pki/ca.crt":                      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}),
		"kubernetes/manifests/etcd.yaml":             []byte(fmt.Sprintf(etcdManifest, archived)),
		"kubernetes/manifests/kube-apiserver.yaml":   []byte(b.apiServerManifest()),
		"kubernetes/deckhouse/extra-files/audit.yml": []byte("rules: []\n"),
	}
	if b.bare {
		files["etcd-backup.snapshot"] = snapshotOf(t, map[string]string{"/registry/masterleases/192.0.2.80": "not an object"})
	}
	if b.named {
		const both = "https://127.0.0.1:2379,"
		manifest := files["kubernetes/manifests/etcd.yaml"]
		require.Contains(t, string(manifest), both)
		files["kubernetes/manifests/etcd.yaml"] = bytes.Replace(manifest, []byte(both), nil, 1)
	}
	if b.server != "" {
		files["kubernetes/standin.version"] = []byte(b.server)
	}
	pair := func(name string, by *authority, hours int, subject pkix.Name, addresses ...string) {
		files["kubernetes/pki/"+name+".crt"], files["kubernetes/pki/"+name+".key"] = by.issue(t, hours, subject, addresses...)
	}
	pair("apiserver", ca, b.hours, pkix.Name{CommonName: "kube-apiserver"}, b.addr)
	pair("etcd/server", ca, 24, pkix.Name{CommonName: "master-0"}, "127.0.0.1", archived, etcdName)
	pair("apiserver-etcd-client", signer, 24, pkix.Name{CommonName: "client"})
	if !b.noKeys {
		files["kubernetes/pki/ca.key"] = pemKey(t, ca.key)
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		if b.controllers == "none" {
			break
		}
		cert, key := ca.issue(t, b.hours, pkix.Name{CommonName: "system:" + name})
		files["kubernetes/"+name+".conf"] = kubeconfig(ca, cert, key)
		files["kubernetes/manifests/"+name+".yaml"] = []byte(fmt.Sprintf(controllerManifest, name, controllerFault, b.controllers))
	}
	delete(files, b.drop)
	if b.renamed {
		for name, data := range files {
			if strings.HasPrefix(name, "kubernetes/manifests/") {
				files[name] = bytes.ReplaceAll(data, []byte("pki/ca.crt"), []byte("pki/root.crt"))
			}
		}
		files["kubernetes/pki/root.crt"] = files["kubernetes/pki/ca.crt"]
		delete(files, "kubernetes/pki/ca.crt")
	}

	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o600, Size: int64(len(files[name])), Typeflag: tar.TypeReg}))
		_, err := w.Write(files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "kube-backup.tar")
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

// etcdName is the name of the archived host, which is in etcd's certificate.
const etcdName = "master-0.example.com"

const etcdManifest = `kind: Pod
metadata: {name: etcd}
spec:
  containers:
  - name: etcd
    image: registry.k8s.io/etcd:3.7.3-0
    command:
    - etcd
    - --name=master-0
    - --data-dir=/var/lib/etcd
    - --listen-client-urls=https://127.0.0.1:2379,https://%[1]s:2379
    - --advertise-client-urls=https://%[1]s:2379
    - --listen-peer-urls=https://%[1]s:2380
    - --initial-advertise-peer-urls=https://%[1]s:2380
    - --initial-cluster=master-0=https://%[1]s:2380
    - --listen-metrics-urls=http://127.0.0.1:2381
    - --client-cert-auth=true
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --trusted-ca-file=/etc/kubernetes/pki/ca.crt
    - --peer-cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --peer-key-file=/etc/kubernetes/pki/etcd/server.key
    - --peer-trusted-ca-file=/etc/kubernetes/pki/ca.crt
    volumeMounts:
    - {name: data, mountPath: /var/lib/etcd}
  volumes:
  - {name: data, hostPath: {path: /var/lib/etcd-data}}
`

const controllerManifest = `kind: Pod
metadata: {name: %[1]s}
spec:
  containers:
  - name: %[1]s
    image: registry.k8s.io/%[1]s:v1.37.1
    env: [{name: %[2]s, value: "%[3]s"}]
    command: [%[1]s, --kubeconfig=/etc/kubernetes/%[1]s.conf]
`

func kubeconfig(ca *authority, cert, key []byte) []byte {
	encode := base64.StdEncoding.EncodeToString
	return []byte(fmt.Sprintf(`clusters: [{name: c, cluster: {server: "https://%s:6443", certificate-authority-data: %s}}]
users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]
`, archived, encode(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})), encode(cert), encode(key)))
}

func (b backup) apiServerManifest() string {
	text := `kind: Pod
metadata: {name: kube-apiserver}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v` + cmp.Or(b.image, "1.37.1") + `
    env: [{name: ` + faultEnv + `, value: "` + b.fault + `"}]
    command:
    - kube-apiserver
    - --advertise-address=` + archived + `
    - --secure-port=6443
    - --etcd-servers=https://` + map[bool]string{true: etcdName, false: "127.0.0.1"}[b.named] + `:2379
    - --etcd-cafile=/etc/kubernetes/pki/ca.crt
    - --etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt
    - --etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key
    - --client-ca-file=/etc/kubernetes/pki/ca.crt
    - --tls-cert-file=/etc/kubernetes/pki/apiserver.crt
    - --tls-private-key-file=/etc/kubernetes/pki/apiserver.key
    - --audit-policy-file=/extra/audit.yml
`
	if len(b.flags) > 0 {
		text += "    - " + strings.Join(b.flags, "\n    - ") + "\n"
	}
	return text + `    volumeMounts:
    - {name: extra, mountPath: /extra}
  volumes:
  - {name: extra, hostPath: {path: /etc/kubernetes/deckhouse/extra-files}}
`
}
