package printer

import (
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// A View shows whole objects as a client of the API gets them.
type View struct {
	Converter     *Converter // into the preferred version; nil leaves the one that etcd holds
	ManagedFields bool       // keep metadata.managedFields
}

// Content is an object with its resourceVersion; nil where it cannot be read.
func (v View) Content(o *registry.Object) (map[string]any, error) {
	if v.Converter != nil {
		v.Converter.Preferred(o)
	}
	content, err := o.Content()
	if err != nil || content == nil {
		return nil, err
	}
	if err := unstructured.SetNestedField(content, strconv.FormatInt(o.KV.ModRevision, 10), "metadata", "resourceVersion"); err != nil {
		return nil, fmt.Errorf("showing %s: %w", o, err)
	}
	if !v.ManagedFields {
		unstructured.RemoveNestedField(content, "metadata", "managedFields")
	}
	return content, nil
}
