package main

import "os"

// renameFree renames to a name that nobody has. Between the two calls somebody
// might take it: where renames can be exclusive, they are.
func renameFree(from, to string) error {
	if err := refuseExisting(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}
