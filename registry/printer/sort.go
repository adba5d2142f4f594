package printer

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/util/jsonpath"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// A SortField is the field of kubectl's --sort-by.
type SortField struct {
	text  string
	path  *jsonpath.JSONPath
	found bool
}

// NewSortField reads a field as kubectl writes it: .metadata.name.
func NewSortField(text string) (*SortField, error) {
	path, err := parseField(text)
	if err != nil {
		return nil, err
	}
	return &SortField{text: text, path: path}, nil
}

func (f *SortField) String() string { return f.text }

// Of is the field's value in an object: a number or a text, nil for none. What
// cannot be sorted is an error.
func (f *SortField) Of(content map[string]any) (any, error) {
	found, err := f.path.FindResults(content)
	if err != nil {
		return nil, fmt.Errorf("sorting by %s: %w", f.text, fieldError(err))
	}
	if len(found) == 0 || len(found[0]) == 0 {
		return nil, nil //nolint:nilnil // none
	}
	f.found = true
	switch v := found[0][0].Interface().(type) {
	case nil, int64, float64, string:
		return v, nil
	default:
		return nil, fmt.Errorf("sorting by %s: neither numbers nor texts: %T", f.text, v)
	}
}

// Sort puts a listing in the order of the field. As in kubectl, it is an error
// that no object has it.
func (f *SortField) Sort(ctx context.Context, listing *registry.Listing, view View) error {
	err := listing.Sort(ctx, func(o *registry.Object) (any, error) {
		content, err := view.Content(o)
		if err != nil || content == nil {
			return nil, err
		}
		return f.Of(content)
	}, CompareFields)
	if err == nil && listing.Len() > 0 && !f.found {
		return fmt.Errorf("sorting: no object has the field %s", f.text)
	}
	return err
}

// CompareFields compares what Of gave as kubectl does: what has no value comes
// first, texts that are quantities ("500m", "2Gi") compare as such.
func CompareFields(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	x, isText := a.(string)
	y, areTexts := b.(string)
	switch {
	case isText && areTexts:
		p, errP := resource.ParseQuantity(x)
		q, errQ := resource.ParseQuantity(y)
		if errP == nil && errQ == nil {
			return p.Cmp(q)
		}
		return cmp.Compare(x, y)
	case isText || areTexts:
		return cmp.Compare(rank(a), rank(b))
	}
	if i, ok := a.(int64); ok {
		if j, ok := b.(int64); ok {
			return cmp.Compare(i, j)
		}
	}
	return cmp.Compare(asFloat(a), asFloat(b))
}

// rank orders values that are not alike: none, numbers, texts.
func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case string:
		return 2
	}
	return 1
}

func asFloat(v any) float64 {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}
