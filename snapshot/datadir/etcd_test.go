package datadir_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// clusterEnv makes the test binary a real etcd cluster of its own, of the
// members that it names, as JSON; see serveCluster.
const clusterEnv = "LIFEBOAT_TEST_CLUSTER"

// etcdConfig is that of a member that listens for its peers only.
func etcdConfig(name, dir string, peer url.URL) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = name, dir
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = nil, nil
	cfg.EnableGRPCGateway = false
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.InitialCluster = name + "=" + peer.String()
	return cfg
}

// loopback is a peer URL that nobody else uses. Its port is below those that
// systems give to outgoing connections (from 32768, RFC 6335 from 49152): one of
// those could have it before the member listens.
func loopback(t testing.TB) url.URL {
	t.Helper()
	for range 1000 {
		host := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(22_000)))
		if l, err := net.Listen("tcp", host); err == nil {
			require.NoError(t, l.Close())
			return url.URL{Scheme: "http", Host: host}
		}
	}
	t.Fatal("no port is free")
	return url.URL{}
}

// start runs an etcd on a data dir until the test ends.
func start(t testing.TB, cfg *embed.Config) *embed.Etcd {
	t.Helper()
	e, _ := startUntil(t, cfg)
	return e
}

// startUntil is start with an end of its own.
func startUntil(t testing.TB, cfg *embed.Config) (e *embed.Etcd, stop func()) {
	t.Helper()
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	stop = sync.OnceFunc(e.Close) // a second Close panics
	t.Cleanup(stop)
	return e, stop
}

func ready(t testing.TB, s *etcdserver.EtcdServer) *clientv3.Client {
	t.Helper()
	select {
	case <-s.ReadyNotify():
	case <-time.After(30 * time.Second):
		require.FailNow(t, "etcd is not ready")
	}
	return v3client.New(s)
}

// works puts, reads, deletes and grants on a running cluster.
func works(t testing.TB, c *clientv3.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	before, err := c.Get(ctx, "/new", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Empty(t, before.Kvs)
	lease, err := c.Grant(ctx, 3600)
	require.NoError(t, err)
	put, err := c.Put(ctx, "/new/key", "value", clientv3.WithLease(lease.ID))
	require.NoError(t, err)
	require.Equal(t, before.Header.Revision+1, put.Header.Revision)
	txn, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value("/new/key"), "=", "value")).Then(clientv3.OpDelete("/new/key")).Commit()
	require.NoError(t, err)
	require.True(t, txn.Succeeded)
}

// crash makes a cluster of one in a child, writes to it and kills it with
// SIGKILL: the log is as it was at the last fsync.
func crash(t testing.TB, dir string, writes int) {
	t.Helper()
	peer := loopback(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), clusterEnv+"="+strings.Join([]string{dir, peer.String(), strconv.Itoa(writes)}, " "))
	out, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	require.True(t, errors.As(err, &exit) && exit.ExitCode() == -1, "killed, not ended: %v: %s", err, out)
}

// serveCluster is the child's part.
func serveCluster(spec string) error {
	var dir, peerText string
	var writes int
	if _, err := fmt.Sscan(spec, &dir, &peerText, &writes); err != nil {
		return err
	}
	peer, err := url.Parse(peerText)
	if err != nil {
		return err
	}
	cfg := etcdConfig("one", dir, *peer)
	cfg.BackendBatchInterval, cfg.BackendBatchLimit = time.Hour, 1<<30 // all of it stays in the log
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	<-e.Server.ReadyNotify()
	c := v3client.New(e.Server)
	for i := range writes {
		if _, err := c.Put(context.Background(), fmt.Sprintf("/k/%d", i%7), strconv.Itoa(i)); err != nil {
			return err
		}
	}
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return p.Kill()
}

func withRev(rev int64) []clientv3.OpOption {
	return []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(rev)}
}
