package oracle

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Beyond the flags of harbour's manifests: its server was started so that
// Kubernetes' own storage test could create one object of every kind.
// TestServesWhatHarbourServed holds them against storage-paths.tsv.
const (
	featureGates  = "CoordinatedLeaderElection=true,DRAResourcePoolStatus=true,StorageVersionAPI=true"
	runtimeConfig = "admissionregistration.k8s.io/v1alpha1=true,admissionregistration.k8s.io/v1beta1=true," +
		"certificates.k8s.io/v1beta1=true,coordination.k8s.io/v1alpha2=true,coordination.k8s.io/v1beta1=true," +
		"internal.apiserver.k8s.io/v1alpha1=true,resource.k8s.io/v1alpha3=true,resource.k8s.io/v1beta1=true," +
		"resource.k8s.io/v1beta2=true,storagemigration.k8s.io/v1beta1=true"
)

// cluster is a control plane without nodes: etcd in this process,
// kube-apiserver and kube-controller-manager as its children, all on loopback.
type cluster struct {
	host       host
	etcd       *clientv3.Client
	client     kubernetes.Interface
	kubeconfig string // of a cluster administrator
	path       string // PATH with kubectl before everything else
	plain      bool   // without what harbour's server served beyond its flags
}

// startCluster starts an empty control plane from the flags, authorities and
// encryption keys of harbour, and waits until it is what an operator finds:
// ready, and with the objects that every cluster makes by itself.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{host: unpackHost(t)}
	c.startAll(t, linkPrograms(t))
	return c
}

// startAll starts the programs of a folder.
func (c *cluster) startAll(t *testing.T, bin string) {
	t.Helper()
	c.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	address := c.startAPIServer(t, filepath.Join(bin, "kube-apiserver"), c.startEtcd(t, filepath.Join(t.TempDir(), "etcd")))

	manager := c.writeKubeconfig(t, address, pkix.Name{CommonName: "system:kube-controller-manager"})
	controllers := c.start(t, filepath.Join(bin, "kube-controller-manager"), append(
		c.host.flags(t, "kube-controller-manager", "authentication-kubeconfig", "authorization-kubeconfig", "kubeconfig", "leader-elect"),
		"--kubeconfig="+manager, "--leader-elect=false", "--secure-port=0",
	))
	eventually(t, 3*time.Minute, "the controllers work", controllers, func(ctx context.Context) error {
		for _, namespace := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
			if _, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{}); err != nil {
				return err
			}
			if _, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// startAPIServer starts kube-apiserver over an etcd, waits until it is ready, and
// returns its address.
func (c *cluster) startAPIServer(t *testing.T, program, endpoint string, more ...string) (address string) {
	t.Helper()
	address = freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	servingCert, servingKey := c.host.issue(t, pkix.Name{CommonName: "kube-apiserver"}, net.IPv4(127, 0, 0, 1))
	flags := append(
		c.host.flags(t, "kube-apiserver", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-servers", "secure-port", "tls-cert-file", "tls-private-key-file"),
		"--etcd-servers="+endpoint, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--tls-cert-file="+servingCert, "--tls-private-key-file="+servingKey,
	)
	if !c.plain {
		flags = append(flags, "--feature-gates="+featureGates, "--runtime-config="+runtimeConfig)
	}
	api := c.start(t, program, append(flags, more...))
	c.kubeconfig = c.writeKubeconfig(t, address, pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}})
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	require.NoError(t, err)
	config.QPS, config.Burst = 200, 400
	c.client, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	eventually(t, 3*time.Minute, "kube-apiserver is ready", api, func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	return address
}

// startEtcd starts etcd on a data dir, which may be a new one, and returns its
// endpoint.
func (c *cluster) startEtcd(t *testing.T, dir string) string {
	t.Helper()
	config := embed.NewConfig()
	config.Dir = dir
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.AdvertiseClientUrls = anyPort, anyPort
	config.ListenPeerUrls, config.AdvertisePeerUrls = anyPort, anyPort
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(config)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	endpoint := "http://" + server.Clients[0].Addr().String()
	c.etcd, err = clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { c.etcd.Close() })
	return endpoint
}

// snapshot saves the database as `etcdctl snapshot save` does, its sha256
// trailer included.
func (c *cluster) snapshot(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := c.etcd.Snapshot(ctx)
	require.NoError(t, err)
	defer stream.Close()
	name := filepath.Join(t.TempDir(), "etcd-backup.snapshot")
	file, err := os.Create(name)
	require.NoError(t, err)
	_, err = io.Copy(file, stream)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return name
}

// settle waits until the controllers have done what they do about new
// objects: until nothing but heartbeats was written for a while. The garbage
// collector is among them, which deletes what names an owner that is gone.
func (c *cluster) settle(t *testing.T) {
	t.Helper()
	const quiet, patience = 10 * time.Second, 2 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	changes := c.etcd.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	timer := time.NewTimer(quiet)
	last := ""
	for {
		select {
		case <-timer.C:
			return
		case response, open := <-changes:
			require.True(t, open, "after %s the controllers still write; last %q", patience, last)
			for _, event := range response.Events {
				if last = string(event.Kv.Key); !heartbeat(last) {
					timer.Reset(quiet)
				}
			}
		}
	}
}

func heartbeat(key string) bool {
	for _, prefix := range []string{"/registry/leases/kube-system/", "/registry/masterleases/", "/registry/peerserverleases/", "/registry/events/", "/registry/storageversions/"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// child is a program of the control plane.
type child struct {
	name   string
	log    string // file
	exited chan struct{}
}

// start starts a program and stops it when the test ends.
func (c *cluster) start(t *testing.T, program string, args []string) *child {
	t.Helper()
	name := filepath.Base(program)
	p := &child{name: name, log: filepath.Join(t.TempDir(), name+".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(t, err)
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	_, err = cmd.StdinPipe() // exitWithParent; open until Wait returns
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	go func() {
		_ = cmd.Wait() // the log tells more than the exit code
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-p.exited
		}
		_ = log.Close()
	})
	return p
}

// tail is the end of the program's log.
func (p *child) tail() []byte {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.SplitAfter(log, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-30):], nil)
}

// eventually asks again until there is no error, the program has exited, or
// the time is over.
func eventually(t *testing.T, patience time.Duration, what string, p *child, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-p.exited:
			require.Fail(t, what, "%s exited:\n%s", p.name, p.tail())
		case <-ctx.Done():
			require.Fail(t, what, "not after %s: %v\n%s", patience, err, p.tail())
		case <-tick.C:
		}
	}
}

// freeAddress is a loopback address on which nothing listened a moment ago.
// kube-apiserver cannot be told to find one by itself.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// writeKubeconfig writes the access of a user to the server.
func (c *cluster) writeKubeconfig(t *testing.T, address string, user pkix.Name) string {
	t.Helper()
	certFile, keyFile := c.host.issue(t, user)
	config := clientcmdapi.NewConfig()
	config.Clusters["oracle"] = &clientcmdapi.Cluster{Server: "https://" + address, CertificateAuthority: c.host.path("pki/ca.crt")}
	config.AuthInfos["user"] = &clientcmdapi.AuthInfo{ClientCertificate: certFile, ClientKey: keyFile}
	config.Contexts["oracle"] = &clientcmdapi.Context{Cluster: "oracle", AuthInfo: "user"}
	config.CurrentContext = "oracle"
	name := c.host.path(fmt.Sprintf("%s.kubeconfig", user.CommonName))
	require.NoError(t, clientcmd.WriteToFile(*config, name))
	return name
}
