package registry

import (
	"io"

	"github.com/lifeboat-dr/lifeboat/internal/text"
)

// DiffDocument is a Diff for machines.
type DiffDocument struct {
	Items    []DiffRow `json:"items"`
	Compared int       `json:"compared"`
	LeftOut  int       `json:"leftOut"`
}

// DiffRow is a Difference for machines.
type DiffRow struct {
	Event     string         `json:"event"` // added, removed, changed
	Resource  string         `json:"resource"`
	Namespace string         `json:"namespace,omitempty"`
	Name      string         `json:"name"`
	Fields    []FieldChange  `json:"fields,omitempty"`
	Problem   string         `json:"problem,omitempty"` // why it could not be compared; its stored bytes differ
	Old       map[string]any `json:"old,omitempty"`
	New       map[string]any `json:"new,omitempty"`
}

// Document has whole objects only where one side has none.
func (d *Diff) Document() DiffDocument {
	doc := DiffDocument{Items: make([]DiffRow, 0, len(d.Items)), Compared: d.Compared, LeftOut: d.LeftOut}
	for _, i := range d.Items {
		row := DiffRow{Event: i.word(), Resource: i.Key.Resource(), Namespace: i.Key.Namespace, Name: i.Key.Name, Fields: i.Fields, Problem: i.Problem}
		if i.Event != Updated {
			row.Old, row.New = i.Old, i.New
		}
		doc.Items = append(doc.Items, row)
	}
	return doc
}

// WriteText shows a line for each field that differs; nothing for no difference.
func (d *Diff) WriteText(w io.Writer) error {
	table := text.NewTable(w)
	if len(d.Items) > 0 {
		table.Row("DIFFERENCE", "NAMESPACE", "OBJECT", "FIELDS")
	}
	for _, i := range d.Items {
		row := []string{i.word(), text.OrDash(i.Key.Namespace), i.Key.Resource() + "/" + i.Key.Name}
		for _, f := range i.Fields {
			table.Row(append(row, f.String())...)
		}
		if len(i.Fields) == 0 {
			table.Row(append(row, i.Problem)...)
		}
	}
	return table.Flush()
}

func (d *Difference) word() string {
	switch d.Event {
	case Created:
		return "added"
	case Deleted:
		return "removed"
	}
	return "changed"
}
