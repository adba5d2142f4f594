// Package interop holds archives and keys against other people's programs: the
// age command, built here from its module, the tools of the host where they
// are installed (tar, gzip, zstd, minisign), and C2SP's test vectors for age.
//
// It is a module of its own, so that none of that becomes a dependency of
// lifeboat. Run it with `make interop`.
package interop
