package printer

import (
	"encoding/json"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// List streams objects as kubectl get -o yaml|json prints them: one by
// itself, or the items of a List. No more than one object is held.
type List struct {
	w      io.Writer
	json   bool
	single bool
	items  int
}

// NewList begins a List on w, as JSON or else as YAML; single is for one object
// by itself.
func NewList(w io.Writer, asJSON, single bool) *List {
	return &List{w: w, json: asJSON, single: single}
}

// Add writes one more object.
func (l *List) Add(content map[string]any) error {
	text, err := l.encode(content)
	if err != nil {
		return err
	}
	l.items++
	switch {
	case l.single && l.json:
		text += "\n"
	case l.single:
	case l.json:
		text = indent(text, "        ", "")
		if l.items > 1 {
			text = "," + text
		}
	default:
		text = indent(text, "  ", "- ")
	}
	if l.items == 1 && !l.single {
		text = l.head() + text
	}
	_, err = io.WriteString(l.w, text)
	return err
}

// End closes the List. One that has no items is printed by kubectl, too.
func (l *List) End() error {
	if l.single {
		return nil
	}
	text := "kind: List\nmetadata:\n  resourceVersion: \"\"\n"
	if l.json {
		text = "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n"
	}
	switch {
	case l.items == 0 && l.json:
		text = "{\n    \"apiVersion\": \"v1\",\n    \"items\": [" + strings.TrimPrefix(text, "\n    ")
	case l.items == 0:
		text = "apiVersion: v1\nitems: []\n" + text
	}
	_, err := io.WriteString(l.w, text)
	return err
}

func (l *List) head() string {
	if l.json {
		return "{\n    \"apiVersion\": \"v1\",\n    \"items\": ["
	}
	return "apiVersion: v1\nitems:\n"
}

func (l *List) encode(content map[string]any) (string, error) {
	if l.json {
		data, err := json.MarshalIndent(content, "", "    ")
		return string(data), err
	}
	data, err := yaml.Marshal(content)
	return string(data), err
}

// indent sets every line in by blank, the first one with first in its place.
func indent(text, blank, first string) string {
	text = strings.TrimSuffix(text, "\n")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch {
		case line == "":
		case i == 0 && first != "":
			lines[i] = first + line
		default:
			lines[i] = blank + line
		}
	}
	joined := strings.Join(lines, "\n")
	if first == "" {
		return "\n" + joined
	}
	return joined + "\n"
}
