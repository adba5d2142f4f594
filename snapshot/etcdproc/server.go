package etcdproc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/etcdhttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/features"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// etcd's own way to start a server is its embed package. A program that links
// it asks the kernel for the default route over a netlink socket before main
// runs (server/embed/config.go, init), also when it only decrypts a file. So
// this file does what embed.StartEtcd does with embed.NewConfig: a server over
// the data dir, rafthttp on one socket, gRPC on another. A test holds the
// configuration against embed's, field by field.

// serverConfig is embed's default configuration of the member name over dir.
func serverConfig(lg *zap.Logger, name, dir string, peer, client types.URLs) config.ServerConfig {
	const tick, election = 100, 1000 // milliseconds
	return config.ServerConfig{
		Name: name, DataDir: dir, PeerURLs: peer, ClientURLs: client,
		SnapshotCount: etcdserver.DefaultSnapshotCount, SnapshotCatchUpEntries: etcdserver.DefaultSnapshotCatchUpEntries,
		MaxSnapFiles: 5, MaxWALFiles: 5,
		BackendFreelistType: bolt.FreelistMapType,
		NewCluster:          true,
		CORS:                map[string]struct{}{"*": {}}, HostWhitelist: map[string]struct{}{"*": {}},
		TickMs: tick, ElectionTicks: election / tick, InitialElectionTickAdvance: true,
		AutoCompactionMode: "periodic",
		MaxTxnOps:          128, MaxRequestBytes: 1.5 * 1024 * 1024, MaxConcurrentStreams: math.MaxUint32,
		WarningApplyDuration: 100 * time.Millisecond, WarningUnaryRequestDuration: 300 * time.Millisecond,
		StrictReconfigCheck: true,
		AuthToken:           "simple", BcryptCost: uint(bcrypt.DefaultCost), TokenTTL: 300,
		CompactHashCheckTime: time.Minute, DowngradeCheckTime: 5 * time.Second,
		PreVote: true, MaxLearners: membership.DefaultMaxLearners,
		V2Deprecation: config.V2DeprDefault, ServerFeatureGate: features.NewDefaultServerFeatureGate("default", nil),
		Metrics: "basic", Logger: lg,
	}
}

// isMember tells a data dir that has a log: its members stand in there, and
// etcd asks for no list of them (server/embed/util.go, isMemberInitialized).
func isMember(dir string) bool { return wal.Exist(filepath.Join(dir, "member", "wal")) }

// server is a member that answers peers and clients on unix sockets.
type server struct {
	*etcdserver.EtcdServer
	peers   *http.Server
	clients *grpc.Server
	failed  chan error // of the listeners, before stop
}

// serveSockets starts a member. Clients are answered from when it is ready on;
// until then they wait in the socket's queue.
func serveSockets(cfg config.ServerConfig, peer, client string) (s *server, err error) {
	peers, err := transport.NewListenerWithOpts(peer, "unix", transport.WithTimeout(rafthttp.ConnReadTimeout, rafthttp.ConnWriteTimeout))
	if err != nil {
		return nil, err
	}
	clients, err := transport.NewListenerWithOpts(client, "unix")
	if err != nil {
		return nil, errors.Join(err, peers.Close())
	}
	s = &server{failed: make(chan error, 2)}
	if s.EtcdServer, err = etcdserver.NewServer(cfg); err != nil {
		return nil, errors.Join(err, peers.Close(), clients.Close())
	}
	s.Start()
	s.peers = &http.Server{
		Handler: etcdhttp.NewPeerHandler(cfg.Logger, s.EtcdServer), ReadTimeout: 5 * time.Minute,
		ErrorLog: zap.NewStdLog(zap.NewNop()),
	}
	s.clients = v3rpc.Server(s.EtcdServer, nil, nil,
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Hour, Timeout: 20 * time.Second}))
	go func() { s.failed <- s.peers.Serve(peers) }()
	go s.serveClients(clients)
	return s, nil
}

func (s *server) serveClients(l net.Listener) {
	select {
	case <-s.ReadyNotify():
		s.failed <- s.clients.Serve(l)
	case <-s.StoppingNotify():
		_ = l.Close() // nobody was answered on it
	}
}

// stop ends the member in order: clients, the server, peers
// (server/embed/etcd.go, Close).
func (s *server) stop() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.clients.GracefulStop()
	}()
	select {
	case <-ended:
	case <-time.After(s.Cfg.ReqTimeout()): // a watch stays as long as its client
		s.clients.Stop()
		<-ended
	}
	s.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.peers.Shutdown(ctx) != nil {
		_ = s.peers.Close() // the process ends next
	}
}

// initialMembers reads name=URL,name=URL into the configuration of a member
// that has no data yet.
func initialMembers(cfg *config.ServerConfig, list, token string) (err error) {
	if isMember(cfg.DataDir) {
		return nil
	}
	if cfg.InitialPeerURLsMap, err = types.NewURLsMap(list); err != nil {
		return fmt.Errorf("reading the initial cluster %q: %w", list, err)
	}
	cfg.InitialClusterToken = token
	return nil
}
