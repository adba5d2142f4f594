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

// WriteFiles writes the report in all its forms into a new folder dir of root,
// and beside it the drill that was shrunk. Files are 0600, the folder 0700.
func (r *Report) WriteFiles(root *os.Root, dir string) error {
	if err := root.Mkdir(dir, 0o700); err != nil {
		return err
	}
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
	if r.Shrunk == nil {
		return nil
	}
	return root.WriteFile(filepath.Join(dir, ShrunkName), r.Shrunk, 0o600)
}
