// Package mounttest mounts small file systems for tests: full, read-only, or one
// that cannot be renamed.
package mounttest

// Source is what the table of mounts calls these file systems.
const Source = "lifeboat-mounttest"

// T is the part of testing.TB that is needed: what imports testing adds its flags
// to a program.
type T interface {
	Helper()
	Skip(args ...any)
	Errorf(format string, args ...any)
	Cleanup(f func())
}
