package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// ErrScenario is every LoadError.
var ErrScenario = errors.New("not a drill that can be run")

// LoadError is a mistake in a drill file.
type LoadError struct {
	File string
	Line int // 1 is the first; 0 where the mistake is that something is missing
	Text string
	Hint string // the nearest known word, or what stands there usually; may be empty
}

func (e *LoadError) Error() string {
	text := fmt.Sprintf("reading drill %q: ", e.File)
	if e.Line > 0 {
		text += fmt.Sprintf("line %d: ", e.Line)
	}
	text += e.Text
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Is makes every LoadError an ErrScenario.
func (e *LoadError) Is(target error) bool { return target == ErrScenario }

// loader walks the nodes of one file and collects every mistake in it.
type loader struct {
	file string
	errs []error
}

// maxMistakes is after how many a file is not read on.
const maxMistakes = 20

func (l *loader) fail(line int, hint, format string, args ...any) {
	if len(l.errs) < maxMistakes {
		l.errs = append(l.errs, &LoadError{File: l.file, Line: line, Text: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// fields are the entries of a mapping; known are the words it may have.
func (l *loader) fields(node *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if node.Kind != yaml.MappingNode {
		l.fail(node.Line, "", "%s is written as words with values, such as {%s: ...}", what, known[0])
		return out
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value):
			l.fail(key.Line, nearestWord(key.Value, known), "%s has no %q", what, key.Value)
		case out[key.Value] != nil:
			l.fail(key.Line, "", "%q stands twice in %s", key.Value, what)
		default:
			out[key.Value] = value
		}
	}
	return out
}

// items are the entries of a list; a single value is a list of one.
func items(node *yaml.Node) []*yaml.Node {
	if node.Kind == yaml.SequenceNode {
		return node.Content
	}
	return []*yaml.Node{node}
}

func (l *loader) text(node *yaml.Node, what string) string {
	if node == nil {
		return ""
	}
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		l.fail(node.Line, "", "%s is one value", what)
		return ""
	}
	return node.Value
}

// word is a text that is one of known.
func (l *loader) word(node *yaml.Node, what string, known ...string) string {
	text := l.text(node, what)
	if node != nil && text != "" && !slices.Contains(known, text) {
		l.fail(node.Line, nearestWord(text, known), "%s is not %q", what, text)
	}
	return text
}

func (l *loader) duration(node *yaml.Node, what string, otherwise Duration) Duration {
	if node == nil {
		return otherwise
	}
	d := otherwise
	if err := d.UnmarshalText([]byte(l.text(node, what))); err != nil {
		l.fail(node.Line, "", "%s: %v", what, err)
	}
	return d
}

// number is a whole number from least to most; suffix ("/s") may follow it.
func (l *loader) number(node *yaml.Node, what, suffix string, otherwise, least, most int) int {
	if node == nil {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSuffix(l.text(node, what), suffix))
	switch {
	case err != nil:
		l.fail(node.Line, "", "%s is a whole number, not %q", what, node.Value)
	case n < least || n > most:
		l.fail(node.Line, "", "%s is %d, and may be %d to %d", what, n, least, most)
	default:
		return n
	}
	return otherwise
}

func (l *loader) yes(node *yaml.Node, what string, otherwise bool) bool {
	if node == nil {
		return otherwise
	}
	switch l.text(node, what) {
	case "true":
		return true
	case "false":
	default:
		l.fail(node.Line, "", "%s is true or false", what)
	}
	return false
}

// bytes is a size as Kubernetes and etcd write it: 20MiB, 8GiB, 1048576.
func (l *loader) bytes(node *yaml.Node, what string) int64 {
	if node == nil {
		return 0
	}
	text, factor := l.text(node, what), int64(1)
	for _, unit := range []struct {
		name string
		size int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if rest, ok := strings.CutSuffix(text, unit.name); ok {
			text, factor = rest, unit.size
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > (64<<30)/factor {
		l.fail(node.Line, "", "%s is a size up to 64GiB, such as 20MiB", what)
		return 0
	}
	return n * factor
}

// nearestWord is a hint for a word that is none of known.
func nearestWord(word string, known []string) string {
	best, least := "", len(word)/2+1
	for _, k := range known {
		if d := words.Distance(strings.ToLower(word), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	sorted := slices.Sorted(slices.Values(known))
	return "known: " + strings.Join(sorted, ", ")
}
