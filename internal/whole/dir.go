package whole

import (
	"errors"
	"os"
)

// Dir is a folder under way. Data is the folder to be made and filled, by Root or
// by anybody; what else stands in Part is scratch, and removed in the end.
type Dir struct {
	*build
	root *os.Root
}

// NewDir begins a folder. Its errors are those of NewFile.
func NewDir(target string, opts Options) (*Dir, error) {
	b, err := begin(target, opts, PlanDir)
	if err != nil {
		return nil, err
	}
	return &Dir{build: b}, nil
}

// Root makes the folder, 0700, and opens it. It is closed by Commit and Discard.
func (d *Dir) Root() (*os.Root, error) {
	if d.root != nil {
		return d.root, nil
	}
	err := d.call("mkdir data", func() error { return os.Mkdir(d.Data, 0o700) })
	if err != nil {
		return nil, err
	}
	d.root, err = os.OpenRoot(d.Data)
	return d.root, err
}

// Commit puts the folder in its place, after all of it was written through to the
// disk. After an error what stood there stands there, unless Placed says
// otherwise.
func (d *Dir) Commit() error { return errors.Join(d.commit(), d.closeRoot()) }

// Discard removes what was built. After Commit it does nothing.
func (d *Dir) Discard() error { return errors.Join(d.build.Discard(), d.closeRoot()) }

func (d *Dir) closeRoot() error {
	if d.root == nil {
		return nil
	}
	root := d.root
	d.root = nil
	return root.Close()
}
