package controlplane

import (
	"fmt"
	"slices"
	"strings"
)

// Etcdctl is etcdctl with the endpoint and the certificates of an etcd manifest,
// as the container of etcd sees them; kubeadm's where the manifest has none or
// cannot be read.
func Etcdctl(manifest []byte) string {
	flag := func(name, otherwise string) string {
		if e, err := Edit(manifest, Etcd); err == nil {
			if given := e.Given(name); len(given) > 0 {
				return given[len(given)-1]
			}
		}
		return otherwise
	}
	const pki = "/etc/kubernetes/pki/etcd/"
	endpoint := "https://127.0.0.1:2379"
	if urls := strings.FieldsFunc(flag("listen-client-urls", ""), func(r rune) bool { return r == ',' }); len(urls) > 0 && !slices.Contains(urls, endpoint) {
		endpoint = urls[0]
	}
	return fmt.Sprintf("etcdctl --cacert %s --cert %s --key %s --endpoints %s",
		flag("trusted-ca-file", pki+"ca.crt"), flag("cert-file", pki+"server.crt"), flag("key-file", pki+"server.key"), endpoint)
}
