package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrNotManifest says that a file is not a static Pod manifest of the component
// that was asked for.
var ErrNotManifest = errors.New("not the manifest")

// ErrShape says that a manifest is written in a way that is not edited here: a
// person has to.
var ErrShape = errors.New("the manifest is written in a way that lifeboat does not edit")

// Editor changes a component's flags in a static Pod manifest. Only the lines,
// or in a flow sequence the words, that have to change do: comments, order and
// formatting of all the rest stay as they are, byte for byte. After every edit
// the manifest is parsed again, and has to say what was meant and nothing else.
type Editor struct {
	Data []byte // the manifest as it is by now

	component string
	doc       *yaml.Node
	container *yaml.Node
	lines     []int // offset of each line
}

// Edit opens a manifest for editing. Errors are ErrNotManifest: no YAML, no
// Pod, or not exactly one container that runs the component.
func Edit(data []byte, component string) (*Editor, error) {
	e := &Editor{Data: data, component: component}
	if err := e.parse(); err != nil {
		return nil, fmt.Errorf("reading the manifest of %s: %w", component, err)
	}
	return e, nil
}

func (e *Editor) parse() error {
	e.doc, e.container = &yaml.Node{}, nil
	dec := yaml.NewDecoder(bytes.NewReader(e.Data))
	if err := dec.Decode(e.doc); err != nil {
		return fmt.Errorf("%w: it is no YAML", ErrNotManifest) // the parser's words may quote the file
	}
	if more := new(yaml.Node); dec.Decode(more) == nil {
		return fmt.Errorf("%w: it holds more than one document", ErrNotManifest)
	}
	if key := twice(e.doc); key != "" {
		return fmt.Errorf("%w: key %q stands twice in one mapping, and programs differ in which one they take", ErrNotManifest, key)
	}
	top := e.doc.Content[0]
	if kind := child(top, "kind"); kind == nil || kind.Value != "Pod" {
		return fmt.Errorf("%w: it is no Pod", ErrNotManifest)
	}
	containers := child(child(top, "spec"), "containers")
	var found []*yaml.Node
	if containers != nil {
		for _, c := range containers.Content {
			if runs(c, e.component) {
				found = append(found, c)
			}
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("%w: no container of it runs %s", ErrNotManifest, e.component)
	case 1:
		e.container = found[0]
	default:
		return fmt.Errorf("%w: %d containers of it run %s", ErrNotManifest, len(found), e.component)
	}
	e.lines = []int{0}
	for i, b := range e.Data {
		if b == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	return nil
}

// twice is a key that a mapping has twice, "" for none.
func twice(n *yaml.Node) string {
	seen := map[string]bool{}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if seen[c.Value] {
				return c.Value
			}
			seen[c.Value] = true
		}
		if key := twice(c); key != "" {
			return key
		}
	}
	return ""
}

// editable refuses what an edit of words would not reach: a program that a shell
// starts, whose flags are within one word, and a list that stands elsewhere.
func (e *Editor) editable() error {
	for _, key := range []string{"command", "args"} {
		list := child(e.container, key)
		if list == nil {
			continue
		}
		if list.Kind != yaml.SequenceNode || list.Anchor != "" {
			return fmt.Errorf("%w: its %s is no list of its own", ErrShape, key)
		}
		if key == "command" && len(list.Content) > 0 && isShell(text(list.Content[0])) {
			return fmt.Errorf("%w: a shell starts %s", ErrShape, e.component)
		}
	}
	return nil
}

// text is a scalar's, also where it stands elsewhere.
func text(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias.Value
	}
	return n.Value
}

// runs tells a component's container by its name or its program. A side car of
// that name with another program is none.
func runs(c *yaml.Node, component string) bool {
	if command := child(c, "command"); command != nil && len(command.Content) > 0 {
		program := text(command.Content[0])
		return path.Base(program) == component || value(c, "name") == component && !strings.HasPrefix(program, "-") && isShell(program)
	}
	return value(c, "name") == component
}

