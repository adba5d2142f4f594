package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// gather makes the files beside the program: manual pages, completions, the
// license and the documents.
func (r *release) gather(ctx context.Context, program, dir string) error {
	pages := filepath.Join(dir, "man")
	if err := os.MkdirAll(pages, 0o755); err != nil {
		return err
	}
	if err := exec.CommandContext(ctx, program, "__man", pages).Run(); err != nil {
		return fmt.Errorf("writing the manual: %w", err)
	}
	names, err := filepath.Glob(pages + "/*.[17]")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := compress(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.files = append(r.files, payload{"man/" + filepath.Base(name) + ".gz", name + ".gz", 0o644})
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := exec.CommandContext(ctx, program, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("writing the completion of %s: %w", shell, err)
		}
		path := filepath.Join(dir, shell)
		if err := os.WriteFile(path, script, 0o644); err != nil {
			return err
		}
		r.files = append(r.files, payload{"completion/" + shell, path, 0o644})
	}
	documents, err := filepath.Glob(filepath.Join(r.root, "docs", "*.md"))
	if err != nil {
		return err
	}
	for _, path := range append(documents, filepath.Join(r.root, "LICENSE"), filepath.Join(r.root, "README.md"), filepath.Join(r.root, "CHANGELOG.md")) {
		name, err := filepath.Rel(r.root, path)
		if err != nil {
			return err
		}
		r.files = append(r.files, payload{name, path, 0o644})
	}
	return nil
}

// compress writes FILE.gz, with no time and no name in it.
func compress(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path+".gz", out.Bytes(), 0o644)
}

// archive writes NAME.tar.gz, all of it below the folder NAME.
func (r *release) archive(name string, files []payload) (err error) {
	out, err := os.Create(filepath.Join(r.to, name+".tar.gz"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(compressed)
	files = slices.SortedFunc(slices.Values(files), func(a, b payload) int { return strings.Compare(a.name, b.name) })
	for _, f := range files {
		if err := r.member(w, name, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return errors.Join(w.Close(), compressed.Close())
}

func (r *release) member(w *tar.Writer, dir string, f payload) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{
		Name: dir + "/" + f.name, Mode: int64(f.mode), Size: info.Size(), ModTime: r.time,
		Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// sum writes SHA256SUMS over everything, and its signature.
func (r *release) sum(by signer) error {
	entries, err := os.ReadDir(r.to)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		file, err := os.Open(filepath.Join(r.to, e.Name()))
		if err != nil {
			return err
		}
		hash := sha256.New()
		_, err = io.Copy(hash, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(hash.Sum(nil)), e.Name())
	}
	path := filepath.Join(r.to, "SHA256SUMS")
	if err := os.WriteFile(path, []byte(sums.String()), 0o644); err != nil {
		return err
	}
	if by.keyFile == "" {
		fmt.Fprintln(os.Stderr, "release: not signed: no -sign KEY")
		return nil
	}
	key, err := by.key()
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	// The time in the comment is the commit's, as everywhere here.
	comment := fmt.Sprintf("lifeboat %s, committed %s", r.version, r.time.Format("2006-01-02T15:04:05Z"))
	signature := minisign.SignWithComments(key, []byte(sums.String()), comment, "signature of SHA256SUMS")
	return os.WriteFile(path+".minisig", signature, 0o644)
}

// key opens the signing key.
func (s signer) key() (minisign.PrivateKey, error) {
	var passphrase []byte
	if s.passphraseFile != "" {
		var err error
		if passphrase, err = os.ReadFile(s.passphraseFile); err != nil {
			return minisign.PrivateKey{}, fmt.Errorf("reading the passphrase: %w", err)
		}
	}
	return minisign.PrivateKeyFromFile(strings.TrimRight(string(passphrase), "\r\n"), s.keyFile)
}
