package controlplane

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splice edits the bytes of a sequence. Whether it hit what was meant is seen by
// parsing the result.
func (e *Editor) splice(list *yaml.Node, at, n int, words []string) ([]byte, error) {
	if list.Style&yaml.FlowStyle != 0 {
		return e.spliceFlow(list, at, n, words)
	}
	return e.spliceBlock(list, at, n, words)
}

// spliceBlock edits whole lines.
func (e *Editor) spliceBlock(list *yaml.Node, at, n int, words []string) ([]byte, error) {
	if at == len(list.Content) { // behind the last one
		last := list.Content[at-1]
		end, err := e.endOf(last)
		if err != nil {
			return nil, err
		}
		line := bytes.IndexByte(e.Data[end:], '\n')
		insert := end + line + 1
		text := e.item(last, words)
		if line < 0 {
			insert, text = len(e.Data), append([]byte("\n"), bytes.TrimSuffix(text, []byte("\n"))...)
		}
		return slices.Concat(e.Data[:insert], text, e.Data[insert:]), nil
	}
	if n == 0 { // before another one
		insert := e.lines[list.Content[at].Line-1]
		return slices.Concat(e.Data[:insert], e.item(list.Content[at], words), e.Data[insert:]), nil
	}
	if len(words) > 0 { // in its place: the rest of the line stays, with its comment
		start := e.offset(list.Content[at])
		end, err := e.endOf(list.Content[at])
		if err != nil {
			return nil, err
		}
		return slices.Concat(e.Data[:start], e.word(list.Content[at], words[0]), e.Data[end:]), nil
	}
	if n == len(list.Content) {
		return nil, fmt.Errorf("%w: nothing would be left of a list", ErrShape)
	}
	first := e.lines[list.Content[at].Line-1]
	if !bytes.HasPrefix(bytes.TrimLeft(e.Data[first:], " "), []byte("-")) {
		return nil, ErrShape // the first of a list within a list, on one line
	}
	end, err := e.endOf(list.Content[at+n-1])
	if err != nil {
		return nil, err
	}
	if line := bytes.IndexByte(e.Data[end:], '\n'); line >= 0 {
		end += line + 1
	} else {
		end = len(e.Data)
	}
	return slices.Concat(e.Data[:first], e.Data[end:]), nil
}

// item writes words as items of a block sequence, indented and quoted as
// another item is, with its line's ending.
func (e *Editor) item(like *yaml.Node, words []string) []byte {
	line := e.Data[e.lines[like.Line-1]:]
	dash := bytes.IndexByte(line, '-')
	var out []byte
	for _, w := range words {
		after := dash + 1 + len(line[dash+1:]) - len(bytes.TrimLeft(line[dash+1:], " "))
		out = append(out, line[:after]...) // the dash and the room behind it
		out = append(out, e.word(like, w)...)
		if end := bytes.IndexByte(line, '\n'); end > 0 && line[end-1] == '\r' {
			out = append(out, '\r')
		}
		out = append(out, '\n')
	}
	return out
}

// word writes a word in the quotes that another one has.
func (e *Editor) word(like *yaml.Node, word string) []byte {
	switch {
	case like.Style&yaml.DoubleQuotedStyle != 0:
		return []byte(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`)
	case like.Style&yaml.SingleQuotedStyle != 0:
		return []byte("'" + strings.ReplaceAll(word, "'", "''") + "'")
	}
	return []byte(word)
}

// spliceFlow edits words between commas, in [a, b] and in JSON.
func (e *Editor) spliceFlow(list *yaml.Node, at, n int, words []string) ([]byte, error) {
	if len(list.Content) == n {
		return nil, fmt.Errorf("%w: nothing would be left of a list", ErrShape)
	}
	switch {
	case n == 0:
		last := list.Content[at-1]
		end, err := e.endOf(last)
		if err != nil {
			return nil, err
		}
		return slices.Concat(e.Data[:end], e.separator(list, at), e.word(last, words[0]), e.Data[end:]), nil
	case len(words) > 0:
		start := e.offset(list.Content[at])
		end, err := e.endOf(list.Content[at])
		if err != nil {
			return nil, err
		}
		return slices.Concat(e.Data[:start], e.word(list.Content[at], words[0]), e.Data[end:]), nil
	case at+n < len(list.Content): // up to the next one
		return slices.Concat(e.Data[:e.offset(list.Content[at])], e.Data[e.offset(list.Content[at+n]):]), nil
	}
	start, err := e.endOf(list.Content[at-1])
	if err != nil {
		return nil, err
	}
	end, err := e.endOf(list.Content[at+n-1])
	if err != nil {
		return nil, err
	}
	return slices.Concat(e.Data[:start], e.Data[end:]), nil
}

// separator is what stands between the words before a place of a flow sequence.
func (e *Editor) separator(list *yaml.Node, at int) []byte {
	if at >= 2 {
		if end, err := e.endOf(list.Content[at-2]); err == nil && end < e.offset(list.Content[at-1]) {
			return e.Data[end:e.offset(list.Content[at-1])]
		}
	}
	return []byte(", ")
}

// offset is where a node begins. The parser counts columns in characters.
func (e *Editor) offset(n *yaml.Node) int {
	at := e.lines[n.Line-1]
	for range n.Column - 1 {
		if at >= len(e.Data) {
			return len(e.Data)
		}
		at++
		for at < len(e.Data) && e.Data[at]&0xc0 == 0x80 {
			at++
		}
	}
	return at
}

// endOf is where a node of a block or flow sequence ends: a scalar on one line,
// or the last of what is in a mapping.
func (e *Editor) endOf(n *yaml.Node) (int, error) {
	for n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
			return 0, ErrShape
		}
		n = n.Content[len(n.Content)-1]
	}
	start := e.offset(n)
	rest := e.Data[start:]
	if n.Kind != yaml.ScalarNode || len(rest) == 0 || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 0, ErrShape
	}
	switch rest[0] {
	case '"', '\'':
		return start + quoted(rest), nil
	case '&', '!', '*':
		return 0, ErrShape
	}
	if !bytes.HasPrefix(rest, []byte(n.Value)) {
		return 0, ErrShape // over several lines
	}
	return start + len(n.Value), nil
}

// quoted is the length of a quoted word.
func quoted(text []byte) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] != quote:
		case quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(text)
}
