package printer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// A Converter brings objects into the version in which kube-apiserver 1.37
// with default flags answers. It may be used from several goroutines.
type Converter struct {
	resources *registry.Resources
	codecs    []codec
}

// NewConverter returns a converter for the objects of a backup with the given
// resources.
func NewConverter(resources *registry.Resources) *Converter {
	return &Converter{resources: resources, codecs: newCodecs()}
}

// Preferred replaces o's content by what the API server would answer, all but
// metadata.resourceVersion. Built-in kinds go through the API server's own
// decoding, defaulting and conversion; custom resources change their
// apiVersion where their definition converts by strategy None. Defaults that a
// definition gained after the object was written are not filled in.
//
// What cannot be converted stays as stored and gets an Unconverted Problem.
// Objects that were not decoded in the first place have their own.
func (c *Converter) Preferred(o *registry.Object) {
	if o.GVK.Empty() || has(o, registry.UnknownKind) || has(o, registry.Undecodable) {
		return
	}
	convert := c.custom
	if resource, ok := registry.LookupKind(o.GVK.GroupKind()); ok {
		convert = func(o *registry.Object) error { return c.builtin(o, resource) }
	}
	if err := guard(func() error { return convert(o) }); err != nil {
		o.Problems = append(o.Problems, registry.Problem{Code: registry.Unconverted, Detail: err.Error()})
	}
}

func has(o *registry.Object, code registry.ProblemCode) bool {
	for _, p := range o.Problems {
		if p.Code == code {
			return true
		}
	}
	return false
}

// guard turns a panic of foreign code into an error: conversions and printers
// of Kubernetes trust that validation has seen the object, which a damaged
// value escaped.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the object is not valid") // what panicked may quote its values
		}
	}()
	return f()
}

func (c *Converter) builtin(o *registry.Object, resource registry.Resource) error {
	internal, codec, err := decode(c.codecs, o)
	if err != nil {
		return err
	}
	gvk := resource.GroupKind().WithVersion(resource.Version)
	versioned, err := codec.scheme.ConvertToVersion(internal, gvk.GroupVersion())
	if err != nil {
		return fmt.Errorf("converting to %s: %w", gvk.GroupVersion(), err)
	}
	content, err := contentOf(versioned)
	if err != nil {
		return err
	}
	o.Replace(gvk, content)
	return nil
}

// contentOf is the JSON that the API server would send, as JSON decodes it.
func contentOf(obj runtime.Object) (map[string]any, error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	err = utiljson.Unmarshal(data, &content)
	return content, err
}

// custom rewrites the version of a custom resource, which is all that the API
// server does under conversion strategy None (apiextensions-apiserver
// pkg/apiserver/conversion/nop_converter.go).
func (c *Converter) custom(o *registry.Object) error {
	resource, ok := c.resources.LookupKind(o.GVK.GroupKind())
	if !ok {
		return nil
	}
	definition, _ := c.resources.Custom(resource.GroupResource())
	preferred := definition.Preferred()
	if preferred == "" || preferred == o.GVK.Version {
		return nil
	}
	if err := convertible(definition, o.GVK.Version, preferred); err != nil {
		return err
	}
	content, err := o.Content()
	if err != nil {
		return err
	}
	gvk := schema.GroupVersionKind{Group: o.GVK.Group, Version: preferred, Kind: o.GVK.Kind}
	content = maps.Clone(content)
	content["apiVersion"] = gvk.GroupVersion().String()
	o.Replace(gvk, content)
	return nil
}
