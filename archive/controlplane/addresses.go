package controlplane

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Unanswered is an address under which a component is reached, and which its
// serving certificate does not name: its clients refuse the connection.
type Unanswered struct {
	Component string `json:"component"`
	Flag      string `json:"flag"`    // the flag that has the address, without dashes
	Address   string `json:"address"` // a host name or an IP address
	File      string `json:"file"`    // the certificate, inside the backup
}

// served says which certificate a component shows to whom comes by an address.
type served struct{ component, address, certificate string }

// servedAddresses are the flags that tell clients where to come, and the flags
// with the certificate that is shown there.
var servedAddresses = []served{
	{APIServer, "advertise-address", "tls-cert-file"},
	{Etcd, "advertise-client-urls", "cert-file"},
	{Etcd, "listen-client-urls", "cert-file"},
	{Etcd, "initial-advertise-peer-urls", "peer-cert-file"},
}

// Unanswered holds the names in serving certificates against the addresses that
// the flags give, and counts the addresses that it looked at. What cannot be
// read is not counted: CheckPKI names it.
func (v *View) Unanswered() (wrong []Unanswered, looked int) {
	for _, s := range servedAddresses {
		flags, ok := v.Flags(s.component)
		file := v.mentioned(s.component, flags[s.certificate])
		if !ok || file == "" {
			continue
		}
		cert := leaf(v.files[file].data)
		if cert == nil {
			continue
		}
		for _, address := range hosts(flags[s.address]) {
			looked++
			if cert.VerifyHostname(address) != nil {
				wrong = append(wrong, Unanswered{s.component, s.address, address, file})
			}
		}
	}
	return wrong, looked
}

// mentioned is the file of the backup that a component's path leads to, ""
// for none.
func (v *View) mentioned(component, inside string) string {
	m, c := v.component(component)
	if c == nil || inside == "" {
		return ""
	}
	name, ok := backupPath(v.mention(m, c, component, "", inside).Host)
	if !ok || v.files[name] == nil {
		return ""
	}
	return name
}

// leaf is the first certificate of a PEM file, nil for none.
func leaf(data []byte) *x509.Certificate {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil
			}
			return cert
		}
	}
}

// hosts are the hosts of an address or of https URLs with commas between them.
// Unspecified addresses are where a server listens, and nobody's to go to.
func hosts(value string) []string {
	var found []string
	for _, word := range list(value) {
		host := strings.TrimSpace(word)
		if u, err := url.Parse(host); err == nil && u.Scheme != "" {
			if u.Scheme != "https" {
				continue
			}
			host = u.Hostname()
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || slices.Contains(found, host) {
			continue
		}
		found = append(found, host)
	}
	return found
}
