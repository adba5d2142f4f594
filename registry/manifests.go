package registry

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Manifests are objects that stand in files, as a keyspace: a snapshot.Reader
// with one revision. They are held in memory as JSON.
type Manifests struct {
	records map[string]snapshot.KeyValue
	keys    []Key
}

var _ snapshot.Reader = (*Manifests)(nil)

// maxStream bounds the bytes of a file, or of standard input.
const maxStream = 1 << 30

// ReadManifestDir reads every .yaml, .yml, .json and .apply file below a folder,
// or one file. resources say where custom resources are stored.
func ReadManifestDir(path string, prefix string, resources *Resources) (*Manifests, error) {
	m := &Manifests{records: map[string]snapshot.KeyValue{}}
	err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || file != path && !isManifestFile(file) {
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := m.read(f, prefix, resources); err != nil {
			return fmt.Errorf("reading manifests: %q: %w", file, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func isManifestFile(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json", ".apply":
		return true
	}
	return false
}

// ReadManifests reads YAML documents or JSON objects, Lists among them: what
// kubectl get -o yaml prints.
func ReadManifests(r io.Reader, prefix string, resources *Resources) (*Manifests, error) {
	m := &Manifests{records: map[string]snapshot.KeyValue{}}
	if err := m.read(r, prefix, resources); err != nil {
		return nil, fmt.Errorf("reading manifests: %w", err)
	}
	return m, nil
}

func (m *Manifests) read(r io.Reader, prefix string, resources *Resources) error {
	limited := &io.LimitedReader{R: r, N: maxStream}
	documents := kyaml.NewYAMLReader(bufio.NewReader(limited))
	for n := 1; ; n++ {
		text, err := documents.Read()
		switch {
		case limited.N <= 0:
			return fmt.Errorf("it has more than %d bytes", maxStream)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("document %d: it does not begin as one", n) // the reader's words quote the text
		}
		if err := m.document(text, prefix, resources); err != nil {
			return fmt.Errorf("document %d: %w", n, err)
		}
	}
}

// document adds the objects of one document.
func (m *Manifests) document(text []byte, prefix string, resources *Resources) error {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return errors.New("it is neither YAML nor JSON") // the parser's words quote the text
	}
	var content any
	if err := utiljson.Unmarshal(asJSON, &content); err != nil {
		return errors.New("it is no JSON object")
	}
	if content == nil {
		return nil // comments alone
	}
	object, ok := content.(map[string]any)
	if !ok {
		return errors.New("it is not an object")
	}
	return m.add(object, prefix, resources)
}

func (m *Manifests) add(object map[string]any, prefix string, resources *Resources) error {
	if items, isList := object["items"].([]any); isList && strings.HasSuffix(stringAt(object, "kind"), "List") {
		for i, item := range items {
			child, ok := item.(map[string]any)
			if !ok {
				return fmt.Errorf("item %d of the list is not an object", i)
			}
			if stringAt(child, "kind") == "" { // items of a typed list name no kind
				child["apiVersion"], child["kind"] = object["apiVersion"], strings.TrimSuffix(stringAt(object, "kind"), "List")
			}
			if err := m.add(child, prefix, resources); err != nil {
				return err
			}
		}
		return nil
	}
	key, err := keyOf(object, prefix, resources)
	if err != nil {
		return err
	}
	if _, twice := m.records[key.Path]; twice {
		return fmt.Errorf("%s stands there twice", &Object{Key: key, Namespace: key.Namespace, Name: key.Name})
	}
	value, err := json.Marshal(object)
	if err != nil {
		return err
	}
	m.records[key.Path] = snapshot.KeyValue{Key: []byte(key.Path), Value: value, CreateRevision: 1, ModRevision: 1, Version: 1}
	m.keys = append(m.keys, key)
	return nil
}

// keyOf is where an object would be stored. The plural of a kind that nobody
// defines is guessed.
func keyOf(object map[string]any, prefix string, resources *Resources) (Key, error) {
	gvk := schema.FromAPIVersionAndKind(stringAt(object, "apiVersion"), stringAt(object, "kind"))
	namespace, name := stringAt(object, "metadata", "namespace"), stringAt(object, "metadata", "name")
	if gvk.Version == "" || gvk.Kind == "" || name == "" || strings.Contains(namespace+name, "/") {
		return Key{}, errors.New("an object has no apiVersion, kind or metadata.name")
	}
	resource, ok := resources.LookupKind(gvk.GroupKind())
	if !ok {
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		resource = Resource{Group: gvk.Group, Plural: plural.Resource, Prefix: gvk.Group + "/" + plural.Resource, Namespaced: namespace != ""}
	}
	path := prefix + "/" + resource.Prefix + "/"
	switch {
	case resource.Namespaced && namespace == "":
		return Key{}, fmt.Errorf("%s %q has no metadata.namespace", gvk.Kind, name)
	case resource.Namespaced:
		path += namespace + "/"
	}
	return ParseKey(prefix, path+name)
}

// Revision meets snapshot.Reader.
func (m *Manifests) Revision() int64 { return 1 }

// At meets snapshot.Reader.
func (m *Manifests) At(ctx context.Context, _ int64, match func(key []byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		for _, key := range m.keys {
			if err := context.Cause(ctx); err != nil {
				yield(snapshot.KeyValue{}, err)
				return
			}
			kv := m.records[key.Path]
			if (match == nil || match(kv.Key)) && !yield(kv, nil) {
				return
			}
		}
	}
}

// Len counts the objects.
func (m *Manifests) Len() int { return len(m.keys) }

// Covers takes the keys that the files can be compared with: those of the kinds,
// and of their namespaces, of which at least one object stands in the files, and
// of what belongs to the whole cluster those that the files name.
func (m *Manifests) Covers() func(Key) bool {
	type place struct {
		resource  schema.GroupResource
		namespace string
		name      string // of the cluster's own
	}
	places := map[place]bool{}
	placeOf := func(k Key) place {
		if k.Namespace == "" {
			return place{resource: k.GroupResource(), name: k.Name}
		}
		return place{resource: k.GroupResource(), namespace: k.Namespace}
	}
	for _, key := range m.keys {
		places[placeOf(key)] = true
	}
	return func(k Key) bool { return places[placeOf(k)] }
}
