package printer

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionstable "k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition/tableconvertor"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	"k8s.io/kubernetes/pkg/printers"
	"k8s.io/kubernetes/pkg/printers/internalversion"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// Column is one column of a kind's table.
type Column struct {
	Name   string // as the API names it: "Nominated Node"
	Wide   bool   // shown with -o wide only
	IsName bool   // holds the object's name, which takes its kind as a prefix
}

// Row is the line that kubectl shows for one object, with its columns.
type Row struct {
	Resource  registry.Resource
	Namespace string
	Columns   []Column
	Cells     []string // as many as Columns
	Labels    map[string]string
}

// A Printer makes rows. It may be used from several goroutines.
type Printer struct {
	resources *registry.Resources
	now       time.Time
	codecs    []codec
	generator printers.TableGenerator
	customs   map[schema.GroupVersionResource]*customTable
}

// New returns a printer for the objects of a backup with the given resources.
// Ages count to now.
func New(resources *registry.Resources, now time.Time) *Printer {
	p := &Printer{
		resources: resources,
		now:       now.Truncate(time.Second),
		codecs:    newCodecs(),
		generator: printers.NewTableGenerator().With(internalversion.AddHandlers),
		customs:   map[schema.GroupVersionResource]*customTable{},
	}
	for _, r := range resources.All() {
		definition, _ := resources.Custom(r.GroupResource())
		for _, v := range definition.Versions {
			p.customs[r.GroupResource().WithVersion(v.Name)] = newCustomTable(definition, v.Name)
		}
	}
	return p
}

// Row makes the row of o from its stored value. An object that is locked, does
// not decode or is not valid has its name and, in place of the other cells,
// what is wrong with it.
func (p *Printer) Row(o *registry.Object) Row {
	row := Row{Resource: p.resourceOf(o), Namespace: o.Namespace, Labels: o.Labels()}
	table := &metav1.Table{}
	err := guard(func() (err error) {
		table, err = p.table(o, row.Resource)
		return err
	})
	if err != nil || len(table.Rows) == 0 {
		table = p.substitute(o, row.Resource)
	}
	row.Columns, row.Cells = columnsOf(table), cellsOf(table)
	return row
}

func (p *Printer) resourceOf(o *registry.Object) registry.Resource {
	if r, ok := p.resources.LookupKind(o.GVK.GroupKind()); ok {
		return r
	}
	if r, ok := p.resources.Lookup(o.Key.GroupResource()); ok {
		return r
	}
	r := registry.Resource{
		Group: o.Key.Group, Version: o.GVK.Version, Kind: o.GVK.Kind,
		Plural: o.Key.Plural, Singular: o.Key.Plural, Namespaced: o.Key.Namespace != "",
	}
	if r.Kind == "" {
		r.Kind = r.Plural
	}
	return r
}

func (p *Printer) table(o *registry.Object, resource registry.Resource) (*metav1.Table, error) {
	if _, ok := registry.LookupKind(o.GVK.GroupKind()); !ok {
		return p.customTable(o, resource)
	}
	internal, _, err := decode(p.codecs, o)
	if err != nil {
		return nil, err
	}
	return p.internalTable(internal, resource)
}

// internalTable makes the table that the storage of the object's kind makes.
func (p *Printer) internalTable(internal runtime.Object, resource registry.Resource) (*metav1.Table, error) {
	switch obj := internal.(type) {
	case *apiextensions.CustomResourceDefinition:
		return apiextensionstable.New().ConvertToTable(context.Background(), obj, nil)
	case *apiregistration.APIService:
		return p.apiServiceTable(obj), nil
	}
	if plainTable(resource.GroupResource()) {
		return rest.NewDefaultTableConvertor(resource.GroupResource()).ConvertToTable(context.Background(), internal, nil)
	}
	if accessor, err := meta.Accessor(internal); err == nil {
		accessor.SetManagedFields(nil) // no column shows them
	}
	shiftTimes(reflect.ValueOf(internal), time.Since(p.now))
	return p.generator.GenerateTable(internal, printers.GenerateOptions{Wide: true})
}

// plainTable names the resources whose storage shows nothing but name and
// creation (pkg/registry/*/*/storage: rest.NewDefaultTableConvertor).
func plainTable(gr schema.GroupResource) bool {
	switch gr.String() {
	case "limitranges", "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io", "csistoragecapacities.storage.k8s.io":
		return true
	}
	return false
}

