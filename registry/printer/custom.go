package printer

import (
	"context"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// customTable is the table of one custom resource.
type customTable struct {
	columns   []metav1.TableColumnDefinition
	dates     []bool // by column: an age, counted from the time stamp in the object
	convertor rest.TableConvertor
}

// newCustomTable takes the columns of one version. Without any it shows the age, as serveDefaultColumnsIfEmpty does
// (apiextensions-apiserver pkg/apiserver/helpers.go).
func newCustomTable(definition registry.CustomResource, name string) *customTable {
	version, _ := definition.Version(name)
	if len(version.Columns) == 0 {
		version.Columns = []registry.CustomColumn{{
			Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp", Description: metadataDoc["creationTimestamp"],
		}}
	}
	t := &customTable{columns: []metav1.TableColumnDefinition{nameColumn}, dates: []bool{false}}
	var columns []apiextensionsv1.CustomResourceColumnDefinition
	for _, c := range version.Columns {
		declared := metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Description: c.Description, Priority: c.Priority}
		if declared.Description == "" {
			declared.Description = "Custom resource definition column (in JSONPath format): " + c.JSONPath
		}
		date := c.Type == "date"
		if date {
			c.Type = "string" // the convertor would measure it against the clock
		}
		columns = append(columns, apiextensionsv1.CustomResourceColumnDefinition{
			Name: c.Name, Type: c.Type, Format: c.Format, Priority: c.Priority, JSONPath: c.JSONPath,
		})
		t.columns = append(t.columns, declared)
		t.dates = append(t.dates, date)
	}
	// At a JSONPath that does not parse the convertor stops and keeps the columns
	// before it. The API server goes on with those, and so do we.
	t.convertor, _ = tableconvertor.New(columns)
	return t
}

// customTable makes the table of a custom resource in its preferred version;
// one without a definition in the backup shows name and age.
func (p *Printer) customTable(o *registry.Object, resource registry.Resource) (*metav1.Table, error) {
	content, err := o.Content()
	if err != nil {
		return nil, err
	}
	if content == nil {
		return nil, errNoContent
	}
	return p.customOf(resource, resource.Version).rowOf(p, &unstructured.Unstructured{Object: content})
}

// customOf is the table of a custom resource in a version.
func (p *Printer) customOf(resource registry.Resource, version string) *customTable {
	if t, ok := p.customs[resource.GroupResource().WithVersion(version)]; ok {
		return t
	}
	return newCustomTable(registry.CustomResource{}, "")
}

func (t *customTable) rowOf(p *Printer, object *unstructured.Unstructured) (*metav1.Table, error) {
	table, err := t.convertor.ConvertToTable(context.Background(), object, &metav1.TableOptions{NoHeaders: true})
	if err != nil || len(table.Rows) == 0 {
		return nil, err
	}
	table.ColumnDefinitions = t.columns
	for i, cell := range table.Rows[0].Cells {
		if text, ok := cell.(string); ok && t.dates[i] {
			table.Rows[0].Cells[i] = p.ageOf(text)
		}
	}
	return table, nil
}

// ageOf reads a time stamp as tableconvertor's date columns do.
func (p *Printer) ageOf(text string) string {
	var t metav1.Time
	if err := t.UnmarshalQueryParameter(text); err != nil {
		return "<invalid>"
	}
	return p.age(t)
}
