package etcdproc

import (
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// A member is configured as etcd's embed package would configure it, field by
// field: on its first start, and over data.
func TestConfiguredAsEmbedDoes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	peer, err := url.Parse(PeerURL("m1"))
	require.NoError(t, err)
	client, err := url.Parse(PeerURL(clientHost))
	require.NoError(t, err)
	for _, existing := range []bool{false, true} {
		asked := MemberConfig{
			Name: "m1", InitialCluster: "m1=" + peer.String(), Token: "token", Existing: existing, NoPreVote: existing,
			Quota: 1 << 30, Tick: 20 * time.Millisecond, Election: 300 * time.Millisecond,
		}
		ours, err := memberConfig(asked)
		require.NoError(t, err)
		ours.DataDir, ours.InitialPeerURLsMap, ours.InitialClusterToken = dir, nil, ""
		require.NoError(t, initialMembers(&ours, asked.InitialCluster, asked.Token))

		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = asked.Name, dir
		cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = nil, types.URLs{*peer}
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = nil, types.URLs{*client}
		cfg.EnableGRPCGateway = false
		cfg.InitialCluster, cfg.InitialClusterToken = asked.InitialCluster, asked.Token
		if asked.Existing {
			cfg.ClusterState = embed.ClusterStateFlagExisting
		}
		cfg.QuotaBackendBytes, cfg.UnsafeNoFsync, cfg.PreVote = asked.Quota, true, !asked.NoPreVote
		cfg.TickMs, cfg.ElectionMs = uint(asked.Tick/time.Millisecond), uint(asked.Election/time.Millisecond)
		etcd, err := embed.StartEtcd(cfg)
		require.NoError(t, err)
		<-etcd.Server.ReadyNotify()
		theirs := etcd.Server.Cfg
		etcd.Close()

		require.Equal(t, existing, theirs.InitialPeerURLsMap == nil, "what each round is there for")
		require.Equal(t, theirs.ServerFeatureGate.String(), ours.ServerFeatureGate.String())
		require.Equal(t, settings(theirs), settings(ours))
	}
}

// settings leaves out what is an object of each process, and what embed fills
// in of discovery and TLS where neither is used.
func settings(cfg config.ServerConfig) config.ServerConfig {
	cfg.Logger, cfg.ServerFeatureGate = nil, nil
	if len(cfg.DiscoveryCfg.Endpoints) == 0 {
		cfg.DiscoveryCfg = config.ServerConfig{}.DiscoveryCfg
	}
	if cfg.PeerTLSInfo.Empty() {
		cfg.PeerTLSInfo = config.ServerConfig{}.PeerTLSInfo
	}
	return cfg
}
