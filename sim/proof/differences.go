package proof

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// maxPaths bounds the paths that are named of a difference.
const maxPaths = 5

// differing are the paths at which two objects differ, a few of them, sorted.
func differing(at string, a, b any, found []string) []string {
	if len(found) >= maxPaths {
		return found
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		for _, k := range keysOf(x, y) {
			found = differing(join(at, k), x[k], y[k], found)
		}
		return found
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		for i := range x {
			found = differing(at+"["+strconv.Itoa(i)+"]", x[i], y[i], found)
		}
		return found
	default:
		if _, isMap := b.(map[string]any); !isMap {
			if _, isList := b.([]any); !isList && a == b {
				return found
			}
		}
	}
	return append(found, at)
}

// contradicted are the paths at which a server of another minor version shows
// something else than what is stored. Such a server has other defaults, and
// fields that the linked types do not know: what one side alone has is no
// contradiction, unless it is stored.
func (c *comparer) contradicted(ctx context.Context, s served, e *entry, want, got map[string]any) ([]string, error) {
	o := c.registry.Decode(ctx, e.Entry)
	stored, err := o.Content()
	if err != nil || o.GVK != s.gvk {
		stored = nil // in another version its fields have other places
	}
	return contradicting("", want, got, stored, nil), err
}

// contradicting is differing, but for what want or got has alone; of that, what
// stands in stored counts.
func contradicting(at string, want, got, stored any, found []string) []string {
	switch {
	case len(found) >= maxPaths, absent(want), absent(got) && zero(stored):
		return found
	case absent(got):
		return append(found, at)
	}
	switch x := want.(type) {
	case map[string]any:
		y, ok := got.(map[string]any)
		if !ok {
			break
		}
		z, _ := stored.(map[string]any)
		for _, k := range keysOf(x, y) {
			found = contradicting(join(at, k), x[k], y[k], z[k], found)
		}
		return found
	case []any:
		y, ok := got.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		z, _ := stored.([]any)
		z = append(z[:len(z):len(z)], make([]any, max(0, len(x)-len(z)))...)
		for i := range x {
			found = contradicting(at+"["+strconv.Itoa(i)+"]", x[i], y[i], z[i], found)
		}
		return found
	}
	return differing(at, want, got, found)
}

// absent tells what is not there, or has nothing in it.
func absent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, of := range v {
			if !absent(of) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	}
	return false
}

// zero tells a value that encoders may leave out.
func zero(v any) bool {
	return absent(v) || v == false || v == int64(0) || v == float64(0)
}

// keysOf are the keys of either, sorted.
func keysOf(x, y map[string]any) []string {
	keys := make([]string, 0, len(x))
	for k := range x {
		keys = append(keys, k)
	}
	for k := range y {
		if _, both := x[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func join(at, key string) string { return strings.TrimPrefix(at+"."+key, ".") }
