package printer

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/liggitt/tabwriter"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"
)

// columns are kubectl's custom columns. Its own printer (k8s.io/kubectl
// pkg/cmd/get/customcolumn.go) would link 136 packages more, kustomize among
// them; the engine of the fields and the writer of the table are the same, and a
// test compares the output with kubectl's.
type columns struct {
	headers []string
	fields  []*jsonpath.JSONPath
}

// newColumns reads HEADER:FIELD,HEADER:FIELD or, from a file, two lines: headers
// and fields, divided by blanks.
func newColumns(text string, ofFile bool) (*columns, error) {
	var headers, fields []string
	if ofFile {
		lines := strings.SplitN(text, "\n", 3)
		if len(lines) < 2 {
			return nil, errors.New("the file has a line of headers and a line of fields")
		}
		headers, fields = strings.Fields(lines[0]), strings.Fields(lines[1])
		if len(headers) != len(fields) {
			return nil, fmt.Errorf("%d headers and %d fields", len(headers), len(fields))
		}
	} else {
		for _, part := range strings.Split(text, ",") {
			header, field, ok := strings.Cut(part, ":")
			if !ok {
				return nil, fmt.Errorf("%q is not HEADER:FIELD", part)
			}
			headers, fields = append(headers, header), append(fields, field)
		}
	}
	c := &columns{headers: headers}
	for _, field := range fields {
		path, err := parseField(field)
		if err != nil {
			return nil, err
		}
		c.fields = append(c.fields, path)
	}
	return c, nil
}

func (c *columns) form(w io.Writer, noHeaders bool) *columnTable {
	t := &columnTable{columns: c, w: printers.GetNewTabWriter(w)}
	if !noHeaders {
		t.header = strings.Join(c.headers, "\t") + "\n"
	}
	return t
}

// columnTable is a table of custom columns under way.
type columnTable struct {
	*columns
	w      *tabwriter.Writer
	header string // "" once it is written
}

func (c *columnTable) start() error {
	_, err := io.WriteString(c.w, c.header)
	c.header = ""
	return err
}

func (c *columnTable) Add(content map[string]any) error {
	cells := make([]string, len(c.fields))
	for i, field := range c.fields {
		found, err := field.FindResults(content)
		if err != nil {
			return fmt.Errorf("finding a column's field: %w", fieldError(err))
		}
		var values []string
		for _, list := range found {
			for _, v := range list {
				values = append(values, printers.EscapeTerminal(fmt.Sprint(v.Interface())))
			}
		}
		if len(found) == 0 || len(found[0]) == 0 {
			values = append([]string{"<none>"}, values...)
		}
		cells[i] = strings.Join(values, ",")
	}
	err := c.start()
	if err == nil {
		_, err = fmt.Fprintln(c.w, strings.Join(cells, "\t"))
	}
	return err
}

func (c *columnTable) End() error { return errors.Join(c.start(), c.w.Flush()) }

// relaxed takes a field as kubectl does: metadata.name, .metadata.name,
// {.metadata.name} (pkg/cmd/get, RelaxedJSONPathExpression).
var relaxed = regexp.MustCompile(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

func parseField(text string) (*jsonpath.JSONPath, error) {
	m := relaxed.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is no field: as in metadata.name", text)
	}
	path := jsonpath.New("field").AllowMissingKeys(true)
	if err := path.Parse("{." + m[1] + m[2] + "}"); err != nil {
		return nil, err
	}
	return path, nil
}

// fieldError is what went wrong on the way to a field, without the one message of
// the engine that quotes the value.
func fieldError(err error) error {
	if err != nil && strings.HasSuffix(err.Error(), "cannot be filtered") {
		return errors.New("what is filtered is no list")
	}
	return err
}
