package registry

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// blockWriter writes YAML in block style as the library does, but for strings
// that the library writes so that some reader gets them wrong: those alone are
// put in double quotes, with escapes.
type blockWriter struct{ bytes.Buffer }

// entry writes an entry of a map, each line behind indent.
func (w *blockWriter) entry(indent, key string, value any) error {
	if w.whole(indent, map[string]any{key: value}) {
		return nil
	}
	name, err := scalar(key)
	if err != nil {
		return err
	}
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			w.WriteString(indent + name + ":\n")
			return w.entries(indent+"  ", v)
		}
	case []any:
		if len(v) > 0 {
			w.WriteString(indent + name + ":\n")
			return w.items(indent, v)
		}
	}
	text, err := scalar(value)
	w.WriteString(indent + name + ": " + text + "\n")
	return err
}

func (w *blockWriter) entries(indent string, m map[string]any) error {
	for _, key := range sortedKeys(m) {
		if err := w.entry(indent, key, m[key]); err != nil {
			return err
		}
	}
	return nil
}

func (w *blockWriter) items(indent string, list []any) error {
	for _, item := range list {
		if err := w.item(indent, item); err != nil {
			return err
		}
	}
	return nil
}

// item writes an item of a list; what is inside starts on the line of its dash.
func (w *blockWriter) item(indent string, item any) error {
	if w.whole(indent, []any{item}) {
		return nil
	}
	var inner blockWriter
	var err error
	switch v := item.(type) {
	case map[string]any:
		err = inner.entries(indent+"  ", v)
	case []any:
		err = inner.items(indent+"  ", v)
	default:
		var text string
		text, err = scalar(item)
		inner.WriteString(indent + "  " + text + "\n")
	}
	w.WriteString(indent + "- ")
	w.Write(bytes.TrimPrefix(inner.Bytes(), []byte(indent+"  ")))
	return err
}

// whole writes a map or list in the library's own style where that carries it.
func (w *blockWriter) whole(indent string, value any) bool {
	if misread(value) {
		return false
	}
	wrapped := map[string]any{"v": value}
	asJSON, err := json.Marshal(value)
	if err != nil {
		return false
	}
	text, err := yaml.JSONToYAML(asJSON)
	if err != nil {
		return false
	}
	asJSON, err = json.Marshal(wrapped)
	if err != nil || !sameValue(append([]byte("v:\n"), indented("  ", text)...), asJSON) {
		return false
	}
	w.Write(indented(indent, text))
	return true
}

// indented puts indent before each line that is not empty: empty ones belong
// to a string.
func indented(indent string, text []byte) []byte {
	if indent == "" {
		return text
	}
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		if len(line) > 1 {
			out.WriteString(indent)
		}
		out.Write(line)
	}
	return out.Bytes()
}

// scalar is a value on one line: a string as the library writes it where that
// carries it and in double quotes elsewhere; an empty map or list as in JSON.
func scalar(value any) (string, error) {
	if s, ok := value.(string); ok && !misread(s) {
		text, err := yaml.Marshal(s)
		asJSON, jsonErr := json.Marshal(map[string]any{"v": s})
		line := bytes.TrimSuffix(text, []byte("\n"))
		if err == nil && jsonErr == nil && !bytes.Contains(line, []byte("\n")) && sameValue(append([]byte("v: "), text...), asJSON) {
			return string(line), nil
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return string(escapeNonASCII(bytes.TrimSuffix(text.Bytes(), []byte("\n")))), nil
}

// misread tells whether a string somewhere in value is one that the library
// writes without quotes and that a reader of YAML 1.1 (PyYAML, Ruby, older
// Java) takes for something else.
func misread(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if misread(key) || misread(child) {
				return true
			}
		}
	case []any:
		for _, child := range v {
			if misread(child) {
				return true
			}
		}
	case string:
		if v == "=" || v == "<<" {
			return true
		}
		if v == "" || len(v) > 64 || !strings.ContainsRune("+-.0123456789", rune(v[0])) || !yaml11.MatchString(v) {
			return false
		}
		text, err := yaml.Marshal(v)
		return err == nil && string(text) == v+"\n"
	}
	return false
}

// yaml11 are the numbers and times of YAML 1.1 (yaml.org/type; PyYAML
// resolver.py), octal numbers of 1.2 among them.
var yaml11 = regexp.MustCompile(`^(?:` +
	`[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_,]*)|[-+]?0x[0-9a-fA-F_]+` +
	`|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?` +
	`|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+` +
	`|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)` +
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?` +
	`)$`)
