package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// edit is one object on its way through the rules: a copy that they change
// and the record of what they did.
type edit struct {
	*group
	*member

	stored  map[string]any // the object's content; not to be written to, nil when unreadable
	intent  *intent        // made at first use
	content map[string]any // the copy
	rule    string         // the rule at work

	changes []Change
	notes   []string
	exists  bool
	wake    string
	behind  *identity // the Service that has to answer first
	leftOut *LeftOut

	collides bool // with the original of a clone

	// places are, by path, where the items of a shortened list stood in the backup.
	places map[string][]int
}

// run applies the rules until one leaves the object out.
func (e *edit) run(rules []Rule) {
	if e.stored == nil {
		e.leftOut = &LeftOut{Object: e.object, Rule: Unreadable, Reason: e.why}
		return
	}
	for _, p := range e.object.Problems {
		if p.Code == NotServed {
			e.leftOut = &LeftOut{Object: e.object, Rule: Unserved, Reason: p.Detail}
			return
		}
	}
	e.content = copyValue(e.stored).(map[string]any)
	for _, r := range rules {
		if !r.concerns(e.id.kind) {
			continue
		}
		e.rule = r.ID
		if r.apply(e); e.leftOut != nil {
			return
		}
	}
}

// leave leaves the object out, as the profile wants it.
func (e *edit) leave(format string, args ...any) {
	e.leftOut = &LeftOut{Object: e.object, Rule: e.rule, Reason: fmt.Sprintf(format, args...), ByRule: true}
}

// miss leaves out an object that was asked for.
func (e *edit) miss(format string, args ...any) {
	e.leftOut = &LeftOut{Object: e.object, Rule: e.rule, Reason: fmt.Sprintf(format, args...)}
}

func (e *edit) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

// drop removes a field, and every map above it that has nothing else. The
// path's elements are keys (string) and indexes (int); a field that is not
// there is no change.
func (e *edit) drop(path ...any) {
	where := e.backupPath(path)
	if old, _, ok := remove(e.content, path); ok {
		e.record(Dropped, old, where)
	}
}

// backupPath is a path in the copy as it was in the backup: lists above it may
// have lost items.
func (e *edit) backupPath(path []any) []any {
	path = slices.Clone(path)
	prefix := slices.Clone(path)
	for n, step := range prefix {
		if i, isIndex := step.(int); isIndex {
			if places, shortened := e.places[pathString(prefix[:n])]; shortened && i < len(places) {
				path[n] = places[i]
			}
		}
	}
	return path
}

// dropItems removes the items of the list at path that match takes, and the
// list when it was not empty before and is now.
func (e *edit) dropItems(match func(item any) bool, path ...any) {
	list, ok := at(e.content, path).([]any)
	if !ok {
		return
	}
	var kept []any
	var places []int
	for i, item := range list {
		place := i
		if before, ok := e.places[pathString(path)]; ok {
			place = before[i]
		}
		if match(item) {
			e.record(Dropped, item, append(e.backupPath(path), place))
		} else {
			kept, places = append(kept, item), append(places, place)
		}
	}
	if e.places == nil {
		e.places = map[string][]int{}
	}
	e.places[pathString(path)] = places
	switch {
	case len(kept) == len(list):
	case len(kept) == 0:
		remove(e.content, path)
	default:
		set(e.content, kept, path)
	}
}

// change gives a field another value; the field above it has to be there.
func (e *edit) change(value any, path ...any) {
	e.record(Changed, at(e.content, path), path)
	set(e.content, value, path)
}

func (e *edit) record(action Action, old any, path []any) {
	e.changes = append(e.changes, Change{Path: pathString(path), Action: action, Rule: e.rule, Digest: e.digest(old)})
}

// digest is Change.Digest of a value.
func (e *edit) digest(value any) string {
	if e.uid == "" || value == nil {
		return ""
	}
	data, err := json.Marshal(value)
	if err != nil { // content is JSON by its making; NaN and the like never were in it
		return ""
	}
	mac := hmac.New(sha256.New, []byte(e.uid))
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))[:16]
}

// at walks down maps and lists; nil when there is nothing.
func at(node any, path []any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := node.(map[string]any)
			node = m[key]
		case int:
			l, _ := node.([]any)
			if key >= len(l) {
				return nil
			}
			node = l[key]
		}
	}
	return node
}

// set puts value at path, whose parent is a map.
func set(root map[string]any, value any, path []any) {
	last := len(path) - 1
	if parent, ok := at(root, path[:last]).(map[string]any); ok {
		parent[path[last].(string)] = value
	}
}

// remove takes the value at path out of node; emptied says that node has
// nothing left. Items of lists stay where they are, even when emptied: their
// neighbours' indexes, and what an empty item means, must not change.
func remove(node any, path []any) (old any, emptied, ok bool) {
	if i, isIndex := path[0].(int); isIndex {
		list, _ := node.([]any)
		if i >= len(list) || len(path) == 1 {
			return nil, false, false
		}
		old, _, ok = remove(list[i], path[1:])
		return old, false, ok
	}
	key := path[0].(string)
	m, _ := node.(map[string]any)
	child, has := m[key]
	switch {
	case !has:
		return nil, false, false
	case len(path) == 1:
		delete(m, key)
		return child, len(m) == 0, true
	}
	if old, emptied, ok = remove(child, path[1:]); ok && emptied {
		delete(m, key)
	}
	return old, ok && emptied && len(m) == 0, ok
}

// pathString writes a path as kubectl's JSONPath does, keys that are no plain
// words quoted: they came out of a file.
func pathString(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch key := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(key) + "]")
		case string:
			switch {
			case !isPlainKey(key):
				b.WriteString("[" + strconv.Quote(key) + "]")
			case b.Len() > 0:
				b.WriteString("." + key)
			default:
				b.WriteString(key)
			}
		}
	}
	return b.String()
}

func isPlainKey(key string) bool {
	return key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// copyValue copies JSON's shapes deeply.
func copyValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, child := range v {
			m[key] = copyValue(child)
		}
		return m
	case []any:
		if v == nil {
			return v
		}
		l := make([]any, len(v))
		for i, child := range v {
			l[i] = copyValue(child)
		}
		return l
	}
	return value
}

// sortedKeys makes what is done to the entries of a map happen in one order.
func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
