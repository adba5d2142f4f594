package archives

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// created is what archive create made; -o json prints it as it stands.
type created struct {
	File       string            `json:"file"`
	Size       int64             `json:"size"`
	SHA256     string            `json:"sha256"`
	Recipients []string          `json:"recipients"` // fingerprints; none: it is not encrypted
	Signature  string            `json:"signature,omitempty"`
	Latest     string            `json:"latest,omitempty"` // the link that points at it
	ReadBack   bool              `json:"readBack"`
	Skipped    []archive.Skipped `json:"skipped,omitempty"`
	Missing    []string          `json:"missing,omitempty"` // of manifests and pki
	Manifest   *archive.Manifest `json:"manifest"`
}

// pack is the second pass: read, digest, compress, encrypt, write; then sync,
// read back, name, sign.
func (x *creation) pack(ctx context.Context, packing *lifeboat.Packing) (*created, error) {
	out, err := console.OpenOutlet(x.env, x.to, true, x.what.Snapshot, x.what.Kubernetes, x.what.Previous)
	if err != nil {
		return nil, err
	}
	done := &created{File: x.to, Recipients: fingerprints(x.what.Recipients), Skipped: packing.Skipped, Missing: packing.Missing}
	sum := sha256.New()
	counter := &countWriter{w: io.MultiWriter(out, sum)}
	packed, err := packing.Write(ctx, counter)
	if err != nil {
		err = fmt.Errorf("writing %q: %w", x.to, err)
	} else {
		done.Manifest = packed.Manifest
	}
	if err == nil && out.File != nil && x.readBack {
		if err = out.File.File.Sync(); err == nil {
			err = packed.ReadBack(ctx, out.File.File, counter.n)
			done.ReadBack = err == nil
		}
	}
	if err := out.End(err); err != nil {
		return nil, err
	}
	done.Size, done.SHA256 = counter.n, hex.EncodeToString(sum.Sum(nil))
	return done, x.sign(ctx, packing, done)
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (x *creation) sign(ctx context.Context, packing *lifeboat.Packing, done *created) error {
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
	signature, err := x.signer.Sign(io.TeeReader(phase.Reader(ctxio.Reader(ctx, file)), sum), packing.Comment())
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != done.SHA256 {
		err = archive.ErrChanged
	}
	if err == nil {
		done.Signature = x.to + lifeboat.SignatureSuffix
		err = console.SaveFile(x.env, done.Signature, signature)
	}
	if err != nil {
		return fmt.Errorf("signing %q, which is whole and has no signature now: %w", x.to, err)
	}
	return nil
}

// tell prints the result: on standard output, unless the archive went there.
func (x *creation) tell(packing *lifeboat.Packing, done *created) error {
	if len(x.what.Recipients) == 0 {
		x.env.Warn("%q is not encrypted: whoever has it has the cluster, with its CA and every Secret", x.to)
	}
	if x.signer == nil && len(x.what.Recipients) > 0 {
		x.env.Note("not signed: age proves nothing about who made an archive; see --sign")
	}
	if x.to != "-" {
		if err := x.printCreated(done); err != nil {
			return err
		}
	}
	if left := packing.Incomplete(); left > 0 {
		return console.Incompletef("%d things that belong to %q are not in the archive, see above", left, x.what.Kubernetes)
	}
	if len(packing.Unstartable) > 0 {
		return console.Incompletef("the archive is whole, and what the warnings name would keep a control plane from starting out of it")
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
	out.Line("  lifeboat archive verify %s%s%s", words.ShellQuote(done.File), identity, pubkey)
	return out.Err
}
