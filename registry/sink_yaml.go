package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	goyaml "go.yaml.in/yaml/v2"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// MarshalYAML writes an object the way people read it: apiVersion, kind,
// metadata and spec first, the other fields by name. The same content gives
// the same bytes, and kubectl, which reads YAML with the same library, gets
// every value back as it was: "no" stays a string, 9007199254740993 a number.
func MarshalYAML(content map[string]any) ([]byte, error) {
	var out bytes.Buffer
	for _, key := range topLevelKeys(content) {
		field, err := marshalField(key, content[key])
		if err != nil {
			return nil, fmt.Errorf("encoding field %q as YAML: %w", key, err)
		}
		out.Write(field)
	}
	if out.Len() == 0 {
		return []byte("{}\n"), nil
	}
	return out.Bytes(), nil
}

func topLevelKeys(content map[string]any) []string {
	first := []string{"apiVersion", "kind", "metadata", "spec"}
	var keys []string
	for _, key := range first {
		if hasKey(content, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range sortedKeys(content) {
		switch key {
		case "apiVersion", "kind", "metadata", "spec":
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

// marshalField writes one field and reads it back. What the library's block
// style does not carry (a string with U+0085, a line break to YAML), and what
// older readers take for something else (=, <<), is quoted string by string
// ([blockWriter]). What is left after that is written as JSON, which is YAML
// too, in ASCII.
func marshalField(key string, value any) ([]byte, error) {
	asJSON, err := json.Marshal(map[string]any{key: value})
	if err != nil {
		return nil, err
	}
	if !misread(map[string]any{key: value}) {
		if block, err := blockStyle(key, value, asJSON); err == nil && sameValue(block, asJSON) {
			return block, nil
		}
	}
	var w blockWriter
	if err := w.entry("", key, value); err == nil && sameValue(w.Bytes(), asJSON) {
		return w.Bytes(), nil
	}
	name, err := json.Marshal(key)
	if err != nil {
		return nil, err
	}
	flow, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	line := escapeNonASCII(fmt.Appendf(nil, "%s: %s\n", name, flow))
	if !sameValue(line, asJSON) {
		return nil, errors.New("YAML does not carry the value")
	}
	return line, nil
}

// blockStyle is what the library makes of a field. It reads the field's JSON for
// that, which is half of the work and makes a difference to few values.
func blockStyle(key string, value any, asJSON []byte) ([]byte, error) {
	if throughJSON(value) {
		return yaml.JSONToYAML(asJSON)
	}
	return goyaml.Marshal(map[string]any{key: value})
}

// throughJSON tells a value that reading its JSON changes: characters that end a
// line become a space, which the caller notices.
func throughJSON(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			if throughJSON(child) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, throughJSON)
	case string:
		return strings.ContainsAny(v, "\u0085\u2028\u2029\ufeff") || !utf8.ValidString(v)
	}
	return false
}

// escapeNonASCII replaces what JSON has in its strings beyond ASCII by YAML's
// escapes.
func escapeNonASCII(text []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			out.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	return out.Bytes()
}

// sameValue tells whether YAML text reads as the JSON that it was made of.
func sameValue(text, asJSON []byte) bool {
	back, err := yaml.YAMLToJSON(text)
	if err != nil {
		return false
	}
	if bytes.Equal(back, asJSON) { // nearly always: both sort their keys
		return true
	}
	var a, b map[string]any
	return utiljson.Unmarshal(back, &a) == nil && utiljson.Unmarshal(asJSON, &b) == nil && reflect.DeepEqual(a, b)
}

// WriteStream writes the manifests in the order of creation as one YAML stream
// for `kubectl create -f -`. What kubectl create would refuse (Manifest.Exists,
// Manifest.Collides) comes last with a comment that says why.
func WriteStream(w io.Writer, plan *Plan) error {
	out := bufio.NewWriter(w)
	for _, separator := range []string{separatorCreate, separatorApply, separatorRename} {
		part := slices.Values(slices.DeleteFunc(slices.Clone(plan.Manifests), func(m *Manifest) bool {
			return m.separator() != separator || m.Raw != nil // see CleanOptions.Stream
		}))
		for m, text := range inOrder(part, (*Manifest).text) {
			if text.err != nil {
				return fmt.Errorf("writing %s: %w", m.Object, text.err)
			}
			if _, err := out.WriteString(separator); err != nil {
				return err
			}
			if _, err := out.Write(text.yaml); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// What stands before a manifest in a stream says what is to be done with it.
const (
	separatorCreate = "---\n"
	separatorApply  = "---\n# the cluster has it: kubectl apply\n"
	separatorRename = "---\n# the original of the clone has this name, which exists once in a cluster\n"
)

func (m *Manifest) separator() string {
	switch {
	case m.Exists:
		return separatorApply
	case m.Collides:
		return separatorRename
	}
	return separatorCreate
}