// isShell reports whether a program may start another one.
func isShell(program string) bool {
	return slices.Contains([]string{"sh", "bash", "ash", "dash"}, path.Base(program))
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func value(n *yaml.Node, key string) string {
	if v := child(n, key); v != nil {
		return v.Value
	}
	return ""
}

// given is one flag as it stands in the manifest.
type given struct {
	list  *yaml.Node // command or args
	at    int        // index in it
	words int        // 2 where the value is a word of its own
	name  string
	value string
}

// flags lists the container's flags in their order.
func (e *Editor) flags() []given {
	var all []given
	for _, key := range []string{"command", "args"} {
		list := child(e.container, key)
		if list == nil {
			continue
		}
		for i := 0; i < len(list.Content); i++ {
			word := text(list.Content[i])
			if !strings.HasPrefix(word, "-") {
				continue
			}
			name, value, has := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
			g := given{list: list, at: i, words: 1, name: flagName(name), value: value}
			if !has {
				g.value = "true"
				if i+1 < len(list.Content) && !strings.HasPrefix(text(list.Content[i+1]), "-") {
					g.words, g.value = 2, text(list.Content[i+1])
					i++
				}
			}
			all = append(all, g)
		}
	}
	return all
}

// Given lists the values that a flag has in the manifest, in their order: the
// last one counts.
func (e *Editor) Given(flag string) []string {
	var values []string
	for _, g := range e.flags() {
		if g.name == flag {
			values = append(values, g.value)
		}
	}
	return values
}

// FlagsNamed lists the names of the flags that begin with a prefix, each once.
func (e *Editor) FlagsNamed(prefix string) []string {
	var names []string
	for _, g := range e.flags() {
		if strings.HasPrefix(g.name, prefix) && !slices.Contains(names, g.name) {
			names = append(names, g.name)
		}
	}
	return names
}

// Set gives a flag a value: where it stands, at the last place if there are
// several, else behind the last flag. The value is "" for a flag without one.
// What is so already stays untouched.
func (e *Editor) Set(flag, value string) error {
	word := "--" + flag
	if value != "" {
		word += "=" + value
	}
	want := value
	if value == "" {
		want = "true"
	}
	if err := e.editable(); err != nil {
		return fmt.Errorf("setting --%s: %w", flag, err)
	}
	all := e.flags()
	if len(all) == 0 {
		return fmt.Errorf("setting --%s: %w: there is no flag to put it behind", flag, ErrShape)
	}
	for _, g := range slices.Backward(all) {
		if g.name != flag {
			continue
		}
		if g.value == want {
			return nil
		}
		if g.words == 2 {
			return e.change("setting --"+flag, g.list, g.at+1, 1, []string{value})
		}
		return e.change("setting --"+flag, g.list, g.at, 1, []string{word})
	}
	last := all[len(all)-1]
	return e.change("setting --"+flag, last.list, last.at+last.words, 0, []string{word})
}

// Remove takes a flag out, everywhere it stands.
func (e *Editor) Remove(flag string) error {
	if err := e.editable(); err != nil {
		return fmt.Errorf("removing --%s: %w", flag, err)
	}
	for {
		all := e.flags()
		i := slices.IndexFunc(all, func(g given) bool { return g.name == flag })
		if i < 0 {
			return nil
		}
		if err := e.change("removing --"+flag, all[i].list, all[i].at, all[i].words, nil); err != nil {
			return err
		}
	}
}

// change replaces n words of a sequence by others, and makes sure that nothing
// else has changed.
func (e *Editor) change(what string, list *yaml.Node, at, n int, words []string) error {
	want := e.outline(list, at, n, words)
	old := *e
	data, err := e.splice(list, at, n, words)
	if err == nil {
		e.Data = data
		err = e.parse()
	}
	if err == nil && !slices.Equal(e.outline(nil, 0, 0, nil), want) {
		err = ErrShape
	}
	if err != nil {
		*e = old
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// outline is what the document says, as a list of words, with a change in one
// sequence.
func (e *Editor) outline(list *yaml.Node, at, n int, words []string) []string {
	var out []string
	var walk func(node *yaml.Node)
	walk = func(node *yaml.Node) {
		out = append(out, fmt.Sprint(node.Kind, node.Anchor), node.Value)
		if node.Kind == yaml.ScalarNode && node.ShortTag() != "!!str" {
			out = append(out, node.ShortTag())
		}
		for i, c := range node.Content {
			if node == list && i == at {
				for _, w := range words {
					out = append(out, fmt.Sprint(yaml.ScalarNode), w, "end")
				}
			}
			if node == list && i >= at && i < at+n {
				continue
			}
			walk(c)
		}
		if node == list && at == len(node.Content) {
			for _, w := range words {
				out = append(out, fmt.Sprint(yaml.ScalarNode), w, "end")
			}
		}
		out = append(out, "end")
	}
	walk(e.doc)
	return out
}
