package programs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

// fromImage takes a program out of an image's tar, as `docker save`, `ctr image
// export`, `skopeo copy oci-archive:` and rke2's image bundles have it: layers
// are tars within the tar, each maybe compressed. What else is in it does not
// matter, nor in which of the formats it stands.
func fromImage(ctx context.Context, w Wanted) (Program, error) {
	f, err := os.Open(w.Image)
	if err != nil {
		return Program{}, err
	}
	defer f.Close()
	to := filepath.Join(w.Dir, w.Name)
	found, err := search(ctxio.Reader(ctx, f), w.Name, to, 0)
	switch {
	case err != nil:
		return Program{}, fmt.Errorf("reading image %q: %w", w.Image, err)
	case !found:
		return Program{}, fmt.Errorf("image %q has no %s in any layer: %w", w.Image, w.Name, ErrNotFound)
	}
	return Program{to, "out of image " + w.Image}, nil
}

// depth is how deep tars lie within tars: the image, and its layers.
const depth = 2

// search looks for a program in a tar and in the tars within; a later layer
// replaces what an earlier one had.
func search(r io.Reader, name, to string, at int) (found bool, err error) {
	plain, err := unpacked(r)
	if plain == nil && err == nil && at == 0 {
		err = errors.New("it is no tar")
	}
	if plain == nil || err != nil {
		return false, err
	}
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			if at > 0 && !found {
				return false, nil // a file that begins as a tar and is none
			}
			return found, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if path.Base(path.Clean(header.Name)) == name && header.Mode&0o111 != 0 && at > 0 {
			if err := save(to, entries); err != nil {
				return found, err
			}
			found = true
			continue
		}
		if at+1 == depth {
			continue
		}
		within, err := search(entries, name, to, at+1)
		if err != nil {
			return found, err
		}
		found = found || within
	}
}

// unpacked is the tar in a stream, nil where it is none.
func unpacked(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	head, err := buffered.Peek(4)
	if err != nil {
		return nil, nil //nolint:nilerr // too short to be one
	}
	var inner io.Reader = buffered
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if inner, err = gzip.NewReader(buffered); err != nil {
			return nil, err
		}
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		decoder, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		inner = decoder.IOReadCloser()
	}
	again := bufio.NewReaderSize(inner, 64<<10)
	head, _ = again.Peek(262) // shorter: no tar
	if len(head) < 262 || string(head[257:262]) != "ustar" {
		return nil, nil
	}
	return again, nil
}
