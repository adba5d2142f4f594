package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// KeyFit says whether a file of private keys opens an archive.
type KeyFit struct {
	Archive  string `json:"archive"`
	Identity string `json:"identity"`
	Opens    bool   `json:"opens"`
}

// TryKeys tries the identities of each file on the header and the first 64 KiB of
// an archive, which is read once: it may come through a pipe. It proves the key,
// not that the archive is whole.
func TryKeys(ctx context.Context, path string, files []*crypto.IdentityFile, opts Options) ([]KeyFit, error) {
	in, err := OpenSealed(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	head, err := crypto.ReadHead(in)
	if err != nil {
		if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
			err = cause.Err // the path is named anyhow
		}
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	var fits []KeyFit
	for _, file := range files {
		_, found, err := crypto.Opens(head, file.Identities)
		if err != nil {
			return fits, fmt.Errorf("trying %q on %q: %w", file.Path, path, err)
		}
		fits = append(fits, KeyFit{path, file.Path, slices.Contains(found, true)})
	}
	return fits, nil
}
