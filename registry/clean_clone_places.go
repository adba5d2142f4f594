package registry

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// follow turns the references of a built-in kind to the clone's namespace. In
// custom resources nobody knows what a field means; they are listed.
func (c Clone) follow(e *edit) {
	if e.custom() {
		return
	}
	walk(e.content, nil, func(node map[string]any, path []any) {
		if isFreeForm(path) || e.id.kind == crdKind && !isBelow(path, "spec", "conversion") {
			return
		}
		for _, key := range []string{"namespace", "secretNamespace"} {
			if stringAt(node, key) == c.From {
				e.change(c.To, append(slices.Clone(path), key)...)
			}
		}
		c.followSelector(e, node, path)
		for _, key := range sortedKeys(node) {
			c.followTexts(e, node[key], append(slices.Clone(path), key))
		}
	})
}

// followSelector turns the label by which namespaces are selected, and the list
// of namespaces of an affinity or of a rule.
func (c Clone) followSelector(e *edit, node map[string]any, path []any) {
	if labels := mapAt(node, "matchLabels"); stringAt(labels, namespaceLabel) == c.From {
		e.change(c.To, append(slices.Clone(path), "matchLabels", namespaceLabel)...)
	}
	lists := []string{"namespaces"}
	if stringAt(node, "key") == namespaceLabel {
		lists = append(lists, "values")
	}
	for _, key := range lists {
		if list := listAt(node, key); slices.Contains(list, any(c.From)) {
			e.change(mapped(list, func(item any) any {
				if item == c.From {
					return c.To
				}
				return item
			}), append(slices.Clone(path), key)...)
		}
	}
}

// followTexts turns the user name of a ServiceAccount, and the group of all of
// a namespace.
func (c Clone) followTexts(e *edit, value any, path []any) {
	switch v := value.(type) {
	case string:
		if to, ok := c.account(v); ok {
			e.change(to, path...)
		}
	case []any:
		if slices.ContainsFunc(v, func(item any) bool { _, ok := c.account(item); return ok }) {
			e.change(mapped(v, func(item any) any {
				if to, ok := c.account(item); ok {
					return to
				}
				return item
			}), path...)
		}
	}
}

func (c Clone) account(value any) (string, bool) {
	text, _ := value.(string)
	if text == "system:serviceaccounts:"+c.From {
		return "system:serviceaccounts:" + c.To, true
	}
	name, ok := strings.CutPrefix(text, "system:serviceaccount:"+c.From+":")
	if !ok || name == "" || strings.ContainsAny(name, ": \n") {
		return "", false
	}
	return "system:serviceaccount:" + c.To + ":" + name, true
}

func mapped(list []any, by func(any) any) []any {
	list = slices.Clone(list)
	for i := range list {
		list[i] = by(list[i])
	}
	return list
}

// isFreeForm tells the maps whose keys are a user's own words: a label called
// "namespace" names no namespace.
func isFreeForm(path []any) bool {
	for i, step := range path {
		switch step {
		case "labels", "annotations", "matchLabels", "nodeSelector", "parameters", "data", "stringData", "binaryData", "volumeAttributes", "options", "attributes":
			return true
		case "selector": // of a Service or a ReplicationController; elsewhere it holds matchLabels
			return i == len(path)-1
		}
	}
	return false
}

func isBelow(path []any, above ...string) bool {
	return len(path) >= len(above) && slices.EqualFunc(path[:len(above)], above, func(step any, name string) bool { return step == name })
}

// walkTexts visits every text below value, keys in their order.
func walkTexts(value any, path []any, visit func(text string, path []any)) {
	switch v := value.(type) {
	case string:
		visit(v, path)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			walkTexts(v[key], append(path[:len(path):len(path)], key), visit)
		}
	case []any:
		for i, item := range v {
			walkTexts(item, append(path[:len(path):len(path)], i), visit)
		}
	}
}

// decodedText is what a Secret's value holds, "" where it is no text.
func decodedText(value string) string {
	data, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return ""
	}
	return string(data)
}

// hasWord tells whether a name stands in a text by itself: "db.infra.svc" has
// "infra", "infra-2" has not.
func hasWord(text, name string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(name)
		if (start == 0 || !isNameByte(text[start-1])) && (end == len(text) || !isNameByte(text[end])) {
			return true
		}
		from = start + 1
	}
}

func isNameByte(b byte) bool {
	return b == '-' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}
