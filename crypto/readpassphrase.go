package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ReadPassphrase is the first line of a file, without its line end. An empty
// one is an error.
func ReadPassphrase(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		// What was given may be the passphrase itself.
		return nil, fmt.Errorf("reading passphrase: the file given, whose name is not repeated here: %w", pathErr.Err)
	}
	if err != nil {
		return nil, errors.New("reading passphrase: the file given, whose name is not repeated here, cannot be read")
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("reading passphrase: the first line of %q is empty", path)
	}
	return line, nil
}
