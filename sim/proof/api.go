package proof

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
)

// api asks the API server in the sandbox.
type api struct {
	base    string // https://192.168.199.80:6443
	clients []identity
	current int

	blind  bool // no CA is in the backup by which the serving certificate could be judged
	mu     sync.Mutex
	serves error // what is wrong with the serving certificate, as its clients see it
}

// identity is somebody who asks.
type identity struct {
	where string
	http  *http.Client
}

// answerLimit bounds the body of an answer: a page of a list is some megabytes.
const answerLimit = 256 << 20

// newAPI prepares for asking at an address, as those whose certificates are in
// the backup, and as an administrator that its CA makes for the occasion.
func newAPI(s *sandbox.Sandbox, control *controlplane.View, address, name string) (*api, error) {
	a := &api{base: "https://" + address}
	roots := x509.NewCertPool()
	if ca, err := control.ReadFile(controlplane.FolderPKI + "/ca.crt"); err == nil {
		roots.AppendCertsFromPEM(ca)
	} else {
		a.blind = true
	}
	add := func(where string, cert tls.Certificate) {
		a.clients = append(a.clients, identity{where, &http.Client{Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx, address) },
			ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{
				Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
				InsecureSkipVerify: true, //nolint:gosec // VerifyConnection judges, and lets the questions go on
				VerifyConnection:   func(c tls.ConnectionState) error { a.judge(c, roots, name); return nil },
			},
		}}})
	}
	now := time.Now()
	var others []controlplane.Client
	for _, c := range control.Clients() {
		switch {
		case now.After(c.Leaf.NotAfter) || now.Before(c.Leaf.NotBefore):
		case c.Master():
			add(c.Where, c.Certificate)
		default:
			others = append(others, c)
		}
	}
	if cert, err := administrator(control, now); err == nil {
		add("an administrator that the archived CA key has signed", cert)
	}
	for _, c := range others {
		add(c.Where, c.Certificate)
	}
	if len(a.clients) == 0 {
		return nil, errors.New("nobody in the backup may ask the API server: it has no client certificate that holds, and no CA key")
	}
	return a, nil
}

// judge looks at the serving certificate as a kubelet would.
func (a *api) judge(c tls.ConnectionState, roots *x509.CertPool, name string) {
	opts := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, cert := range c.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := c.PeerCertificates[0].Verify(opts)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serves = err
}

func (a *api) servingError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.serves
}

// administrator signs a client certificate of system:masters with the archived
// CA. It lives in this process' memory, and as long.
func administrator(control *controlplane.View, now time.Time) (tls.Certificate, error) {
	authority, err := control.Authority()
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "lifeboat-prove", Organization: []string{"system:masters"}},
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority.Leaf, key.Public(), authority.PrivateKey)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// statusError is an answer that is not 200.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answers %d: %s", e.code, e.text)
}

// get asks for a path, as the current identity, and returns the body.
func (a *api) get(ctx context.Context, path, accept string) ([]byte, error) {
	return a.ask(ctx, http.MethodGet, path, accept, nil)
}

// create posts an object to a collection.
func (a *api) create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = a.ask(ctx, http.MethodPost, path, jsonType, body)
	return err
}

func (a *api) ask(ctx context.Context, method, path, accept string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "lifeboat-prove")
	if body != nil {
		request.Header.Set("Content-Type", jsonType)
	}
	response, err := a.clients[a.current].http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return answer, &statusError{response.StatusCode, message(answer)}
	}
	return answer, nil
}

const jsonType = "application/json"

// json asks for a path and decodes the answer.
func (a *api) json(ctx context.Context, path, accept string, into any) error {
	body, err := a.get(ctx, path, accept)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the API server's answer to %s is no JSON", path)
	}
	return nil
}

// denied tells an answer that another identity may not get.
func denied(err error) bool {
	status := (*statusError)(nil)
	return errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden)
}

// next is the next identity; false when all were tried.
func (a *api) next() bool {
	a.current++
	if a.current < len(a.clients) {
		return true
	}
	a.current = 0
	return false
}

func (a *api) who() string { return a.clients[a.current].where }

// close lets go of the connections.
func (a *api) close() {
	for _, c := range a.clients {
		c.http.CloseIdleConnections()
	}
}

// message is that of a Status, or the beginning of the body.
func message(body []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		return clip(status.Message)
	}
	return clip(strings.TrimSpace(string(body)))
}

// clip bounds a text for people.
func clip(text string) string {
	const most = 400
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
