package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ZipFile is a zip file, as rke2 makes one of each snapshot. It is read in two
// ways: the only file in it, or all of it as a tar file, which NewReader takes.
type ZipFile struct {
	files []*zip.File
}

// OpenZip reads the directory of a zip file.
//
// Errors: *DamagedError; *PolicyError for more entries than limits allow;
// *NotArchiveError where the files are encrypted or packed in a way that only
// other tools know.
func OpenZip(src io.ReaderAt, size int64, limits Limits) (*ZipFile, error) {
	z, err := zip.NewReader(src, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are admitted later
		return nil, &DamagedError{Layer: string(Zip), Offset: size, Err: fmt.Errorf("its directory, at the end of the file: %w", err)}
	}
	if most := limits.withDefaults().MaxEntries; len(z.File) > most {
		return nil, &PolicyError{Reason: fmt.Sprintf("it has more than %d entries", most)}
	}
	const encrypted = 1
	for _, f := range z.File {
		if f.Flags&encrypted != 0 || f.Method != zip.Store && f.Method != zip.Deflate {
			return nil, &NotArchiveError{Format: Zip}
		}
	}
	return &ZipFile{z.File}, nil
}

// Only gives the content of the only file in it; ok is false where there are
// more, or none.
func (z *ZipFile) Only() (r io.Reader, ok bool, err error) {
	if len(z.files) != 1 || !z.files[0].Mode().IsRegular() {
		return nil, false, nil
	}
	r, err = z.content(z.files[0])
	return r, err == nil, err
}

// content reads one file; what is wrong with it is damage of the zip layer.
func (z *ZipFile) content(f *zip.File) (io.Reader, error) {
	offset, err := f.DataOffset()
	if err != nil {
		return nil, &DamagedError{Layer: string(Zip), Err: err}
	}
	r, err := f.Open()
	if err != nil {
		return nil, &DamagedError{Layer: string(Zip), Offset: offset, Err: err}
	}
	return &zipContent{r: r, left: int64(f.UncompressedSize64), offset: offset}, nil
}

// zipContent is a file of a zip file: as long as the directory says, or damaged.
type zipContent struct {
	r            io.Reader
	left, offset int64
}

func (c *zipContent) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.left -= int64(n)
	switch {
	case c.left < 0:
		err = errors.New("a file longer than the directory says")
	case err == io.EOF && c.left > 0:
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		err = &DamagedError{Layer: string(Zip), Offset: c.offset, Err: err}
	}
	return n, err
}

// Tar gives all of it as a tar file, in the order of the directory.
func (z *ZipFile) Tar() io.Reader { return &zipTar{zip: z, left: z.files} }

type zipTar struct {
	zip   *ZipFile
	left  []*zip.File
	part  io.Reader
	ended bool
}

func (t *zipTar) Read(p []byte) (int, error) {
	for {
		if t.part != nil {
			n, err := t.part.Read(p)
			if err != io.EOF {
				return n, err
			}
			t.part = nil
			if n > 0 {
				return n, nil
			}
		}
		switch {
		case len(t.left) > 0:
			part, err := t.entry(t.left[0])
			if err != nil {
				return 0, err
			}
			t.part, t.left = part, t.left[1:]
		case !t.ended:
			t.part, t.ended = bytes.NewReader(make([]byte, 2*blockSize)), true
		default:
			return 0, io.EOF
		}
	}
}

// entry is one file as tar has it: header, content, padding.
func (t *zipTar) entry(f *zip.File) (io.Reader, error) {
	var content io.Reader = bytes.NewReader(nil)
	info, link := f.FileInfo(), ""
	if !info.IsDir() {
		var err error
		if content, err = t.zip.content(f); err != nil {
			return nil, err
		}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(content, maxName+1))
		if err != nil {
			return nil, err
		}
		content, link = bytes.NewReader(nil), string(target)
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return nil, &PolicyError{Entry: f.Name, Number: len(t.zip.files) - len(t.left) + 1, Reason: err.Error()}
	}
	header.Name = f.Name // FileInfo has the last part alone
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(header); err != nil {
		return nil, &PolicyError{Entry: f.Name, Number: len(t.zip.files) - len(t.left) + 1, Reason: err.Error()}
	}
	padding := make([]byte, -header.Size&(blockSize-1))
	return io.MultiReader(&head, content, bytes.NewReader(padding)), nil
}
