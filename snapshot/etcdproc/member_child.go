package etcdproc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// stopWord on a member's standard input ends it in order; the end of the input
// without it is the end of the parent.
const stopWord = "stop\n"

// runMember is the life of a member's child; it returns the exit status.
func runMember() int {
	say := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	syscall.Umask(0o077)

	s, err := adoptMember(os.NewFile(fdDatabase, ownerFile))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is set, but this is not a child of lifeboat: %v\n", childEnv, err)
		return 2
	}
	in := bufio.NewReader(os.Stdin)
	var cfg MemberConfig
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "parsing the parent's request:", err)
		return 2
	}
	stop := make(chan struct{})
	go obeyParent(in, s, stop)
	if err := serveMember(cfg, say, stop); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// adoptMember finds the scratch folder two above a member's, as adoptScratch
// does for a child that stands in it.
func adoptMember(owner *os.File) (*scratch, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	root := filepath.Dir(filepath.Dir(dir))
	if !isScratch(filepath.Base(root)) || !isFile(owner, filepath.Join(root, ownerFile)) {
		return nil, fmt.Errorf("%q is not a folder of a member of its parent's", dir)
	}
	return &scratch{dir: root, owner: owner}, nil
}

// obeyParent waits for the word to stop. A parent that ended without it takes
// everything along: the folder with all members' data.
func obeyParent(in *bufio.Reader, s *scratch, stop chan<- struct{}) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM) // the death signal of childAttr
	end := make(chan bool)
	go func() {
		word, _ := io.ReadAll(io.LimitReader(in, int64(len(stopWord))))
		end <- string(word) == stopWord
	}()
	select {
	case <-term:
	case told := <-end:
		if told {
			close(stop)
			<-term // the parent may still die while etcd stops
		}
	}
	s.abandon()
	os.Exit(0)
}

// serveMember runs etcd until it is told to stop or gives up.
func serveMember(cfg MemberConfig, say *json.Encoder, stop <-chan struct{}) error {
	conf, err := memberConfig(cfg)
	if err != nil {
		return err
	}
	if err := say.Encode(message{Phase: bootPhase}); err != nil {
		return err
	}
	e, err := serveSockets(conf, conf.Name+socketSuffix, clientHost+socketSuffix)
	if err != nil {
		return err
	}
	if err := say.Encode(message{Phase: upPhase}); err != nil {
		return err
	}
	return watchMember(e, say, stop)
}

// watchMember waits for the end, and tells when the member answers clients.
func watchMember(s *server, say *json.Encoder, stop <-chan struct{}) error {
	ready := s.ReadyNotify()
	for {
		select {
		case <-ready:
			if err := say.Encode(message{Phase: readyPhase}); err != nil {
				return err
			}
			ready = nil
		case <-stop:
			s.stop()
			return nil
		case err := <-s.failed:
			return err
		case <-s.StopNotify(): // a removed member ends itself
			return nil
		}
	}
}

// memberConfig is etcd's configuration of a member that stands in its folder.
func memberConfig(m MemberConfig) (cfg config.ServerConfig, err error) {
	wal.SegmentSizeBytes = 4 << 20 // two are allocated at once, for each of up to nine members
	peer, err := url.Parse(PeerURL(m.Name))
	if err != nil {
		return cfg, err
	}
	client, err := url.Parse(PeerURL(clientHost))
	if err != nil {
		return cfg, err
	}
	cfg = serverConfig(newLogger(), m.Name, memberData, types.URLs{*peer}, types.URLs{*client})
	cfg.NewCluster = !m.Existing
	cfg.ForceNewCluster = m.ForceNewCluster
	cfg.QuotaBackendBytes = m.Quota
	cfg.UnsafeNoFsync = true
	cfg.PreVote = !m.NoPreVote
	if m.Tick > 0 {
		cfg.TickMs, cfg.ElectionTicks = uint(m.Tick/time.Millisecond), int(m.Election/m.Tick)
	}
	return cfg, initialMembers(&cfg, m.InitialCluster, m.Token)
}
