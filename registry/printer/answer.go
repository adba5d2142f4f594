package printer

import (
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// An Answer is one object on its way to a client of the API: read as the API
// server reads it, not yet in the version that was asked for.
type Answer struct {
	printer  *Printer
	resource registry.Resource
	internal runtime.Object             // of a built-in kind
	scheme   *runtime.Scheme            // its scheme
	custom   *unstructured.Unstructured // of a custom resource, in the stored version
}

// Answer reads o for a client and takes its decoded form over: o is used up.
// An object that has none is an error.
func (p *Printer) Answer(o *registry.Object) (*Answer, error) {
	a := &Answer{printer: p, resource: p.resourceOf(o)}
	err := guard(func() error {
		if _, ok := registry.LookupKind(o.GVK.GroupKind()); ok {
			return a.readBuiltin(o)
		}
		return a.readCustom(o)
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Answer) readBuiltin(o *registry.Object) error {
	if scheme := legacyscheme.Scheme; o.Typed != nil && scheme.Recognizes(o.GVK) {
		// What the API server's decoder does once it has decoded.
		scheme.Default(o.Typed)
		internal, err := scheme.UnsafeConvertToVersion(o.Typed, runtime.InternalGroupVersioner)
		if err != nil {
			return fmt.Errorf("decoding %s: %w", o.GVK.Kind, err)
		}
		touchUp(internal)
		a.internal, a.scheme = internal, scheme
	} else {
		internal, codec, err := decode(a.printer.codecs, o)
		if err != nil {
			return err
		}
		a.internal, a.scheme = internal, codec.scheme
	}
	return setRevision(a.internal, o.KV.ModRevision)
}

func (a *Answer) readCustom(o *registry.Object) error {
	content, err := o.Content()
	if err != nil {
		return err
	}
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		return errNoContent
	}
	content = maps.Clone(content)
	content["metadata"] = maps.Clone(metadata)
	a.custom = &unstructured.Unstructured{Object: content}
	return setRevision(a.custom, o.KV.ModRevision)
}

func setRevision(obj runtime.Object, revision int64) error {
	accessor, err := meta.Accessor(obj)
	if err == nil {
		accessor.SetResourceVersion(strconv.FormatInt(revision, 10))
	}
	return err
}

// Metadata is the object as a client gets it that asks for metadata alone.
func (a *Answer) Metadata() (*metav1.PartialObjectMetadata, error) {
	var obj runtime.Object = a.custom
	if a.custom == nil {
		obj = a.internal
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	partial := meta.AsPartialObjectMetadata(accessor)
	partial.DeletionTimestamp = partial.DeletionTimestamp.DeepCopy() // Table moves the object's own
	partial.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata"))
	return partial, nil
}

// In gives the object in a version of its kind; the two share memory. A custom
// resource that only a webhook converts there is an error.
func (a *Answer) In(gvk schema.GroupVersionKind) (out runtime.Object, err error) {
	if a.custom != nil {
		return a.customIn(gvk)
	}
	err = guard(func() (err error) {
		if out, err = a.scheme.UnsafeConvertToVersion(a.internal, gvk.GroupVersion()); err != nil {
			err = fmt.Errorf("converting to %s: %w", gvk.GroupVersion(), err)
		}
		return err
	})
	return out, err
}

func (a *Answer) customIn(gvk schema.GroupVersionKind) (runtime.Object, error) {
	if definition, ok := a.printer.resources.Custom(a.resource.GroupResource()); ok {
		if err := convertible(definition, a.custom.GroupVersionKind().Version, gvk.Version); err != nil {
			return nil, err
		}
	}
	a.custom.SetGroupVersionKind(gvk)
	return a.custom, nil
}

// convertible tells whether version from becomes to without a webhook: under
// strategy None the API server rewrites apiVersion and no more.
func convertible(definition registry.CustomResource, from, to string) error {
	if from == to {
		return nil
	}
	if _, ok := definition.Version(from); !ok {
		return fmt.Errorf("version %q is not in the definition of %s.%s", from, definition.Plural, definition.Group)
	}
	if definition.Conversion != "" && definition.Conversion != "None" {
		return fmt.Errorf("%s/%s is converted to %s by a webhook", definition.Group, from, to)
	}
	return nil
}

// Table is the object's row in the table of a version, with the API's typed
// cells. It comes last: it moves the times in the object, and in what In gave.
func (a *Answer) Table(version string) (*metav1.Table, error) {
	var table *metav1.Table
	err := guard(func() (err error) {
		if a.custom != nil {
			table, err = a.printer.customOf(a.resource, version).rowOf(a.printer, a.custom)
		} else {
			table, err = a.printer.internalTable(a.internal, a.resource)
		}
		if err == nil && (table == nil || len(table.Rows) != 1) {
			err = fmt.Errorf("%s has no row", a.resource)
		}
		return err
	})
	return table, err
}

// Columns are the columns of a resource's table in a version.
func (p *Printer) Columns(resource registry.Resource, version string) []metav1.TableColumnDefinition {
	resource.Version = version
	return p.columns(resource)
}

// Substitute is the row of an object that cannot be shown: its name, and what
// is wrong with it in place of all other cells.
func (p *Printer) Substitute(o *registry.Object, resource registry.Resource, version string) *metav1.Table {
	resource.Version = version
	return p.substitute(o, resource)
}
