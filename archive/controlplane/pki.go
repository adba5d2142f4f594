package controlplane

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"path"
	"strings"
	"time"
)

// Certificate is one certificate of the backup. Its names are the file's own
// words: escape them before they reach a terminal.
type Certificate struct {
	Path      string    `json:"path"`           // inside the backup
	User      string    `json:"user,omitempty"` // of a kubeconfig, "" for a file of the PKI
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	IsCA      bool      `json:"isCA"`
}

// Certificates lists every certificate under kubernetes/pki/ and every client
// certificate inside a kubeconfig, by path. Files that should hold one and do
// not are Problems.
func (v *View) Certificates() ([]Certificate, []Problem) {
	var certs []Certificate
	var problems []Problem
	for _, name := range v.Files() {
		found, detail := []Certificate(nil), ""
		switch ext := path.Ext(name); {
		case strings.HasPrefix(name, "kubernetes/pki/") && (ext == ".crt" || ext == ".pem" || ext == ".cert"):
			found, detail = parseCertificates(v.files[name].data, ext == ".pem")
		case ext == ".conf" || ext == ".kubeconfig":
			found, detail = clientCertificates(v.files[name].data)
		}
		for _, c := range found {
			c.Path = name
			certs = append(certs, c)
		}
		if detail != "" {
			problems = append(problems, Problem{Path: name, Detail: detail})
		}
	}
	return certs, problems
}

// parseCertificates reads PEM. Keys beside the certificates are passed over; a
// .pem file may hold nothing but a key.
func parseCertificates(data []byte, mayLack bool) ([]Certificate, string) {
	var certs []Certificate
	problem := ""
	other := false
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = true
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			problem = "holds a certificate that cannot be parsed"
			continue
		}
		certs = append(certs, Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(),
			NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), IsCA: c.IsCA,
		})
	}
	if len(certs) == 0 && problem == "" && !(mayLack && other) {
		problem = "holds no certificate"
	}
	return certs, problem
}

// clientCertificates reads a kubeconfig's users. A certificate named by path
// lies outside of /etc/kubernetes (kubelet's) or is found as a file.
func clientCertificates(data []byte) ([]Certificate, string) {
	if !bytes.Contains(data, []byte("client-certificate")) {
		return nil, ""
	}
	config, ok := parseKubeconfig(data)
	if !ok {
		return nil, "is not a kubeconfig in YAML or JSON"
	}
	var certs []Certificate
	problem := ""
	for _, u := range config.AuthInfos {
		if len(u.AuthInfo.ClientCertificateData) == 0 {
			continue
		}
		found, detail := parseCertificates(u.AuthInfo.ClientCertificateData, false)
		for _, c := range found {
			c.User = u.Name
			certs = append(certs, c)
		}
		if detail != "" {
			problem = detail
		}
	}
	return certs, problem
}
