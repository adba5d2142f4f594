package controlplane

import (
	"crypto/tls"
	"crypto/x509"
	"path"
	"slices"
	"strings"
)

// Client is a certificate with its key by which the backup's owner could ask
// the API server. Printing one would print a key.
type Client struct {
	Where       string // the file inside the backup, and the user of a kubeconfig
	Groups      []string
	Certificate tls.Certificate
	Leaf        *x509.Certificate
}

// Master tells a client who may do everything, whatever RBAC says.
func (c Client) Master() bool { return slices.Contains(c.Groups, "system:masters") }

// Clients lists the client certificates that have their key in the backup: of
// kubeconfigs, and the API server's own for kubelets. Those of system:masters
// come first, else they are in the order of their files.
func (v *View) Clients() []Client {
	var found []Client
	add := func(where string, cert, key []byte) {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return // CheckPKI says what is wrong
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err == nil {
			found = append(found, Client{where, leaf.Subject.Organization, pair, leaf})
		}
	}
	for _, name := range v.Files() {
		if ext := path.Ext(name); ext != ".conf" && ext != ".kubeconfig" {
			continue
		}
		config, _ := parseKubeconfig(v.files[name].data)
		for _, u := range config.AuthInfos {
			add(name, u.AuthInfo.ClientCertificateData, u.AuthInfo.ClientKeyData)
		}
	}
	const kubelets = pkiDir + "apiserver-kubelet-client"
	if cert, key := v.files[kubelets+".crt"], v.files[kubelets+".key"]; cert != nil && key != nil {
		add(kubelets+".crt", cert.data, key.data)
	}
	slices.SortStableFunc(found, func(a, b Client) int {
		switch {
		case a.Master() == b.Master():
			return 0
		case a.Master():
			return -1
		}
		return 1
	})
	return found
}

// Servers are the addresses at which a component looks for the API server: those
// of the kubeconfigs that its flags name, as "https://192.0.2.80:6443".
func (v *View) Servers(component string) (all []string) {
	for _, m := range v.Mentions() {
		name, ok := backupPath(m.Host)
		if !ok || m.Component != component || !strings.HasSuffix(m.Flag, "kubeconfig") || v.files[name] == nil {
			continue
		}
		config, _ := parseKubeconfig(v.files[name].data) // CheckPKI says what is wrong
		for _, c := range config.Clusters {
			if c.Cluster.Server != "" && !slices.Contains(all, c.Cluster.Server) {
				all = append(all, c.Cluster.Server)
			}
		}
	}
	return all
}

// Authority is the cluster's CA with its key, for what has to be signed anew.
func (v *View) Authority() (tls.Certificate, error) {
	cert, err := v.ReadFile(pkiDir + "ca.crt")
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := v.ReadFile(pkiDir + "ca.key")
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, errNoKey // the parser's own words may quote the key
	}
	pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	return pair, err
}
