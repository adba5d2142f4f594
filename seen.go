package lifeboat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// sighting is the newest archive of a cluster that was verified on this host.
type sighting struct {
	Cluster         string    `json:"cluster"`
	Revision        int64     `json:"revision"`
	CompactRevision int64     `json:"compact_revision"`
	Hash            uint32    `json:"hash"`
	Key             string    `json:"key"` // id of the signing key
	Archive         string    `json:"archive"`
	Verified        time.Time `json:"verified"`
}

// DefaultStateDir is where the command keeps what it remembers: the folder
// lifeboat in XDG_STATE_HOME or ~/.local/state, of root in /var/lib.
func DefaultStateDir() (string, error) {
	if home := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, "lifeboat"), nil
	}
	if os.Getuid() == 0 {
		return "/var/lib/lifeboat", nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the state folder: %w", err)
	}
	return filepath.Join(home, ".local", "state", "lifeboat"), nil
}

const olderCheck = "older than before"

// remember holds the archive against the newest one of the same cluster that
// was verified before, and takes its place. Clocks and file names play no
// part: revisions only grow. Unsigned archives are not remembered, or anybody
// could make the real ones look old.
func (v *verification) remember(found *examined) {
	b := v.b
	switch {
	case b.signedBy == "":
		v.say(NotChecked(olderCheck, "only signed archives are remembered: give --pubkey"))
		return
	case found.cluster == "":
		v.say(NotChecked(olderCheck, "no namespace kube-system tells the cluster"))
		return
	case b.opts.StateDir == "":
		v.say(NotChecked(olderCheck, "no state folder is known"))
		return
	}
	now := v.sighting(found)
	check, err := now.compare(b.opts.StateDir, Sound(v.checks))
	v.say(check)
	if err != nil {
		b.opts.Observer.warn("the archive is not remembered: %v", err)
	}
}

func (v *verification) sighting(found *examined) sighting {
	b := v.b
	return sighting{
		Cluster: found.cluster, Revision: b.db.Revision(), CompactRevision: b.db.CompactRevision(), Hash: found.hash.Hash,
		Key: b.signedBy, Archive: b.path, Verified: time.Now().UTC(),
	}
}

// compare holds a sighting against the one that a folder remembers, whose place
// it takes when it is sound: a bad archive is no mark to hold others against. An
// error says that it is not remembered.
func (s sighting) compare(stateDir string, sound bool) (Check, error) {
	path := filepath.Join(stateDir, sightingName(s.Cluster, s.Key))
	before, err := readSighting(path)
	if err != nil { // what is wrong with this host is no verdict on the archive
		return NotChecked(olderCheck, "%v", err), nil
	}
	check := s.against(before)
	if !sound || check.State() == StateMismatch {
		return check, nil
	}
	return check, writeSighting(path, s)
}

// against holds a sighting against the one before, nil for none.
func (s sighting) against(before *sighting) Check {
	switch {
	case before == nil:
		return Good(olderCheck, 1, "archives", "the first signed archive of this cluster here")
	case s.Revision < before.Revision:
		return Mismatch(olderCheck, "revision %d, and revision %d of the same cluster was verified here on %s (%q): an old archive in the place of a newer one",
			s.Revision, before.Revision, before.Verified.Format(time.RFC3339), before.Archive)
	case s.Revision == before.Revision && s.CompactRevision == before.CompactRevision && s.Hash != before.Hash:
		return Mismatch(olderCheck, "revision %d with another content than was verified here on %s (%q): the cluster's history has forked",
			s.Revision, before.Verified.Format(time.RFC3339), before.Archive)
	}
	return Good(olderCheck, 1, "archives", "not older than revision %d, verified here on %s", before.Revision, before.Verified.Format(time.RFC3339))
}

// sightingName keeps each signer's sightings apart: who holds another key must
// not make this one's archives look old.
func sightingName(cluster, key string) string {
	sum := sha256.Sum256([]byte(cluster + "\x00" + key))
	return "seen-" + hex.EncodeToString(sum[:12]) + ".json"
}

// readSighting gives nil when there is none.
func readSighting(path string) (*sighting, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s := &sighting{}
	if err := json.NewDecoder(io.LimitReader(file, 1<<20)).Decode(s); err != nil {
		return nil, fmt.Errorf("%q, which says what was verified before, is damaged: look at it, then remove it", path)
	}
	return s, nil
}

// writeSighting replaces the old one in one step.
func writeSighting(path string, s sighting) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return whole.WriteFile(path, append(text, '\n'), whole.Options{Existing: whole.Overwrite})
}
