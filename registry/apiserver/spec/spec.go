// Package spec holds what the linked Kubernetes says of its own API: which
// resources it serves in which versions, and their OpenAPI schemas.
//
// The files are those of k8s.io/kubernetes' folder api, which its own tests
// keep equal to what a kube-apiserver with all APIs switched on answers. A
// test here holds them against the module in go.mod, and rewrites them with
// -update. They weigh 0.3 MB; the generated Go code that a kube-apiserver
// makes them from, 37 packages with 10 MB, is not linked.
package spec

import (
	"archive/tar"
	"bytes"
	_ "embed" // the files
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	discoveryv2 "k8s.io/api/apidiscovery/v2"
)

// Version is the Kubernetes release that the files belong to.
//
//go:embed version.txt
var version string

//go:embed discovery.json
var discovery []byte

//go:embed openapi-v3.tar.zst
var openAPI []byte

// Version is the release of the linked Kubernetes: "v1.37.1".
func Version() string { return strings.TrimSpace(version) }

// Discovery is what the linked API serves, core group first, the others in
// the order of a kube-apiserver's own answer.
func Discovery() (*discoveryv2.APIGroupDiscoveryList, error) {
	list := &discoveryv2.APIGroupDiscoveryList{}
	if err := json.Unmarshal(discovery, list); err != nil {
		return nil, fmt.Errorf("reading the embedded discovery document: %w", err)
	}
	return list, nil
}

// paths are the documents' names, found once.
var paths = sync.OnceValues(func() (names []string, err error) {
	err = eachDocument(func(name string, _ io.Reader) error {
		names = append(names, name)
		return nil
	})
	slices.Sort(names)
	return names, err
})

// Paths are the OpenAPI v3 documents, named by the path they describe:
// "api/v1", "apis/apps/v1".
func Paths() ([]string, error) { return paths() }

// OpenAPI is the OpenAPI v3 document of a path as JSON, nil for one without.
func OpenAPI(path string) (document []byte, err error) {
	err = eachDocument(func(name string, r io.Reader) (err error) {
		if name == path {
			document, err = io.ReadAll(r)
		}
		return err
	})
	return document, err
}

// eachDocument unpacks the documents one after another: 13 MB in some 15 ms,
// which a client asks for once, so they are not kept.
func eachDocument(f func(name string, r io.Reader) error) error {
	zr, err := zstd.NewReader(bytes.NewReader(openAPI), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer zr.Close()
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(header.Name, tr)
		}
		if err != nil {
			return fmt.Errorf("reading the embedded OpenAPI documents: %w", err)
		}
	}
}
