package whole

import (
	"errors"
	"io"
	"os"
)

// File is a file under way. It is open for reading and writing, 0600, and has no
// name before it is committed where the file system can do without: a kill leaves
// none of its bytes.
type File struct {
	*os.File
	*build
}

// NewFile begins a file.
//
// Errors: ErrExists for a target that stands there, ErrForeign where something
// that lifeboat did not create is in the way, ErrInUse, ErrSource.
func NewFile(target string, opts Options) (*File, error) {
	b, err := begin(target, opts, planFile)
	if err != nil {
		return nil, err
	}
	f := &File{build: b}
	err = b.call("create unnamed", func() (err error) {
		f.File, err = openUnnamed(b.Part)
		return err
	})
	if err != nil {
		err = b.call("create", func() (err error) {
			f.File, err = os.OpenFile(b.Data, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, b.discard())
	}
	return f, nil
}

// atOnce is how much the disk is given to write while more is coming.
const atOnce = 8 << 20

// ReadFrom writes what r gives to its end. The disk begins with it meanwhile, so
// that the sync of Commit finds little to do.
func (f *File) ReadFrom(r io.Reader) (n int64, err error) {
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	buffer, begun := make([]byte, 256<<10), at
	for err == nil {
		var read int
		read, err = r.Read(buffer)
		written, writeErr := f.Write(buffer[:read])
		n += int64(written)
		if writeErr != nil {
			return n, writeErr
		}
		if end := at + n; end-begun >= atOnce {
			beginWriting(f.File, begun, end-begun)
			begun = end
		}
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Commit writes the file through to the disk, closes it and puts it in its place.
// After an error what stood there stands there, unless Placed says otherwise.
func (f *File) Commit() error {
	err := f.call("sync file", f.File.Sync)
	if err == nil {
		err = f.call("link", f.link)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.commit()
}

// link gives the file a name in the build's folder.
func (f *File) link() error {
	if f.Name() == f.Data {
		return nil
	}
	return linkUnnamed(f.File, f.Data)
}

// Discard removes what was written. After Commit it does nothing.
func (f *File) Discard() error {
	if f.settled {
		return nil
	}
	err := f.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, f.build.Discard())
}
