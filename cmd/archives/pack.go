package archives

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"filippo.io/age"
	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// created is what archive create made; -o json prints it as it stands.
type created struct {
	File       string            `json:"file"`
	Size       int64             `json:"size"`
	SHA256     string            `json:"sha256"`
	Recipients []string          `json:"recipients"` // fingerprints; none: it is not encrypted
	Signature  string            `json:"signature,omitempty"`
	ReadBack   bool              `json:"readBack"`
	Skipped    []archive.Skipped `json:"skipped,omitempty"`
	Missing    []string          `json:"missing,omitempty"` // of manifests and pki
	Manifest   *archive.Manifest `json:"manifest"`
}

// pack is the second pass: read, digest, compress, encrypt, write; then sync,
// read back, name, sign.
func (x *creation) pack(ctx context.Context) (*created, error) {
	out, err := console.OpenOutlet(x.env, x.to, true, x.snapshot, x.kubernetes, x.previous)
	if err != nil {
		return nil, err
	}
	done := &created{File: x.to, Recipients: fingerprints(x.recipients), Skipped: x.skipped, Missing: x.missing}
	sum := sha256.New()
	counter := &countWriter{w: io.MultiWriter(out, sum)}
	key, err := x.write(ctx, counter, done)
	if err != nil {
		err = fmt.Errorf("writing %q: %w", x.to, err)
	}
	if err == nil && out.File != nil && x.readBack {
		if err = out.File.Sync(); err == nil {
			err = x.check(ctx, out.File.File, counter.n, key, done.Manifest)
			done.ReadBack = err == nil
		}
	}
	if err := out.End(err); err != nil {
		return nil, err
	}
	done.Size, done.SHA256 = counter.n, hex.EncodeToString(sum.Sum(nil))
	return done, x.sign(ctx, done)
}

// write gives the identity that opens what was written, nil for a plain file.
func (x *creation) write(ctx context.Context, out io.Writer, done *created) (age.Identity, error) {
	total := int64(0)
	for _, item := range x.items {
		total += item.Size
	}
	phase := x.env.Progress.Start("packing", total)
	defer phase.Done()
	items := make([]archive.Item, len(x.items))
	for i, item := range x.items {
		if items[i] = item; item.Open != nil {
			items[i].Open = func() (io.ReadCloser, error) {
				r, err := item.Open()
				return struct {
					io.Reader
					io.Closer
				}{phase.Reader(r), r}, err
			}
		}
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	var dst io.WriteCloser = nopCloser{buffered}
	var key age.Identity
	if len(x.recipients) > 0 {
		w, err := crypto.NewWriter(buffered, false, x.recipients...)
		if err != nil {
			return nil, err
		}
		dst, key = w, w.Identity()
	}
	var err error
	done.Manifest, err = archive.Write(ctx, dst, items, archive.WriteOptions{
		Compression: x.compression, Recovery: x.recoveryText(), Manifest: x.manifest, Newest: x.epoch,
	})
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	if flushErr := buffered.Flush(); err == nil {
		err = flushErr
	}
	return key, err
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// check reads the part back through every layer to its end and holds it
// against the manifest.
func (x *creation) check(ctx context.Context, file *os.File, size int64, key age.Identity, want *archive.Manifest) (err error) {
	phase := x.env.Progress.Start("reading back", size)
	defer phase.Done()
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading back what was written: %w", err)
		}
	}()
	keys := crypto.Keys{}
	if key != nil {
		keys.Identities = []age.Identity{key}
	}
	plain, info, err := crypto.NewReader(phase.Reader(console.NewContextReader(ctx, io.NewSectionReader(file, 0, size))), keys)
	if err != nil {
		return err
	}
	if info.Encrypted != (key != nil) {
		return errors.New("it is not encrypted")
	}
	reader, err := archive.NewReader(plain, archive.Limits{})
	if err != nil {
		return err
	}
	var inventory archive.Inventory
	for {
		entry, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		content, err := inventory.Watch(entry, reader)
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			return err
		}
	}
	if err := reader.CheckSnapshot(); err != nil {
		return err
	}
	for _, fact := range reader.Facts() {
		if fact.Code == archive.InnerDatabase {
			x.env.Note("%q %s", fact.Entry, fact.Detail)
		}
	}
	if wrong := inventory.Check(reader.Links()); len(wrong) > 0 || inventory.Manifest == nil || len(inventory.Manifest.Entries) != len(want.Entries) {
		return &archive.DamagedError{Layer: "manifest", Err: fmt.Errorf("it is not what was packed: %q", wrong)}
	}
	return nil
}

func (x *creation) sign(ctx context.Context, done *created) error {
	if x.signer == nil {
		return nil
	}
	phase := x.env.Progress.Start("signing", done.Size)
	defer phase.Done()
	file, err := os.Open(x.to)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New() // what is signed is what was read back
	signature, err := x.signer.Sign(io.TeeReader(phase.Reader(console.NewContextReader(ctx, file)), sum), x.comment())
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != done.SHA256 {
		err = archive.ErrChanged
	}
	if err == nil {
		done.Signature = x.to + console.SignatureSuffix
		err = console.SaveFile(x.env, done.Signature, signature)
	}
	if err != nil {
		return fmt.Errorf("signing %q, which is whole and has no signature now: %w", x.to, err)
	}
	return nil
}

// tell prints the result: on standard output, unless the archive went there.
func (x *creation) tell(done *created) error {
	if len(x.recipients) == 0 {
		x.env.Warn("%q is not encrypted: whoever has it has the cluster, with its CA and every Secret", x.to)
	}
	if x.signer == nil && len(x.recipients) > 0 {
		x.env.Note("not signed: age proves nothing about who made an archive; see --sign")
	}
	if x.to != "-" {
		if err := x.printCreated(done); err != nil {
			return err
		}
	}
	left := len(x.missing)
	for _, s := range x.skipped {
		if s.Code != archive.DanglingLink {
			left++
		}
	}
	if left > 0 {
		return console.Incompletef("%d things that belong to %q are not in the archive, see above", left, x.kubernetes)
	}
	return nil
}

func (x *creation) printCreated(done *created) error {
	if x.env.Format == console.FormatJSON {
		return x.env.PrintDocument(done)
	}
	out := console.NewSection(x.env)
	m := done.Manifest
	state := "not read back"
	if done.ReadBack {
		state = "read back whole"
	}
	to := "not encrypted"
	if n := len(done.Recipients); n > 0 {
		to = fmt.Sprintf("encrypted, recipients: %d", n)
	}
	out.Line("%s: %s, %s, %s", console.Printable(done.File), humanize.IBytes(uint64(done.Size)), to, state)
	out.Table([][]string{
		{"  sha256", done.SHA256},
		{"  cluster", console.OrDash(m.Cluster)},
		{"  revision", strconv.FormatInt(m.Etcd.Revision, 10)},
		{"  time", m.Time.Format(time.RFC3339)},
		{"  entries", strconv.Itoa(len(m.Entries))},
		{"  signature", console.OrDash(done.Signature)},
	})
	out.Heading("Next")
	pubkey := ""
	if done.Signature != "" {
		pubkey = " --pubkey KEY.pub"
	}
	identity := ""
	if len(done.Recipients) > 0 {
		identity = " -i IDENTITY"
	}
	out.Line("  lifeboat archive verify %s%s%s", console.ShellQuote(done.File), identity, pubkey)
	return out.Err
}
