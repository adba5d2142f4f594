package etcdproc

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/tlsutil"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/etcdhttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// archivedTask is the value of childEnv for a child that serves on the network,
// as the flags of a static Pod say. It stands in a sandbox; what it does to the
// data dir is for good.
const archivedTask = "archived"

// ArchivedServer is the command line by which this program serves as the etcd
// that flags describe, by name without dashes, on its addresses and with its
// certificates. dropped are the flags that it does without, sorted.
func ArchivedServer(flags map[string]string) (args, env, dropped []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if archivedFlags()[name] == nil {
			dropped = append(dropped, name)
			continue
		}
		args = append(args, "--"+name+"="+flags[name])
	}
	_, err = parseArchived(args)
	return args, []string{childEnv + "=" + archivedTask}, dropped, err
}

// archived is what flags say.
type archived struct {
	cfg                      config.ServerConfig
	listenClient, listenPeer types.URLs
	client, peer             transport.TLSInfo
	heartbeat, election      uint // milliseconds
}

// setter puts the value of a flag where it belongs.
type setter func(a *archived, value string) error

// archivedFlags are the flags that the child follows (etcd server/embed/config.go,
// AddFlags). The members and their cluster stand in the data.
func archivedFlags() map[string]setter {
	ignore := func(*archived, string) error { return nil }
	all := map[string]setter{
		"initial-cluster": ignore, "initial-cluster-state": ignore, "initial-cluster-token": ignore,
		"name":     func(a *archived, v string) error { a.cfg.Name = v; return nil },
		"data-dir": func(a *archived, v string) error { a.cfg.DataDir = v; return nil },
		"wal-dir":  func(a *archived, v string) error { a.cfg.DedicatedWALDir = v; return nil },

		"listen-client-urls":          func(a *archived, v string) error { return urls(&a.listenClient, v) },
		"listen-peer-urls":            func(a *archived, v string) error { return urls(&a.listenPeer, v) },
		"advertise-client-urls":       func(a *archived, v string) error { return urls(&a.cfg.ClientURLs, v) },
		"initial-advertise-peer-urls": func(a *archived, v string) error { return urls(&a.cfg.PeerURLs, v) },

		"heartbeat-interval":        func(a *archived, v string) error { return number(&a.heartbeat, v) },
		"election-timeout":          func(a *archived, v string) error { return number(&a.election, v) },
		"snapshot-count":            func(a *archived, v string) error { return number(&a.cfg.SnapshotCount, v) },
		"max-request-bytes":         func(a *archived, v string) error { return number(&a.cfg.MaxRequestBytes, v) },
		"max-txn-ops":               func(a *archived, v string) error { return number(&a.cfg.MaxTxnOps, v) },
		"quota-backend-bytes":       func(a *archived, v string) error { return number(&a.cfg.QuotaBackendBytes, v) },
		"auto-compaction-mode":      func(a *archived, v string) error { a.cfg.AutoCompactionMode = v; return nil },
		"auto-compaction-retention": retention,
		"watch-progress-notify-interval": func(a *archived, v string) (err error) {
			a.cfg.WatchProgressNotifyInterval, err = time.ParseDuration(v)
			return err
		},
		"cipher-suites": func(a *archived, v string) (err error) {
			a.client.CipherSuites, err = tlsutil.GetCipherSuites(strings.Split(v, ","))
			a.peer.CipherSuites = a.client.CipherSuites
			return err
		},
		"tls-min-version": func(a *archived, v string) (err error) {
			a.client.MinVersion, err = tlsutil.GetTLSVersion(v)
			a.peer.MinVersion = a.client.MinVersion
			return err
		},
		"tls-max-version": func(a *archived, v string) (err error) {
			a.client.MaxVersion, err = tlsutil.GetTLSVersion(v)
			a.peer.MaxVersion = a.client.MaxVersion
			return err
		},
	}
	all["experimental-watch-progress-notify-interval"] = all["watch-progress-notify-interval"] // its name before 3.6
	for prefix, of := range map[string]func(*archived) *transport.TLSInfo{
		"":      func(a *archived) *transport.TLSInfo { return &a.client },
		"peer-": func(a *archived) *transport.TLSInfo { return &a.peer },
	} {
		maps.Copy(all, tlsFlags(prefix, of))
	}
	return all
}

func tlsFlags(prefix string, of func(*archived) *transport.TLSInfo) map[string]setter {
	crl := prefix + "crl-file"
	if prefix == "" {
		crl = "client-crl-file"
	}
	return map[string]setter{
		prefix + "cert-file":       func(a *archived, v string) error { of(a).CertFile = v; return nil },
		prefix + "key-file":        func(a *archived, v string) error { of(a).KeyFile = v; return nil },
		prefix + "trusted-ca-file": func(a *archived, v string) error { of(a).TrustedCAFile = v; return nil },
		crl:                        func(a *archived, v string) error { of(a).CRLFile = v; return nil },
		prefix + "client-cert-auth": func(a *archived, v string) (err error) {
			of(a).ClientCertAuth, err = strconv.ParseBool(v)
			return err
		},
	}
}

