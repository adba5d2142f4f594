//go:build !linux

package console

func renameNew(from, to string) error { return RenameFree(from, to) }
