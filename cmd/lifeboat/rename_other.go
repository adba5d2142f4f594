//go:build !linux

package main

func renameNew(from, to string) error { return renameFree(from, to) }
