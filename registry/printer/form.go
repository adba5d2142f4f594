package printer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"
)

// A Form prints whole objects: as a List, or what a template makes of them.
type Form interface {
	// Add takes one more object over.
	Add(content map[string]any) error
	// End prints what is left to print.
	End() error
}

var _ Form = (*List)(nil)

// FormNames are the forms of kubectl's -o that take a template or fields, as
// "jsonpath={.items}"; those that end in -file read it from a file.
func FormNames() []string {
	return []string{"jsonpath", "jsonpath-as-json", "jsonpath-file", "go-template", "go-template-file", "custom-columns", "custom-columns-file"}
}

// A Template is what follows the name of a form.
type Template struct {
	execute func(w io.Writer, data any) error
	columns *columns // of custom-columns
}

// ParseTemplate reads a form's template: as "{.items}" of "jsonpath". What is
// wrong with it is the error.
func ParseTemplate(name, text string) (*Template, error) {
	if text == "" {
		return nil, fmt.Errorf("-o %s=: the template is missing", name)
	}
	kind, ofFile := strings.CutSuffix(name, "-file")
	if ofFile {
		data, err := os.ReadFile(text)
		if err != nil {
			return nil, fmt.Errorf("reading the template: %w", err)
		}
		text = string(data)
	}
	var t Template
	var err error
	switch kind {
	case "jsonpath", "jsonpath-as-json":
		path := jsonpath.New("out").AllowMissingKeys(true)
		path.EnableJSONOutput(kind == "jsonpath-as-json")
		err = path.Parse(text)
		t.execute = func(w io.Writer, data any) error { return fieldError(path.Execute(w, data)) }
	case "go-template":
		t.execute, err = goTemplate(text)
	case "custom-columns":
		t.columns, err = newColumns(text, ofFile)
	default:
		return nil, fmt.Errorf("unknown output format %q", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	return &t, nil
}

// Form prints objects on w, once. single is for one object by itself; else a
// template sees a List, which is held in memory.
func (t *Template) Form(w io.Writer, single, noHeaders bool) Form {
	if t.columns != nil {
		return t.columns.form(w, noHeaders)
	}
	return &templated{w: w, single: single, execute: t.execute}
}

// templated holds the objects until all of them are there, as a template may
// ask for any of them.
type templated struct {
	w       io.Writer
	single  bool
	items   []any
	execute func(w io.Writer, data any) error
}

func (t *templated) Add(content map[string]any) error {
	t.items = append(t.items, content)
	return nil
}

// End prints nothing of a template that fails half-way.
func (t *templated) End() error {
	var data any = map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""}, "items": append([]any{}, t.items...)}
	if t.single {
		if len(t.items) == 0 {
			return nil
		}
		data = t.items[0]
	}
	var out bytes.Buffer
	if err := t.execute(&out, data); err != nil {
		return fmt.Errorf("executing the template: %w", err)
	}
	_, err := out.WriteTo(t.w)
	return err
}

// goTemplate is kubectl's printer. What it says of a failure may quote the
// object, so only the place in the template is kept of it.
func goTemplate(text string) (func(w io.Writer, data any) error, error) {
	t, err := printers.NewGoTemplatePrinter([]byte(text))
	if err != nil {
		return nil, err
	}
	t.AllowMissingKeys(true)
	return func(w io.Writer, data any) error {
		err := t.PrintObj(&unstructured.Unstructured{Object: data.(map[string]any)}, w)
		if err == nil {
			return nil
		}
		place := "output"
		if _, rest, ok := strings.Cut(err.Error(), "template: output:"); ok {
			if at, _, ok := strings.Cut(rest, ">: "); ok {
				place = at + ">"
			}
		}
		return errors.New("it fails at " + place)
	}, nil
}
