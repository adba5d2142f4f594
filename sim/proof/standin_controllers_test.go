package proof_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// controllerFault is a variable of the archived kube-controller-manager that
// tells its stand-in what to do.
const controllerFault = "STANDIN_CONTROLLER"

// standInController is a small kube-controller-manager or kube-scheduler: it
// speaks to the API server of its kubeconfig, takes its Lease, makes a Pod of a
// Deployment, and deletes what it is told to.
func standInController(name string) {
	flags := flagsOf(os.Args[1:])
	if _, ok := flags["version"]; ok {
		fmt.Println("Kubernetes v1.37.1")
		os.Exit(0)
	}
	c, err := newController(name, flags["kubeconfig"])
	if err == nil {
		does := ""
		if name == "kube-controller-manager" {
			does = os.Getenv(controllerFault)
		}
		err = c.work(does)
	}
	fmt.Printf("E1128 22:00:00.000000       1 run.go:72] \"command failed\" err=%q\n", err)
	os.Exit(1)
}

type controller struct {
	name, server string
	http         *http.Client
}

func newController(name, kubeconfig string) (*controller, error) {
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(config.Users[0].User.Certificate, config.Users[0].User.Key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.Clusters[0].Cluster.CA)
	return &controller{name, config.Clusters[0].Cluster.Server, &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}}}, nil
}

// ask is a request of one of its controllers.
func (c *controller) ask(as, method, path, body string) (string, error) {
	request, err := http.NewRequest(method, c.server+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", c.name+"/v1.37.1 (linux/amd64) kubernetes/0123abc/"+as)
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return string(answer), err
}

func (c *controller) work(fault string) error {
	if fault == "dies" {
		return errors.New("on purpose")
	}
	if fault == "idle" {
		time.Sleep(time.Minute)
	}
	for _, order := range strings.Split(fault, ",") { // "garbage-collector g"
		if as, name, ok := strings.Cut(order, " "); ok {
			if _, err := c.ask(as, http.MethodDelete, "/api/v1/namespaces/infra/configmaps/"+name, ""); err != nil {
				return err
			}
		}
	}
	for range 600 {
		lease := fmt.Sprintf(`{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":%q,"namespace":"kube-system"},"spec":{"renewTime":%q}}`, c.name, time.Now().UTC().Format(time.RFC3339Nano))
		if _, err := c.ask("leader-election", http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"+c.name, lease); err != nil {
			return err
		}
		if err := c.reconcile(); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("nobody has ended it")
}

// reconcile makes a Pod of the Deployment in the probe's Namespace, and sees that
// a Node is not ready.
func (c *controller) reconcile() error {
	if c.name != "kube-controller-manager" {
		return nil
	}
	if _, err := c.ask("node-controller", http.MethodPut, "/api/v1/nodes/node-1", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1"},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`); err != nil {
		return err
	}
	if _, err := c.ask("cronjob-controller", http.MethodPost, "/apis/batch/v1/namespaces/infra/jobs", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"report-1","namespace":"infra"}}`); err != nil {
		return err
	}
	found, err := c.ask("deployment-controller", http.MethodGet, "/apis/apps/v1/namespaces/lifeboat-prove/deployments", "")
	if err == nil && strings.Contains(found, "lifeboat-prove") {
		_, err = c.ask("replicaset-controller", http.MethodPut, "/api/v1/namespaces/lifeboat-prove/pods/p", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"lifeboat-prove"},"spec":{"nodeName":"node-1"}}`)
	}
	return err
}
