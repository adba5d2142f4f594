package snapshottest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// AppendTrailer turns a database into a snapshot: it appends the sha256 sum.
func AppendTrailer(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("appending trailer: %w", err)
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("appending trailer: %w", err)
	}
	_, err = f.Write(sum.Sum(nil))
	return err
}