// apiServiceTable is what kube-aggregator's pkg/registry/apiservice/etcd
// shows; importing that would link an etcd client and a whole storage layer.
func (p *Printer) apiServiceTable(obj *apiregistration.APIService) *metav1.Table {
	service := "Local"
	if s := obj.Spec.Service; s != nil {
		service = s.Namespace + "/" + s.Name
	}
	status := string(apiregistration.ConditionUnknown)
	for _, c := range obj.Status.Conditions {
		if c.Type != apiregistration.Available {
			continue
		}
		status = string(c.Status)
		if c.Status != apiregistration.ConditionTrue && c.Reason != "" {
			status = fmt.Sprintf("%s (%s)", c.Status, c.Reason)
		}
		break
	}
	return &metav1.Table{
		ColumnDefinitions: []metav1.TableColumnDefinition{
			nameColumn,
			{Name: "Service", Type: "string", Description: "The reference to the service that hosts this API endpoint."},
			{Name: "Available", Type: "string", Description: "Whether this service is available."},
			{Name: "Age", Type: "string", Description: metadataDoc["creationTimestamp"]},
		},
		Rows: []metav1.TableRow{{Cells: []any{obj.Name, service, status, p.age(obj.CreationTimestamp)}}},
	}
}

var (
	metadataDoc = metav1.ObjectMeta{}.SwaggerDoc()
	nameColumn  = metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metadataDoc["name"]}
)

// age is the API machinery's ConvertToHumanReadableDateType against the
// printer's own present.
func (p *Printer) age(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	age := p.now.Sub(t.Time.Truncate(time.Second))
	return duration.HumanDuration(age + late(-age))
}

// substitute is the row of an object that cannot be shown: columns of its kind
// so that it stands in the same table, its name, and what is wrong with it.
func (p *Printer) substitute(o *registry.Object, resource registry.Resource) *metav1.Table {
	table := &metav1.Table{ColumnDefinitions: p.columns(resource)}
	wrong := "<invalid>" // decoded, but not what its kind's printer trusts it to be
	if len(o.Problems) > 0 {
		wrong = "<" + string(o.Problems[0].Code) + ">"
	}
	cells := make([]any, len(table.ColumnDefinitions))
	for i, c := range table.ColumnDefinitions {
		cells[i] = wrong
		if c.Format == "name" {
			cells[i] = o.Name
		}
	}
	table.Rows = []metav1.TableRow{{Cells: cells}}
	return table
}

// columns are a resource's columns, told by the table of an empty object.
func (p *Printer) columns(resource registry.Resource) []metav1.TableColumnDefinition {
	var table *metav1.Table
	err := guard(func() (err error) {
		if t, ok := p.customs[resource.GroupResource().WithVersion(resource.Version)]; ok {
			table = &metav1.Table{ColumnDefinitions: t.columns}
			return nil
		}
		internalKind := schema.GroupVersionKind{Group: resource.Group, Version: runtime.APIVersionInternal, Kind: resource.Kind}
		for _, c := range p.codecs {
			if empty, newErr := c.scheme.New(internalKind); newErr == nil {
				table, err = p.internalTable(empty, resource)
				return err
			}
		}
		return errNoContent
	})
	if err != nil || table == nil {
		return []metav1.TableColumnDefinition{nameColumn, {Name: "Age"}}
	}
	return table.ColumnDefinitions
}

func columnsOf(table *metav1.Table) []Column {
	columns := make([]Column, 0, len(table.ColumnDefinitions))
	for _, c := range table.ColumnDefinitions {
		columns = append(columns, Column{Name: c.Name, Wide: c.Priority > 0, IsName: c.Format == "name"})
	}
	return columns
}

// cellsOf are the first row's cells; nil cells are empty, as kubectl shows them.
func cellsOf(table *metav1.Table) []string {
	cells := make([]string, len(table.ColumnDefinitions))
	for i, cell := range table.Rows[0].Cells[:min(len(cells), len(table.Rows[0].Cells))] {
		if cell != nil {
			cells[i] = fmt.Sprint(cell)
		}
	}
	return cells
}
