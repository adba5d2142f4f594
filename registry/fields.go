package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldChange is a field that is not the same in two states of an object.
type FieldChange struct {
	Path string `json:"path"` // spec.template.spec.containers[name=web].image

	// Old and New are JSON's shapes; nil where the field was not there. Of a
	// Secret they are digests, unless its values were asked for.
	Old any `json:"old,omitempty"`
	New any `json:"new,omitempty"`
}

// String is the change in a few words: "spec.replicas: 3 -> 4".
func (c FieldChange) String() string {
	switch {
	case c.Old == nil:
		return fmt.Sprintf("+ %s: %s", c.Path, brief(c.New))
	case c.New == nil:
		return fmt.Sprintf("- %s: %s", c.Path, brief(c.Old))
	}
	return fmt.Sprintf("%s: %s -> %s", c.Path, brief(c.Old), brief(c.New))
}

// brief is a value in at most 40 letters, fit for a terminal.
func brief(value any) string {
	const most = 40
	text, ok := value.(string)
	if !ok || text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r > '~' }) {
		data, err := json.Marshal(value)
		if err != nil {
			return "?"
		}
		text = string(data)
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-3]) + "..."
	}
	return text
}

// DiffFields lists what differs between two states of an object, by path.
// Items of a list that have names (containers, ports, conditions) are told by
// them. A nil state is an object that is not there.
func DiffFields(before, after map[string]any) []FieldChange {
	d := fieldDiff{}
	d.maps("", before, after)
	return d.changes
}

type fieldDiff struct{ changes []FieldChange }

func (d *fieldDiff) values(path string, a, b any) {
	mapA, isMapA := a.(map[string]any)
	mapB, isMapB := b.(map[string]any)
	listA, isListA := a.([]any)
	listB, isListB := b.([]any)
	switch {
	case isMapA && isMapB:
		d.maps(path, mapA, mapB)
	case isListA && isListB:
		d.lists(path, listA, listB)
	case !reflect.DeepEqual(a, b):
		d.changes = append(d.changes, FieldChange{Path: path, Old: a, New: b})
	}
}

func (d *fieldDiff) maps(path string, a, b map[string]any) {
	keys := slices.Sorted(maps.Keys(a))
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		d.values(joinPath(path, key), a[key], b[key])
	}
}

func joinPath(path, key string) string {
	switch {
	case !isPlainKey(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// lists compares by name where the items have one, by place where there are as
// many as before, and as a whole else.
func (d *fieldDiff) lists(path string, a, b []any) {
	if key := itemKey(a, b); key != "" {
		d.named(path, key, a, b)
		return
	}
	if len(a) != len(b) {
		if !reflect.DeepEqual(a, b) {
			d.changes = append(d.changes, FieldChange{Path: path, Old: a, New: b})
		}
		return
	}
	for i := range a {
		d.values(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])
	}
}

func (d *fieldDiff) named(path, key string, a, b []any) {
	find := func(list []any, name any) any {
		for _, item := range list {
			if valueAt(item, key) == name {
				return item
			}
		}
		return nil
	}
	for _, item := range a {
		name := valueAt(item, key)
		d.values(fmt.Sprintf("%s[%s=%v]", path, key, name), item, find(b, name))
	}
	for _, item := range b {
		if name := valueAt(item, key); find(a, name) == nil {
			d.values(fmt.Sprintf("%s[%s=%v]", path, key, name), nil, item)
		}
	}
}

// itemKey is the field that tells the items of both lists apart, "" for none.
// They are those by which Kubernetes itself merges lists (patchMergeKey in
// k8s.io/api).
func itemKey(a, b []any) string {
	for _, key := range []string{"name", "type", "key", "mountPath", "devicePath", "containerPort", "port", "ip", "uid", "topologyKey"} {
		if len(a)+len(b) > 0 && distinct(a, key) && distinct(b, key) {
			return key
		}
	}
	return ""
}

func distinct(items []any, key string) bool {
	seen := map[any]bool{}
	for _, item := range items {
		switch name := valueAt(item, key).(type) {
		case string, int64:
			if seen[name] {
				return false
			}
			seen[name] = true
		default:
			return false
		}
	}
	return true
}

// Masked is content with the values of a Secret replaced by digests; of other
// kinds it is content itself. key makes the digests: two values can be told
// apart under the same key, and not be guessed without it. It is the object's
// uid, which Masked therefore leaves out.
func Masked(content map[string]any, key string) map[string]any {
	if content["kind"] != "Secret" || content["apiVersion"] != "v1" {
		return content
	}
	masked := copyValue(content).(map[string]any)
	for _, field := range []string{"data", "stringData"} {
		for name, value := range mapAt(masked, field) {
			mapAt(masked, field)[name] = secretDigest(value, key)
		}
	}
	if annotations := mapAt(masked, "metadata", "annotations"); annotations[lastApplied] != nil {
		annotations[lastApplied] = secretDigest(annotations[lastApplied], key)
	}
	if metadata := mapAt(masked, "metadata"); metadata != nil {
		delete(metadata, "uid")
	}
	return masked
}

func secretDigest(value any, key string) string {
	data, err := json.Marshal(value)
	if err != nil || key == "" {
		return "hidden"
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(data)
	return "digest " + hex.EncodeToString(mac.Sum(nil))[:16]
}
