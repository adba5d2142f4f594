package controlplane

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Finding is the verdict on one certificate or key. Detail holds no content of
// the file but names.
type Finding struct {
	Path   string `json:"path"`
	OK     bool   `json:"ok"`
	Note   bool   `json:"note,omitempty"` // worth knowing, and no fault of the backup
	Detail string `json:"detail"`
}

// CheckPKI holds every certificate against its key and its CA, and against
// now. A leaf that has expired is a note: kubeadm renews it as long as the CA
// is there; a CA that has expired is not. A certificate whose CA is not in the
// backup (an external one) is a note, too.
func (v *View) CheckPKI(now time.Time) []Finding {
	c := &pkiCheck{view: v, now: now}
	c.readAuthorities()
	for _, name := range v.Files() {
		base, isCert := strings.CutSuffix(name, ".crt")
		switch {
		case strings.HasPrefix(name, pkiDir) && isCert:
			c.certificate(name, base+".key")
		case strings.HasSuffix(name, ".conf"):
			c.kubeconfig(name)
		}
	}
	c.kubeconfigs()
	c.serviceAccount()
	return c.findings
}

const pkiDir = FolderPKI + "/"

// FolderPKI is where kubeadm keeps certificates, inside of a backup.
const FolderPKI = "kubernetes/pki"

type pkiCheck struct {
	view     *View
	now      time.Time
	cas      []*x509.Certificate
	findings []Finding
}

func (c *pkiCheck) say(name string, ok, note bool, format string, args ...any) {
	c.findings = append(c.findings, Finding{name, ok, note, fmt.Sprintf(format, args...)})
}

func (c *pkiCheck) readAuthorities() {
	for _, name := range c.view.Files() {
		if strings.HasPrefix(name, pkiDir) && path.Ext(name) == ".crt" {
			for _, cert := range certificatesIn(c.view.files[name].data) {
				if cert.IsCA {
					c.cas = append(c.cas, cert)
				}
			}
		}
	}
}

// certificatesIn gives the certificates of a PEM file that can be parsed.
func certificatesIn(data []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return certs
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			certs = append(certs, cert)
		}
	}
}

// certificate judges one file of the PKI.
func (c *pkiCheck) certificate(name, keyName string) {
	data := c.view.files[name].data
	certs := certificatesIn(data)
	if len(certs) == 0 {
		c.say(name, false, false, "holds no certificate")
		return
	}
	key, found := c.view.files[keyName]
	switch {
	case !found || len(bytes.TrimSpace(key.data)) == 0:
		c.say(name, true, true, "there is no private key beside it: kept elsewhere, or lost")
	default:
		c.pair(name, data, key.data)
	}
	c.issued(name, certs[0])
}

// pair holds a certificate against its key. crypto/tls may quote neither.
func (c *pkiCheck) pair(name string, cert, key []byte) {
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		detail := "its private key cannot be read"
		if strings.Contains(err.Error(), "does not match") {
			detail = "its private key belongs to another certificate"
		}
		c.say(name, false, false, "%s", detail)
	}
}

// issued holds a certificate against its CA and the clock.
func (c *pkiCheck) issued(name string, cert *x509.Certificate) {
	named, signed := false, false
	for _, ca := range c.cas {
		if bytes.Equal(ca.RawSubject, cert.RawIssuer) {
			named = true
			signed = signed || cert.CheckSignatureFrom(ca) == nil
		}
	}
	switch {
	case named && !signed:
		c.say(name, false, false, "is not signed by the CA of that name in the backup (%q): they are of two clusters, or of two times", cert.Issuer)
	case !named:
		c.say(name, true, true, "its CA (%q) is not in the backup", cert.Issuer)
	}
	switch until := cert.NotAfter.UTC().Format(time.DateOnly); {
	case c.now.Before(cert.NotAfter):
		c.say(name, true, false, "until %s", until)
	case cert.IsCA:
		c.say(name, false, false, "this CA ended %s", until)
	default:
		c.say(name, true, true, "ended %s: renew it after the restore (kubeadm certs renew)", until)
	}
}

// kubeconfig judges the client certificates inside of a kubeconfig.
func (c *pkiCheck) kubeconfig(name string) {
	data := c.view.files[name].data
	if !bytes.Contains(data, []byte("client-certificate-data")) {
		return
	}
	config, _ := parseKubeconfig(data) // what cannot be parsed is a Problem of the View
	for _, u := range config.AuthInfos {
		cert, key := u.AuthInfo.ClientCertificateData, u.AuthInfo.ClientKeyData
		certs := certificatesIn(cert)
		if len(certs) == 0 {
			if len(cert) > 0 {
				c.say(name, false, false, "holds a client certificate that cannot be read")
			}
			continue
		}
		if len(key) > 0 {
			c.pair(name, cert, key)
		}
		c.issued(name, certs[0])
	}
}

// serviceAccount holds sa.pub against sa.key.
func (c *pkiCheck) serviceAccount() {
	name := pkiDir + "sa.key"
	private, hasKey := c.view.files[name]
	public, hasPub := c.view.files[pkiDir+"sa.pub"]
	if !hasKey || !hasPub {
		return
	}
	key, err := publicOf(private.data)
	if err != nil {
		c.say(name, false, false, "holds no private key")
		return
	}
	pub, err := parsePublic(public.data)
	switch {
	case err != nil:
		c.say(pkiDir+"sa.pub", false, false, "holds no public key")
	case !key.Equal(pub):
		c.say(name, false, false, "is not the key whose public half sa.pub is")
	default:
		c.say(name, true, false, "fits sa.pub")
	}
}

// publicKey is what all public keys of the standard library are.
type publicKey interface {
	Equal(crypto.PublicKey) bool
}

var errNoKey = errors.New("no key")

// publicOf gives the public half of a private key in PEM.
func publicOf(data []byte) (publicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errNoKey
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errNoKey // the parsers' own words may quote the key
	}
	public, ok := signer.Public().(publicKey)
	if !ok {
		return nil, errNoKey
	}
	return public, nil
}

func parsePublic(data []byte) (publicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errNoKey
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PublicKey(block.Bytes); err != nil {
			return nil, errNoKey
		}
	}
	public, ok := key.(publicKey)
	if !ok {
		return nil, errNoKey
	}
	return public, nil
}

// ServiceAccountKey is the public key that verifies service-account tokens:
// of sa.pub, else of sa.key. nil when the backup holds neither.
func (v *View) ServiceAccountKey() crypto.PublicKey {
	if f, ok := v.files[pkiDir+"sa.pub"]; ok {
		if key, err := parsePublic(f.data); err == nil {
			return key
		}
	}
	if f, ok := v.files[pkiDir+"sa.key"]; ok {
		if key, err := publicOf(f.data); err == nil {
			return key
		}
	}
	return nil
}

// SharesCertificate reports whether two PEM bundles have a certificate in
// common. A CA bundle under rotation holds an old and a new one.
func SharesCertificate(a, b []byte) bool {
	for _, x := range certificatesIn(a) {
		for _, y := range certificatesIn(b) {
			if x.Equal(y) {
				return true
			}
		}
	}
	return false
}
