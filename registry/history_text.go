package registry

import (
	"cmp"
	"fmt"
	"strings"
)

// HistoryRow is a Step for machines.
type HistoryRow struct {
	Revision int64         `json:"revision"`        // 0 of what was attempted
	Entry    uint64        `json:"entry,omitempty"` // of the log, of what it alone tells
	Time     Moment        `json:"time"`
	Event    Event         `json:"event"`
	Resource string        `json:"resource"`
	Object   string        `json:"name"`
	NS       string        `json:"namespace,omitempty"`
	By       []Author      `json:"by"`
	Fields   []FieldChange `json:"fields"`
	Gap      bool          `json:"gap,omitempty"` // changes before this one may be missing
	Problems []Problem     `json:"problems,omitempty"`
}

// Row has a Secret's values as digests unless they are asked for.
func (s *Step) Row(showSecrets bool) HistoryRow {
	row := HistoryRow{
		Revision: s.Revision, Entry: s.Entry, Time: s.When, Event: s.Event, Resource: s.Key.Resource(), Object: s.Key.Name, NS: s.Key.Namespace,
		By: s.By(), Fields: s.Fields(showSecrets), Gap: s.Gap,
	}
	if s.After != nil {
		row.Problems = s.After.Problems
	}
	if row.By == nil {
		row.By = []Author{}
	}
	if row.Fields == nil {
		row.Fields = []FieldChange{}
	}
	return row
}

// HistoryColumns head the rows of Step.Columns.
func HistoryColumns() []string {
	return []string{"REVISION", "TIME", "EVENT", "OBJECT", "BY", "WHAT"}
}

// Columns are the row of a table for people.
func (s *Step) Columns(showSecrets bool) []string {
	return []string{strings.TrimPrefix(s.Place(), "revision "), s.When.String(), s.eventWords(), s.Subject(), s.byWords(), s.what(showSecrets)}
}

// Subject is whose step it is: "infra configmaps/flip".
func (s *Step) Subject() string {
	if s.Key.Namespace == "" {
		return s.Key.Resource() + "/" + s.Key.Name
	}
	return s.Key.Namespace + " " + s.Key.Resource() + "/" + s.Key.Name
}

func (s *Step) eventWords() string {
	switch {
	case s.Gap:
		return string(s.Event) + " (older changes unknown)"
	case s.Entry > 0 && s.Event != Attempted:
		return string(s.Event) + " (from the log)"
	}
	return string(s.Event)
}

func (s *Step) byWords() string {
	var names []string
	for _, a := range s.By() {
		names = append(names, a.String())
	}
	return cmp.Or(strings.Join(names, ", "), "unknown")
}

// what is a few words: at most three fields.
func (s *Step) what(showSecrets bool) string {
	if s.After != nil && !s.After.Readable() {
		return "locked or damaged"
	}
	switch {
	case s.Event == Attempted && s.After == nil:
		return "to delete it"
	case s.Event == Attempted && s.Before == nil:
		return "to write it"
	case s.Event != Updated && s.Event != Attempted:
		return ""
	}
	const most = 3
	fields := s.Fields(showSecrets)
	var words []string
	for _, f := range fields[:min(most, len(fields))] {
		words = append(words, f.String())
	}
	if more := len(fields) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return cmp.Or(strings.Join(words, "; "), "nothing but its metadata")
}
