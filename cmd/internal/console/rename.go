package console

import "os"

// RenameFree renames to a name that nobody has. Between the two calls somebody
// might take it: where renames can be exclusive, they are.
func RenameFree(from, to string) error {
	if err := RefuseExisting(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}