func urls(to *types.URLs, value string) (err error) {
	*to, err = types.NewURLs(strings.Split(value, ","))
	return err
}

func number[T uint | uint64 | int64](to *T, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	*to = T(n)
	return err
}

// retention is hours without a unit, where the mode is periodic.
func retention(a *archived, value string) (err error) {
	if hours, err := strconv.Atoi(value); err == nil {
		a.cfg.AutoCompactionRetention = time.Duration(hours) * time.Hour
		return nil
	}
	a.cfg.AutoCompactionRetention, err = time.ParseDuration(value)
	return err
}

// parseArchived reads --name=value words.
func parseArchived(args []string) (*archived, error) {
	a := &archived{cfg: serverConfig(newLogger(), "", "", nil, nil)}
	for _, arg := range args {
		name, value, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		set := archivedFlags()[name]
		if !ok || set == nil {
			return nil, fmt.Errorf("etcd's flag %.100q is none that this program follows", arg)
		}
		if err := set(a, value); err != nil {
			return nil, fmt.Errorf("etcd's flag --%s: %w", name, err)
		}
	}
	if a.cfg.DataDir == "" || len(a.listenClient) == 0 {
		return nil, errors.New("etcd's flags have no --data-dir or no --listen-client-urls")
	}
	if a.cfg.AutoCompactionMode == "revision" { // whose retention is a number of revisions
		a.cfg.AutoCompactionRetention /= time.Hour
	}
	if a.heartbeat > 0 && a.election > 0 {
		a.cfg.TickMs, a.cfg.ElectionTicks = a.heartbeat, int(a.election/a.heartbeat)
	}
	a.cfg.Name = cmp.Or(a.cfg.Name, "default")
	a.cfg.NewCluster = false // the data dir is there
	a.cfg.PeerTLSInfo = a.peer
	a.cfg.ClientCertAuthEnabled = a.client.ClientCertAuth
	a.cfg.UnsafeNoFsync = true // the copy need not survive
	return a, nil
}

// runArchived is the life of such a child; it returns the exit status.
func runArchived() int {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	syscall.Umask(0o077)
	a, err := parseArchived(os.Args[1:])
	if err == nil {
		err = a.serve()
	}
	fmt.Fprintln(os.Stderr, "fatal", err)
	return 1
}

// serve runs etcd until it gives up.
func (a *archived) serve() error {
	if !isMember(a.cfg.DataDir) && a.cfg.DedicatedWALDir == "" {
		return fmt.Errorf("%q is no data dir of a member", a.cfg.DataDir)
	}
	failed := make(chan error, len(a.listenPeer)+len(a.listenClient))
	s, err := etcdserver.NewServer(a.cfg)
	if err != nil {
		return err
	}
	s.Start()
	for _, u := range a.listenPeer {
		l, err := transport.NewListenerWithOpts(u.Host, u.Scheme, transport.WithTLSInfo(tlsOf(u.Scheme, &a.peer)), transport.WithTimeout(rafthttp.ConnReadTimeout, rafthttp.ConnWriteTimeout))
		if err != nil {
			return fmt.Errorf("listening for peers on %s: %w", u.String(), err)
		}
		peers := &http.Server{Handler: etcdhttp.NewPeerHandler(a.cfg.Logger, s), ReadTimeout: 5 * time.Minute, ErrorLog: zap.NewStdLog(zap.NewNop())}
		go func() { failed <- peers.Serve(l) }()
	}
	select {
	case <-s.ReadyNotify():
	case <-s.StopNotify():
		return errors.New("etcd stopped before it was ready")
	}
	for _, u := range a.listenClient {
		if err := serveClientURL(s, u.Host, u.Scheme, &a.client, failed); err != nil {
			return fmt.Errorf("listening for clients on %s: %w", u.String(), err)
		}
	}
	select {
	case err := <-failed:
		return err
	case <-s.StopNotify():
		return errors.New("etcd stopped")
	}
}

func serveClientURL(s *etcdserver.EtcdServer, host, scheme string, info *transport.TLSInfo, failed chan<- error) error {
	l, err := transport.NewListenerWithOpts(host, "http") // gRPC itself speaks TLS
	if err != nil {
		return err
	}
	var api *grpc.Server
	if info = tlsOf(scheme, info); info != nil {
		cfg, err := info.ServerConfig()
		if err != nil {
			return errors.Join(err, l.Close())
		}
		api = v3rpc.Server(s, cfg, nil)
	} else {
		api = v3rpc.Server(s, nil, nil)
	}
	go func() { failed <- api.Serve(l) }()
	return nil
}

// tlsOf is nil for URLs without TLS.
func tlsOf(scheme string, info *transport.TLSInfo) *transport.TLSInfo {
	if scheme == "https" || scheme == "unixs" {
		return info
	}
	return nil
}
