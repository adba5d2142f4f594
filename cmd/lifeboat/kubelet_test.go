package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	bolt "go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/archive/host"
)

// kubelet is what a host's kubelet does, as far as etcd is concerned: it runs
// what the manifest says, stops it when the manifest goes, and starts it anew
// when the manifest changes.
type kubelet struct {
	running *exec.Cmd
	sum     [sha256.Size]byte
}

// clientSocket stands in the root folder.
const clientSocket = "client:1"

const manifestFile = "etc/kubernetes/manifests/etcd.yaml"

// kubeletMain is the program: kubelet ROOT.
func kubeletMain() {
	if err := runKubelet(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runKubelet(dir string) error {
	if err := os.Chdir(dir); err != nil { // sockets have short names
		return err
	}
	k, parent := &kubelet{}, os.Getppid()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	for {
		if err := k.sync(); err != nil {
			return err
		}
		select {
		case <-stop:
			return k.stop()
		case <-time.After(50 * time.Millisecond):
			if os.Getppid() != parent { // the test was killed
				return k.stop()
			}
		}
	}
}

// stop is the end of the grace period: an etcd without a quorum does not end by
// itself.
func (k *kubelet) stop() error {
	if k.running == nil {
		return nil
	}
	err := k.running.Process.Kill()
	k.running.Wait() //nolint:errcheck // it was killed
	k.running = nil
	return err
}

func (k *kubelet) sync() error {
	data, err := os.ReadFile(manifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		k.sum = [sha256.Size]byte{}
		return k.stop()
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if sum == k.sum {
		return nil
	}
	k.sum = sum
	if err := k.stop(); err != nil {
		return err
	}
	for _, socket := range []string{clientSocket, "peer:1"} {
		if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	k.running = exec.Command("static-pod")
	k.running.Stderr = os.Stderr
	return k.running.Start()
}

// staticPodMain is etcd: the real one, in the root folder, with the manifest's
// flags but for what hangs on the host. It listens on sockets, without
// certificates.
func staticPodMain() {
	parent := os.Getppid()
	data, err := os.ReadFile(manifestFile)
	if err == nil {
		var cfg *embed.Config
		if cfg, err = etcdConfig(data); err == nil {
			_, err = embed.StartEtcd(cfg)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for os.Getppid() == parent { // it does not outlive kubelet
		time.Sleep(100 * time.Millisecond)
	}
}

// etcdConfig is the manifest's own.
func etcdConfig(data []byte) (*embed.Config, error) {
	root, err := host.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	e, err := controlplane.Edit(data, controlplane.Etcd)
	if err != nil {
		return nil, err
	}
	flag := func(name string) string {
		if given := e.Given(name); len(given) > 0 {
			return given[len(given)-1]
		}
		return ""
	}
	real, err := root.Resolve(flag("data-dir"), true)
	if err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = flag("name"), root.Path(real), flag("initial-cluster")
	cfg.ForceNewCluster = flag("force-new-cluster") == "true"
	if quota := flag("quota-backend-bytes"); quota != "" {
		if cfg.QuotaBackendBytes, err = strconv.ParseInt(quota, 10, 64); err != nil {
			return nil, err
		}
	}
	cfg.LogLevel, cfg.LogOutputs, cfg.UnsafeNoFsync = "fatal", []string{"/dev/null"}, true
	peer, err := url.Parse(flag("initial-advertise-peer-urls"))
	if err != nil {
		return nil, err
	}
	cfg.AdvertisePeerUrls = []url.URL{*peer}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: "peer:1"}}
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Host: clientSocket}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	return cfg, nil
}

// master makes a host of the harbour cluster: master ROOT MEMBER. Its data dir
// stands where Deckhouse has it, behind a symbolic link.
func master(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: master ROOT MEMBER")
	}
	root := ts.MkAbs(args[0])
	data := filepath.Join(root, "mnt/kubernetes-data/var-lib-etcd")
	for _, dir := range []string{data, filepath.Join(root, "etc"), filepath.Join(root, "var/lib"), filepath.Join(root, "root/.kube")} {
		ts.Check(os.MkdirAll(dir, 0o700))
	}
	ts.Check(os.WriteFile(filepath.Join(root, "root/.kube/config"), []byte("kind: Config\n"), 0o600))
	ts.Check(os.WriteFile(filepath.Join(root, "etc/hostname"), []byte("master-0\n"), 0o600))
	ts.Check(os.Symlink("/mnt/kubernetes-data/var-lib-etcd", filepath.Join(root, "var/lib/etcd")))
	ts.Check(ts.Exec("lifeboat", "archive", "unpack", filepath.Join(ts.Getenv("HARBOUR"), "kube-backup.tar.gz"), "kubernetes", "--to", root+".unpacked"))
	ts.Check(os.Rename(filepath.Join(root+".unpacked", "kubernetes"), filepath.Join(root, "etc/kubernetes")))
	ts.Check(os.RemoveAll(root + ".unpacked"))
	if args[1] != "none" {
		ts.Check(unpackMembers(ts.Getenv("HARBOUR"), root+".members", args[1]))
		ts.Check(os.Rename(filepath.Join(root+".members", args[1], "member"), filepath.Join(data, "member")))
		ts.Check(os.RemoveAll(root + ".members"))
	}
}

// serves waits until the etcd of a host answers with a key, and with so many below
// /registry: serves ROOT KEY [NUMBER].
func serves(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: serves ROOT KEY [NUMBER]")
	}
	number := int64(0)
	if len(args) == 3 {
		var err error
		number, err = strconv.ParseInt(args[2], 10, 64)
		ts.Check(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	said := error(nil)
	for {
		err := holds(ctx, ts.MkAbs(args[0]), args[1], number)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("%s does not serve %s: %v", args[0], args[1], said)
		}
		said = err
		time.Sleep(100 * time.Millisecond)
	}
}

func holds(ctx context.Context, root, key string, number int64) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + filepath.Join(root, clientSocket)}, DialTimeout: time.Second})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	got, err := client.Get(ctx, key)
	switch {
	case err != nil:
		return err
	case got.Count != 1:
		return fmt.Errorf("%d keys", got.Count)
	}
	all, err := client.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	switch {
	case err != nil:
		return err
	case number > 0 && all.Count != number:
		return fmt.Errorf("%d keys below /registry/", all.Count)
	}
	members, err := client.MemberList(ctx)
	if err == nil && len(members.Members) != 1 {
		err = fmt.Errorf("%d members", len(members.Members))
	}
	return err
}

