package oracle

import (
	"archive/tar"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/yaml"
)

// harbour is the backup of a real control plane; ../harbour/README.md tells
// what is in it.
const harbour = "../harbour/kube-backup.tar.gz"

// host is /etc/kubernetes out of harbour: its manifests, its certificate
// authority, its keys for encryption at rest.
type host struct{ dir string }

// unpackHost writes kubernetes/ of harbour into a folder of the test.
func unpackHost(t *testing.T) host {
	t.Helper()
	f, err := os.Open(harbour)
	require.NoError(t, err)
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	root := t.TempDir()
	for r := tar.NewReader(unzipped); ; {
		entry, err := r.Next()
		if err == io.EOF {
			return host{dir: filepath.Join(root, "kubernetes")}
		}
		require.NoError(t, err)
		name := filepath.Clean(entry.Name)
		if entry.Typeflag != tar.TypeReg || !strings.HasPrefix(name, "kubernetes/") {
			continue
		}
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), content, 0o600))
	}
}

func (h host) path(name string) string { return filepath.Join(h.dir, name) }

// flags are those of a static Pod's command, with /etc/kubernetes moved to
// where the host stands. without names flags that have no place here.
func (h host) flags(t *testing.T, component string, without ...string) []string {
	t.Helper()
	manifest, err := os.ReadFile(h.path("manifests/" + component + ".yaml"))
	require.NoError(t, err)
	var pod corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict(manifest, &pod))
	var flags []string
next:
	for _, flag := range pod.Spec.Containers[0].Command[1:] {
		for _, name := range without {
			if strings.HasPrefix(flag, "--"+name+"=") {
				continue next
			}
		}
		flags = append(flags, strings.ReplaceAll(flag, "/etc/kubernetes", h.dir))
	}
	return flags
}

// issue signs a certificate with the host's authority and returns the files
// of the certificate and its key. Those in the backup are of other addresses
// and end a year after it was made; the authority holds for ten.
func (h host) issue(t *testing.T, subject pkix.Name, addresses ...net.IP) (certFile, keyFile string) {
	t.Helper()
	return h.sign(t, subject.CommonName, &x509.Certificate{Subject: subject, NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: addresses})
}

// reissue signs a certificate of the backup anew, which is valid until a time.
func (h host) reissue(t *testing.T, name string, until time.Time) {
	t.Helper()
	old, err := cert.CertsFromFile(h.path(name + ".crt"))
	require.NoError(t, err)
	h.sign(t, name, &x509.Certificate{Subject: old[0].Subject, NotAfter: until, IPAddresses: old[0].IPAddresses, DNSNames: old[0].DNSNames})
}

// sign makes NAME.crt and NAME.key, signed by the host's authority.
func (h host) sign(t *testing.T, name string, template *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	authority, err := cert.CertsFromFile(h.path("pki/ca.crt"))
	require.NoError(t, err)
	signer, err := keyutil.PrivateKeyFromFile(h.path("pki/ca.key"))
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	require.NoError(t, err)
	template.NotBefore = template.NotAfter.Add(-48 * time.Hour)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, authority[0], key.Public(), signer.(crypto.Signer))
	require.NoError(t, err)

	certFile, keyFile = h.path(name+".crt"), h.path(name+".key")
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	certPEM, err := cert.EncodeCertificates(leaf)
	require.NoError(t, err)
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, keyPEM, 0o600))
	return certFile, keyFile
}

// usurp puts an authority of the same name into the place of the host's, as
// another cluster of kubeadm's has it.
func (h host) usurp(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	authority, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "kubernetes"}, key)
	require.NoError(t, err)
	certPEM, err := cert.EncodeCertificates(authority)
	require.NoError(t, err)
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.path("pki/ca.crt"), certPEM, 0o600))
	require.NoError(t, os.WriteFile(h.path("pki/ca.key"), keyPEM, 0o600))
}
