package controlplane

import (
	"reflect"
	"strings"

	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/yaml"
)

// parseKubeconfig reads a kubeconfig as client-go does, but takes fields that it
// does not know; ok is false for what is none. Its error may quote keys.
func parseKubeconfig(data []byte) (config clientcmdv1.Config, ok bool) {
	if yaml.Unmarshal(data, &config) != nil {
		return clientcmdv1.Config{}, false
	}
	return config, true
}

// kubeconfigs judges the kubeconfigs that components are started with: a cut
// one is often valid YAML still. Empty and missing files are Mentions.
func (c *pkiCheck) kubeconfigs() {
	seen := map[string]bool{}
	for _, m := range c.view.Mentions() {
		name, ok := backupPath(m.Host)
		if !ok || seen[name] || m.Place != InBackup || !strings.HasSuffix("-"+m.Flag, "-kubeconfig") {
			continue
		}
		seen[name] = true
		if file := c.view.files[name]; file != nil {
			if fault := kubeconfigFault(file.data); fault != "" {
				c.say(name, false, false, "%s: %s would not reach its API server", fault, m.Component)
			}
		}
	}
}

// kubeconfigFault says why no client can be made of a kubeconfig, "" where one
// can. It quotes nothing of the file.
func kubeconfigFault(data []byte) string {
	k, ok := parseKubeconfig(data)
	if !ok {
		return "is no kubeconfig in YAML or JSON"
	}
	for _, context := range k.Contexts {
		if context.Name != k.CurrentContext || k.CurrentContext == "" {
			continue
		}
		if fault := clusterFault(k.Clusters, context.Context.Cluster); fault != "" {
			return fault
		}
		return userFault(k.AuthInfos, context.Context.AuthInfo)
	}
	return "has no current context"
}

func clusterFault(clusters []clientcmdv1.NamedCluster, name string) string {
	for _, c := range clusters {
		switch {
		case c.Name != name:
		case c.Cluster.Server == "":
			return "names no server"
		case len(c.Cluster.CertificateAuthorityData) > 0 && len(certificatesIn(c.Cluster.CertificateAuthorityData)) == 0:
			return "holds a CA that cannot be read"
		default:
			return ""
		}
	}
	return "lacks the cluster of its current context"
}

func userFault(users []clientcmdv1.NamedAuthInfo, name string) string {
	for _, u := range users {
		if u.Name == name && !reflect.ValueOf(u.AuthInfo).IsZero() {
			return ""
		}
	}
	return "lacks the credentials of its current context"
}
