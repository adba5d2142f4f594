package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// The reasons for which WriteDir refuses to write.
var (
	ErrExists = whole.ErrExists
	ErrInUse  = whole.ErrInUse
)

// Written says what WriteDir did.
type Written struct {
	Dir      string
	Files    int
	Bytes    int64
	Leftover string // folder that a killed run had left, removed now; "" when there was none
}

// WriteDir writes the manifests below the folder target, each to its File.
//
// The folder is built beside the target as NAME.part, read back, synced and
// then renamed: target is either whole or not there. Files are 0600, folders
// 0700, because Secrets are among them. A target that exists is refused
// (ErrExists), as is one that another run is building (ErrInUse); what a
// killed run left behind is removed and named. At an error, or when ctx ends,
// nothing is left.
func WriteDir(ctx context.Context, target string, plan *Plan) (written Written, err error) {
	target = filepath.Clean(target)
	written.Dir = target
	if err := writeDir(ctx, target, plan, &written); err != nil {
		return written, fmt.Errorf("writing manifests to %q: %w", target, err)
	}
	return written, nil
}

func writeDir(ctx context.Context, target string, plan *Plan, written *Written) error {
	dir, err := whole.NewDir(target, whole.Options{Found: func(l whole.Leftover) { written.Leftover = l.Part }})
	if err != nil {
		return err
	}
	root, err := dir.Root()
	if err == nil {
		err = fill(ctx, root, plan, written)
	}
	if err == nil {
		err = dir.Sync(ctx)
	}
	if err != nil {
		return errors.Join(err, dir.Discard())
	}
	return dir.Commit()
}

// fill writes all manifests and reads them back.
func fill(ctx context.Context, root *os.Root, plan *Plan, written *Written) error {
	folders := map[string]bool{}
	for m, text := range inOrder(slices.Values(plan.Manifests), (*Manifest).text) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if text.err != nil {
			return fmt.Errorf("%s: %w", m.Object, text.err)
		}
		if folder := path.Dir(m.File); !folders[folder] {
			if err := root.Mkdir(folder, 0o700); err != nil {
				return err
			}
			folders[folder] = true
		}
		if err := writeFile(root, m.File, text.yaml); err != nil {
			return fmt.Errorf("file %q: %w", m.File, err)
		}
		written.Files++
		written.Bytes += int64(len(text.yaml))
	}
	return nil
}

// manifestText is what a manifest's file holds.
type manifestText struct {
	yaml []byte
	err  error
}

func (m *Manifest) text() manifestText {
	yaml, err := m.bytes()
	return manifestText{yaml, err}
}

// bytes is what the manifest's file holds.
func (m *Manifest) bytes() ([]byte, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	content, err := m.Content()
	if err != nil {
		return nil, err
	}
	return MarshalYAML(content)
}

// writeFile writes a new file and reads it back.
func writeFile(root *os.Root, name string, text []byte) (err error) {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return readBack(f, text)
}

// readBack makes sure that a file holds what was written.
func readBack(f io.ReadSeeker, text []byte) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return err
	}
	if [sha256.Size]byte(digest.Sum(nil)) != sha256.Sum256(text) {
		return errors.New("what was read back is not what was written")
	}
	return nil
}
