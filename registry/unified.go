package registry

import (
	"fmt"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Unified is the step as a unified diff of the object's YAML, without what the
// API server counts up by itself. A Secret's values are digests unless
// showSecrets.
func (s *Step) Unified(showSecrets bool) (string, error) {
	before, after := s.Contents(showSecrets)
	old, err := yamlOf(withoutNoise(before))
	if err != nil {
		return "", err
	}
	now, err := yamlOf(withoutNoise(after))
	if err != nil {
		return "", err
	}
	name := s.Key.Path
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: linesOf(old), B: linesOf(now), Context: 2,
		FromFile: name, ToFile: fmt.Sprintf("%s\t%s at %s, %s", name, s.Event, s.Place(), s.When),
	})
	return text, err
}

// YAML is the object after the step, without managedFields; "" where it was
// deleted or cannot be read. A Secret's values are digests unless showSecrets.
func (s *Step) YAML(showSecrets bool) (string, error) {
	_, after := s.Contents(showSecrets)
	if after == nil {
		return "", nil
	}
	after = copyValue(after).(map[string]any)
	delete(mapAt(after, "metadata"), "managedFields")
	text, err := MarshalYAML(after)
	return string(text), err
}

// linesOf has no line for an object that is not there.
func linesOf(text string) []string {
	if text == "" {
		return nil
	}
	return difflib.SplitLines(text)
}

func yamlOf(content map[string]any) (string, error) {
	if content == nil {
		return "", nil
	}
	text, err := MarshalYAML(content)
	return strings.TrimSuffix(string(text), "\n"), err
}
