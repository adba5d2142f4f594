package proof

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// reissue signs what has expired anew, with the archived authorities: for the
// sandbox alone. Names, addresses, uses and keys stay. It gives the files, and
// their names in the order of the backup.
//
// A certificate whose authority has expired as well, or whose key is not in the
// backup, is an error: kubeadm could not renew it either.
func reissue(control *controlplane.View, now time.Time) (files map[string][]byte, names []string, err error) {
	authorities, err := authoritiesIn(control)
	if err != nil {
		return nil, nil, err
	}
	files = map[string][]byte{}
	for _, name := range control.Files() {
		if !certified(name) {
			continue
		}
		data, err := control.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		renewed, err := renewFile(name, data, authorities, now)
		if err != nil {
			return nil, nil, &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("renewing %q, which has expired: %w", name, err)}
		}
		if renewed != nil {
			files[name], names = renewed, append(names, name)
		}
	}
	return files, names, nil
}

// certified tells the files that have a certificate: of the PKI, and kubeconfigs.
func certified(name string) bool {
	switch path.Ext(name) {
	case ".crt":
		return strings.HasPrefix(name, controlplane.FolderPKI+"/")
	case ".conf", ".kubeconfig":
		return true
	}
	return false
}

// embedded is a certificate in a kubeconfig, in YAML or in JSON.
var embedded = regexp.MustCompile(`client-certificate-data"?:\s*"?([A-Za-z0-9+/=]+)`)

// renewFile gives a file's new content, nil where nothing in it has expired.
func renewFile(name string, data []byte, authorities []tls.Certificate, now time.Time) ([]byte, error) {
	if path.Ext(name) == ".crt" {
		return renewPEM(data, authorities, now)
	}
	found := embedded.FindSubmatchIndex(data)
	if found == nil {
		return nil, nil
	}
	old, err := base64.StdEncoding.DecodeString(string(data[found[2]:found[3]]))
	if err != nil {
		return nil, nil //nolint:nilerr // CheckPKI says what is wrong with it
	}
	renewed, err := renewPEM(old, authorities, now)
	if renewed == nil || err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(renewed)
	return slices.Concat(data[:found[2]], []byte(text), data[found[3]:]), nil
}

func renewPEM(data []byte, authorities []tls.Certificate, now time.Time) ([]byte, error) {
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, nil
	}
	old, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Before(old.NotAfter) {
		return nil, nil //nolint:nilerr // as above
	}
	renewed, err := renew(old, authorities, now)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: renewed}), rest...), nil
}

// authoritiesIn are the CAs of the backup that have their keys with them.
func authoritiesIn(control *controlplane.View) (all []tls.Certificate, err error) {
	for _, name := range control.Files() {
		if path.Ext(name) != ".crt" || !strings.HasPrefix(name, controlplane.FolderPKI+"/") {
			continue
		}
		cert, err := control.ReadFile(name)
		if err != nil {
			return nil, err
		}
		key, err := control.ReadFile(strings.TrimSuffix(name, ".crt") + ".key")
		if err != nil {
			continue // it cannot sign
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			continue // as above
		}
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err == nil && pair.Leaf.IsCA {
			all = append(all, pair)
		}
	}
	return all, nil
}

func renew(old *x509.Certificate, authorities []tls.Certificate, now time.Time) ([]byte, error) {
	if old.IsCA {
		return nil, errors.New("it is an authority: what it has signed cannot be trusted any more")
	}
	for _, a := range authorities {
		if !bytes.Equal(old.RawIssuer, a.Leaf.RawSubject) || old.CheckSignatureFrom(a.Leaf) != nil {
			continue
		}
		if now.After(a.Leaf.NotAfter) {
			return nil, errors.New("its authority has expired, too")
		}
		template := *old
		template.NotBefore, template.NotAfter = now.Add(-5*time.Minute), now.Add(24*time.Hour)
		return x509.CreateCertificate(rand.Reader, &template, a.Leaf, old.PublicKey, a.PrivateKey)
	}
	return nil, errors.New("the key of its authority is not in the backup")
}
