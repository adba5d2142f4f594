package archives

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

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
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

// stateFolder is where sightings are kept: of root /var/lib/lifeboat, unless
// XDG_STATE_HOME says otherwise.
func stateFolder() (string, error) {
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

// remember holds the archive against the newest one of the same cluster that
// was verified before, and takes its place. Clocks and file names play no
// part: revisions only grow. Unsigned archives are not remembered, or anybody
// could make the real ones look old.
func (v *verification) remember(env *console.Environment, src *console.Source, found *examined) {
	if src.SignedBy == "" {
		v.say("older than before", checkSkipped, "only signed archives are remembered: give --pubkey")
		return
	}
	if found.cluster == "" {
		v.say("older than before", checkSkipped, "no namespace kube-system tells the cluster")
		return
	}
	now := sighting{
		Cluster: found.cluster, Revision: src.Db.Revision(), CompactRevision: src.Db.CompactRevision(), Hash: found.hash.Hash,
		Key: src.SignedBy, Archive: v.Source, Verified: time.Now().UTC(),
	}
	folder, err := stateFolder()
	path := filepath.Join(folder, sightingName(found.cluster, src.SignedBy))
	var before *sighting
	if err == nil {
		before, err = readSighting(path)
	}
	if err != nil { // what is wrong with this host is no verdict on the archive
		v.say("older than before", checkSkipped, "%v", err)
		return
	}
	switch {
	case before == nil:
		v.say("older than before", checkGood, "the first signed archive of this cluster here")
	case now.Revision < before.Revision:
		v.say("older than before", checkMismatch, "revision %d, and revision %d of the same cluster was verified here on %s (%q): an old archive in the place of a newer one",
			now.Revision, before.Revision, before.Verified.Format(time.RFC3339), before.Archive)
		return
	case now.Revision == before.Revision && now.CompactRevision == before.CompactRevision && now.Hash != before.Hash:
		v.say("older than before", checkMismatch, "revision %d with another content than was verified here on %s (%q): the cluster's history has forked",
			now.Revision, before.Verified.Format(time.RFC3339), before.Archive)
		return
	default:
		v.say("older than before", checkGood, "not older than revision %d, verified here on %s", before.Revision, before.Verified.Format(time.RFC3339))
	}
	// A bad archive is no mark to hold others against.
	if !v.sound() {
		return
	}
	if err := writeSighting(path, now); err != nil {
		env.Warn("the archive is not remembered: %v", err)
	}
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
	file, err := os.CreateTemp(filepath.Dir(path), "seen-*.part")
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return console.SyncFolder(filepath.Dir(path))
}