// running waits until an etcd holds the host's database: running ROOT.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: running ROOT")
	}
	file := filepath.Join(ts.MkAbs(args[0]), "mnt/kubernetes-data/var-lib-etcd/member/snap/db")
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		f, err := os.Open(file)
		ts.Check(err)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) != neg {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("after a minute: running is %v", neg)
		}
	}
}

// tree lists what stands below folders, with modes, owners, times and sums: tree
// FILE DIR...
func tree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: tree FILE DIR...")
	}
	var out bytes.Buffer
	for _, dir := range args[1:] {
		dir = ts.MkAbs(dir)
		ts.Check(filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			stat, _ := info.Sys().(*syscall.Stat_t)
			fmt.Fprintf(&out, "%s %v %d:%d %s", strings.TrimPrefix(name, dir), info.Mode(), stat.Uid, stat.Gid, info.ModTime().UTC())
			if info.Mode().IsRegular() {
				data, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, " %x", sha256.Sum256(data))
			}
			out.WriteString("\n")
			return nil
		}))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}

// containerdStore makes a containerd's store with whole images: containerd ROOT
// NAME...
func containerdStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: containerd ROOT NAME...")
	}
	dir := ts.MkAbs(filepath.Join(args[0], "var/lib/containerd"))
	blobs, meta := filepath.Join(dir, "io.containerd.content.v1.content/blobs/sha256"), filepath.Join(dir, "io.containerd.metadata.v1.bolt")
	for _, folder := range []string{blobs, meta} {
		ts.Check(os.MkdirAll(folder, 0o700))
	}
	blob := func(content string) string {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		ts.Check(os.WriteFile(filepath.Join(blobs, sum), []byte(content), 0o600))
		return "sha256:" + sum
	}
	db, err := bolt.Open(filepath.Join(meta, "meta.db"), 0o600, nil)
	ts.Check(err)
	for _, name := range args[1:] {
		config := `{"name":"` + name + `"}`
		manifest := fmt.Sprintf(`{"config":{"digest":%q,"size":%d}}`, blob(config), len(config))
		ts.Check(db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("v1"))
			for _, bucket := range []string{"k8s.io", "images", name, "target"} {
				if err == nil {
					b, err = b.CreateBucketIfNotExists([]byte(bucket))
				}
			}
			if err != nil {
				return err
			}
			return errors.Join(b.Put([]byte("digest"), []byte(blob(manifest))), b.Put([]byte("size"), binary.AppendVarint(nil, int64(len(manifest)))))
		}))
	}
	ts.Check(db.Close())
}
