// Package scenarios holds the drills that ship with the program, as YAML files
// that can be read, copied and changed. Each names the paragraph of an
// operators' document that it rehearses.
package scenarios

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names are the drills' names, sorted.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	return names
}

// Read gives the file of a drill. A name that there is none of is
// fs.ErrNotExist.
func Read(name string) ([]byte, error) {
	data, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading drill %q: %w", name, err)
	}
	return data, nil
}
