package local

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// kubeconfig is the part of k8s.io/client-go tools/clientcmd/api/v1.Config
// that is written.
type kubeconfig struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Clusters   []namedCluster `json:"clusters"`
	Users      []namedUser    `json:"users"`
	Contexts   []namedContext `json:"contexts"`
	Current    string         `json:"current-context"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server    string `json:"server"`
		Authority []byte `json:"certificate-authority-data"`
	} `json:"cluster"`
}

type namedUser struct {
	Name string `json:"name"`
	User struct {
		Token string `json:"token"`
	} `json:"user"`
}

type namedContext struct {
	Name    string `json:"name"`
	Context struct {
		Cluster string `json:"cluster"`
		User    string `json:"user"`
	} `json:"context"`
}

const userName = "lifeboat"

// writeKubeconfig writes a new file; the last context is the current one.
func writeKubeconfig(path, url string, authority []byte, token string, contexts []Context) error {
	config := kubeconfig{APIVersion: "v1", Kind: "Config", Users: []namedUser{{Name: userName}}}
	config.Users[0].User.Token = token
	for _, c := range contexts {
		cluster := namedCluster{Name: c.Name}
		cluster.Cluster.Server, cluster.Cluster.Authority = url+c.Path, authority
		context := namedContext{Name: c.Name}
		context.Context.Cluster, context.Context.User = c.Name, userName
		config.Clusters, config.Contexts = append(config.Clusters, cluster), append(config.Contexts, context)
		config.Current = c.Name
	}
	data, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("making a kubeconfig: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	if _, err = f.Write(data); err == nil {
		err = f.Close()
	} else {
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}
