package sim

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ShrunkName is the file of a drill that deviated, without what it can do without.
const ShrunkName = "shrunk.yaml"

// Forms are those in which a report is written.
type Forms interface {
	WriteJSON(w io.Writer) error
	WriteMarkdown(w io.Writer) error
	WriteHTML(w io.Writer) error
	WriteJUnit(w io.Writer) error
}

// WriteForms writes report.json, report.md, report.html and junit.xml into the
// folder dir of root, each 0600.
func WriteForms(root *os.Root, dir string, r Forms) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{{"report.json", r.WriteJSON}, {"report.md", r.WriteMarkdown}, {"report.html", r.WriteHTML}, {"junit.xml", r.WriteJUnit}} {
		var content bytes.Buffer
		if err := file.write(&content); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
		if err := root.WriteFile(filepath.Join(dir, file.name), content.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// WriteFiles writes the report in all its forms into a new folder dir of root,
// and beside it the drill that was shrunk. Files are 0600, the folder 0700.
func (r *Report) WriteFiles(root *os.Root, dir string) error {
	if err := root.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := WriteForms(root, dir, r); err != nil || r.Shrunk == nil {
		return err
	}
	return root.WriteFile(filepath.Join(dir, ShrunkName), r.Shrunk, 0o600)
}
