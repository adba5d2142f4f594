package archives

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// describe fills in what the archive says of itself.
func (x *creation) describe(ctx context.Context) error {
	phase := x.env.Progress.Start("hashing the history", 0)
	defer phase.Done()
	hash, err := x.src.Db.HashKV(ctx, 0)
	if err != nil {
		return err
	}
	x.manifest.Etcd.Hash = hash.Hash
	members, _, err := x.src.Db.Members()
	if err != nil {
		return err
	}
	for _, m := range members {
		x.manifest.Etcd.Members = append(x.manifest.Etcd.Members, m.Name)
	}
	if x.src.Replay != nil {
		x.manifest.Etcd.ClusterID = strconv.FormatUint(x.src.Replay.Survivor.Log.ClusterID, 16)
	}
	if x.src.Control != nil {
		x.manifest.KubernetesVersion, _ = x.src.Control.KubernetesVersion()
	}
	x.manifest.Cluster, err = clusterUID(ctx, x.env, x.src, x.opts)
	if err != nil {
		x.env.Warn("no namespace kube-system can be read in the snapshot (%v): is it one of Kubernetes?", err)
	}
	return nil
}

// clusterUID is the UID of the namespace kube-system, by which Kubernetes'
// own tools tell clusters apart; "" when there is none.
func clusterUID(ctx context.Context, env *console.Environment, src *console.Source, opts console.SourceOptions) (string, error) {
	regOpts, err := src.RegistryOptions(env, opts)
	if err != nil {
		return "", err
	}
	want := func(k registry.Key) bool { return k.Resource() == "namespaces" && k.Name == "kube-system" }
	for o, err := range registry.New(src.Db, regOpts).Objects(ctx, want) {
		if err != nil {
			return "", err
		}
		if namespace, ok := o.Typed.(*corev1.Namespace); ok {
			return string(namespace.UID), nil
		}
	}
	return "", errors.New("it is not there")
}

func digestOf(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, console.NewContextReader(ctx, file)); err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// comment is the trusted comment of the signature.
func (x *creation) comment() string {
	const most = 100 // recipients, within minisign's bound
	names := fingerprints(x.recipients)
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and-%d-more", more))
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	return fmt.Sprintf("lifeboat archive cluster=%s revision=%d time=%s recipients=%s",
		console.OrDash(x.manifest.Cluster), x.manifest.Etcd.Revision, x.manifest.Time.UTC().Format(time.RFC3339), strings.Join(names, ","))
}
