package controlplane

import (
	"strings"

	"sigs.k8s.io/yaml"
)

// kubeconfig is as much of one as a component needs to reach its API server
// (k8s.io/client-go/tools/clientcmd/api/v1).
type kubeconfig struct {
	Current  string `json:"current-context"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string         `json:"name"`
		User map[string]any `json:"user"`
	} `json:"users"`
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
	var k kubeconfig
	if yaml.Unmarshal(data, &k) != nil {
		return "is no kubeconfig in YAML or JSON"
	}
	for _, context := range k.Contexts {
		if context.Name != k.Current || k.Current == "" {
			continue
		}
		if fault := k.clusterFault(context.Context.Cluster); fault != "" {
			return fault
		}
		return k.userFault(context.Context.User)
	}
	return "has no current context"
}

func (k *kubeconfig) clusterFault(name string) string {
	for _, c := range k.Clusters {
		switch {
		case c.Name != name:
		case c.Cluster.Server == "":
			return "names no server"
		case len(c.Cluster.CA) > 0 && len(certificatesIn(c.Cluster.CA)) == 0:
			return "holds a CA that cannot be read"
		default:
			return ""
		}
	}
	return "lacks the cluster of its current context"
}

func (k *kubeconfig) userFault(name string) string {
	for _, u := range k.Users {
		if u.Name == name && len(u.User) > 0 {
			return ""
		}
	}
	return "lacks the credentials of its current context"
}
