package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// members unpacks data dirs of harbour's members: members etcd-0 etcd-2.
func members(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: members NAME...")
	}
	ts.Check(unpackMembers(ts.Getenv("HARBOUR"), ts.MkAbs("."), args...))
}

// unpackMembers unpacks data dirs. The log is preallocated and only its
// beginning written; the rest becomes a hole.
func unpackMembers(harbour, to string, names ...string) error {
	packed, err := os.Open(filepath.Join(harbour, "members.tar.gz"))
	if err != nil {
		return err
	}
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(h.Name, "/")
		if h.FileInfo().IsDir() || strings.HasSuffix(h.Name, ".tmp") || !slices.Contains(names, name) {
			continue
		}
		if err := unpackSparse(r, h.Size, filepath.Join(to, h.Name)); err != nil {
			return err
		}
	}
}

func unpackSparse(r io.Reader, size int64, path string) error {
	const written = 4 << 20
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, r, min(size, written)); err != nil {
		return err
	}
	return f.Truncate(size)
}

// flip changes one byte of a file: flip FILE OFFSET.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	offset, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], offset)
	ts.Check(err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], offset)
	ts.Check(err)
}

// zero overwrites bytes of a file: zero FILE OFFSET COUNT.
func zero(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: zero FILE OFFSET COUNT")
	}
	offset, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	count, err := strconv.Atoi(args[2])
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	defer f.Close()
	_, err = f.WriteAt(make([]byte, count), offset)
	ts.Check(err)
}

// cmpjson compares two files as JSON: cmpjson stdout want.json.
func cmpjson(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cmpjson FILE FILE")
	}
	var values [2]any
	for i, arg := range args {
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(arg)), &values[i]))
	}
	if !reflect.DeepEqual(values[0], values[1]) {
		ts.Fatalf("%s and %s differ as JSON", args[0], args[1])
	}
}
