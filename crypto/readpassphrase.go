package crypto

import (
	"bytes"
	"fmt"
	"os"
)

// ReadPassphrase is the first line of a file, without its line end. An empty
// one is an error.
func ReadPassphrase(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading passphrase: %w", err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("reading passphrase: the first line of %q is empty", path)
	}
	return line, nil
}
