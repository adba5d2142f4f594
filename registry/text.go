package registry

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// checkText finds strings that JSON and YAML cannot carry. protobuf takes any
// bytes for a string, and a decoder of JSON puts U+FFFD in the place of what is
// not UTF-8 without a word; a password with one such byte is another password.
func checkText(o *Object) {
	var bad []string
	switch o.Form {
	case Protobuf:
		if o.Typed != nil && slices.ContainsFunc(o.Raw, func(b byte) bool { return b >= utf8.RuneSelf }) {
			bad = badText(reflect.ValueOf(o.Typed))
		}
	case JSON:
		if !utf8.Valid(o.Raw) || hasLoneSurrogate(o.Raw) {
			bad = replaced(o.content, nil)
		}
	case CBOR, Encrypted, Opaque: // a decoder of CBOR refuses such strings
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		o.Problems = append(o.Problems, Problem{InvalidText,
			joinPaths(bad) + ": bytes that are not UTF-8, which a manifest cannot carry: U+FFFD stands in their place"})
	}
}

// badText are the paths of strings below v that are not UTF-8. It allocates
// nothing while there are none: every object that is read passes here.
func badText(v reflect.Value) (paths []string) {
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			return []string{""}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return badText(v.Elem())
		}
	case reflect.Struct:
		return badFields(v)
	case reflect.Map:
		return badEntries(v)
	case reflect.Slice:
		switch v.Type().Elem().Kind() {
		case reflect.String, reflect.Struct, reflect.Pointer, reflect.Slice, reflect.Map:
			for i := range v.Len() {
				paths = under(paths, "["+strconv.Itoa(i)+"]", badText(v.Index(i)))
			}
		}
	}
	return paths
}

func badFields(v reflect.Value) (paths []string) {
	switch v.Type() {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[resource.Quantity]():
		return nil
	case reflect.TypeFor[runtime.RawExtension]():
		return badText(reflect.ValueOf(string(v.FieldByName("Raw").Bytes())))
	case reflect.TypeFor[metav1.FieldsV1]():
		fields, _ := v.Interface().(metav1.FieldsV1)
		return badText(reflect.ValueOf(fields.String()))
	}
	for i := range v.NumField() {
		if inner := badText(v.Field(i)); inner != nil {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			paths = under(paths, name, inner)
		}
	}
	return paths
}

func badEntries(v reflect.Value) (paths []string) {
	entry := func(key string, inner []string) {
		if !utf8.ValidString(key) {
			inner = append(inner, "")
		}
		if inner != nil {
			paths = under(paths, "["+strconv.Quote(key)+"]", inner)
		}
	}
	switch m := v.Interface().(type) {
	case map[string]string:
		for key, value := range m {
			if !utf8.ValidString(value) {
				entry(key, []string{""})
			} else if !utf8.ValidString(key) {
				entry(key, nil)
			}
		}
	case map[string][]byte:
		for key := range m {
			entry(key, nil)
		}
	default:
		for it := v.MapRange(); it.Next(); {
			entry(it.Key().String(), badText(it.Value()))
		}
	}
	return paths
}

// under puts the paths of what is inside behind the name of what holds it.
func under(paths []string, name string, inner []string) []string {
	for _, p := range inner {
		if p != "" && p[0] != '[' && name != "" {
			p = "." + p
		}
		paths = append(paths, name+p)
	}
	return paths
}

// replaced are the paths at which a decoder of JSON may have put U+FFFD.
func replaced(value any, path []any) (paths []string) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			below := append(slices.Clone(path), key)
			if strings.ContainsRune(key, utf8.RuneError) {
				paths = append(paths, pathString(below))
			}
			paths = append(paths, replaced(v[key], below)...)
		}
	case []any:
		for i, item := range v {
			paths = append(paths, replaced(item, append(slices.Clone(path), i))...)
		}
	case string:
		if strings.ContainsRune(v, utf8.RuneError) {
			paths = append(paths, pathString(path))
		}
	}
	return paths
}

// hasLoneSurrogate finds half of an escaped pair (\ud83d without its second
// half), which no UTF-8 can hold.
func hasLoneSurrogate(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || i+1 >= len(text) {
			return false
		}
		text = text[i:]
		switch unit := escapedUnit(text); {
		case unit < 0:
			text = text[2:]
		case unit >= 0xd800 && unit < 0xdc00:
			low := escapedUnit(text[6:])
			if low < 0xdc00 || low >= 0xe000 {
				return true
			}
			text = text[12:]
		case unit >= 0xdc00 && unit < 0xe000:
			return true
		default:
			text = text[6:]
		}
	}
}

// escapedUnit is the value of the \uXXXX that text begins with, or -1.
func escapedUnit(text []byte) int64 {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int64(unit)
}
