// Package local puts an API server on this machine's loopback, for the
// processes that are given its kubeconfig and for nobody else.
//
//	server, err := local.Listen(local.Options{Handler: handler, Digest: digest})
//	if err != nil { … }
//	defer server.Close()
//	code, err := server.Run(ctx, []string{"kubectl", "get", "pods"}, stdio)
//
// It listens on 127.0.0.1 and a port that the system picks, with a certificate
// from an authority that lives in memory and a token that lives in the
// kubeconfig (0600, in a 0700 folder). Requests without the token are answered
// 401, requests for another host 421: a web page that found out the port gets
// nothing. Close removes what was written; what a killed run left is removed,
// and named, by the next one.
//
// kubectl keeps discovery for hours by the server's address, and a port comes
// back. So the address carries a digest of the snapshot, and children get a
// cache folder of their own.
package local

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log" //nolint:depguard // http.Server takes nothing else to keep it from printing
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Options say what is put where.
type Options struct {
	Handler  http.Handler
	Digest   string    // of the snapshot; part of the address
	Contexts []Context // the current one last; none is one named "now"

	// Kubeconfig is the new file to write; "" takes one in the folder.
	Kubeconfig string

	// Private is for a server that answers a command of Run alone: on a host whose
	// loopback is down, both get a network of their own.
	Private bool

	// Parent is where the folder is made; "" takes XDG_RUNTIME_DIR or the
	// system's folder for temporary files.
	Parent string
}

// Context is a kubeconfig's context: a name for a path of the server.
type Context struct {
	Name string // "now", "rev-1234"
	Path string // "", "/rev/1234"
}

// Server is a listening server.
type Server struct {
	URL        string   // with the digest
	Kubeconfig string   // the file
	Removed    []string // folders that killed runs had left

	folder  *folder
	network network
	http    *http.Server
	owns    bool // the kubeconfig stands outside the folder
	failed  chan error
}

const (
	// headerTime is how long a client may take to say what it wants.
	headerTime = 10 * time.Second
	// idleTime is how long a connection may say nothing.
	idleTime = 2 * time.Minute
	// longestHeader holds a token, a path and selectors.
	longestHeader = 64 << 10
	// mostConnections are served at once; the others wait to be accepted.
	mostConnections = 512
)

// Listen starts to answer.
func Listen(opts Options) (server *Server, err error) {
	if len(opts.Contexts) == 0 {
		opts.Contexts = []Context{{Name: "now"}}
	}
	folder, removed, err := newFolder(opts.Parent)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.remove())
		}
	}()
	certificate, authority, err := newCertificate()
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	listener, network, err := onLoopback(opts.Private)
	if err != nil {
		return nil, fmt.Errorf("listening on loopback: %w", err)
	}
	address := listener.Addr().String()
	s := &Server{
		URL: "https://" + address + "/" + opts.Digest, Removed: removed, folder: folder, network: network,
		Kubeconfig: opts.Kubeconfig, owns: opts.Kubeconfig != "", failed: make(chan error, 1),
	}
	if !s.owns {
		s.Kubeconfig = filepath.Join(folder.path, "kubeconfig")
	}
	token := newToken()
	if err := writeKubeconfig(s.Kubeconfig, s.URL, authority, token, opts.Contexts); err != nil {
		network.close()
		listener.Close()
		return nil, err
	}
	s.http = &http.Server{
		Handler:           &gate{handler: opts.Handler, prefix: "/" + opts.Digest, token: token, host: address},
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: longestHeader,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ErrorLog:  log.New(nowhere{}, "", 0), // clients that hang up are no news
	}
	go func() {
		s.failed <- s.http.ServeTLS(limit(listener, mostConnections), "", "")
	}()
	return s, nil
}

// nowhere takes log lines.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// newToken is 256 bits that nobody guesses.
func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Wait answers until ctx ends or the listener fails.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return fmt.Errorf("answering on %s: %w", s.URL, err)
	}
}

// closeTime is how long requests under way may take to end by themselves.
const closeTime = time.Second

// Close ends all connections, waits for what answers them, and removes the
// kubeconfig and the folder.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	gate, _ := s.http.Handler.(*gate)
	gate.close()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	gate.wait()
	s.network.close()
	var err error
	if s.owns {
		err = os.Remove(s.Kubeconfig)
	}
	return errors.Join(err, s.folder.remove())
}
