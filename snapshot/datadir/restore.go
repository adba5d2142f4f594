package datadir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// NewMember is a member's data dir to be written.
type NewMember struct {
	Name     string
	PeerURLs []string // as in InitialCluster
	Target   Target
	WALDir   string // where the log goes, "" for in the data dir; it must not exist
}

// RestoreOptions say what a restored cluster is.
type RestoreOptions struct {
	Members        []NewMember // whose data dirs to write, at least one
	InitialCluster string      // all members, name=url,name=url, as for etcd
	Token          string      // "" for a fresh one: members of the old cluster cannot come back into it

	// Bump is by how much the newest revision grows; the revisions up to there
	// count as compacted. 0 for neither. Without it the API server's watchers,
	// whose caches are newer than the backup, act on what no longer exists
	// (etcd-io/etcd#16028).
	Bump uint64

	// Revision is the one to restore to: the result has nothing of what came
	// after it. 0 is the source's newest.
	Revision int64

	// NewestKnown is the newest revision that anybody may have seen, beyond the
	// source's own: other backups, the logs of members. Bump counts from it.
	NewestKnown int64

	// Drop are keys to delete, at a revision of their own.
	Drop [][]byte

	// Owner is whom the files belong to, nil for this process's user, or the
	// owner of what is replaced.
	Owner *Owner

	// Proof, if there is one, is a check of the source that runs beside the
	// build. Nothing is put in its place before it has returned nil.
	Proof func() error

	NoBootCheck bool
	Spool       snapshot.Spool // for the copy from which keys are dropped
}

// RestorePlan is what a restore would do.
type RestorePlan struct {
	Members        []PlannedMember `json:"members"`
	InitialCluster string          `json:"initialCluster"`
	Token          string          `json:"initialClusterToken"`
	Revision       int64           `json:"revision"` // of the source, or the one to restore to
	Cut            *Cut            `json:"cut,omitempty"`
	NewRevision    int64           `json:"newRevision"` // of the result
	Drop           []string        `json:"drop,omitempty"`
	Alarms         int             `json:"alarmsCleared"`
	ClusterVersion string          `json:"clusterVersion,omitempty"` // kept
	StorageVersion string          `json:"storageVersion,omitempty"` // kept
	Keys           int64           `json:"keys"`
	Bytes          int64           `json:"bytes"` // needed on the targets' file system, for each member
	BootCheck      bool            `json:"bootCheck"`

	db   *snapshot.DB
	file *os.File
	opts RestoreOptions
	info snapshot.Info

	newestRecord int64 // revision of the newest record, which etcdutl bumps from
}

// PlannedMember is one data dir of a plan.
type PlannedMember struct {
	Name     string   `json:"name"`
	PeerURLs []string `json:"peerURLs"`
	DataDir  string   `json:"dataDir"`
	WALDir   string   `json:"walDir,omitempty"`
	Builds   string   `json:"builds"`          // where it is built
	Renames  string   `json:"renames"`         // what comes into being by the last rename
	Aside    string   `json:"aside,omitempty"` // where the one that stands there goes

	root string // DataDir for etcd's flag: absolute, and where a link leads
}

// walBytes is what a member's log takes at first: a segment, and the next one
// allocated ahead (etcd server/storage/wal SegmentSizeBytes).
const walBytes = 2 * 64 << 20

// RestoreBytes is what a restore of a database of that size needs for each member,
// a boot of the result on a copy included or not.
func RestoreBytes(size int64, bootCheck bool) int64 {
	if !bootCheck {
		return size + walBytes
	}
	return size + walBytes + size + size/4
}

// PlanRestore checks everything that can be checked before a byte is written.
// db and file are the same database, opened; they have to stay open until Run
// has returned.
//
// Errors: fs.ErrExist for a target that exists, snapshot.ErrInUse for one that
// a process holds, ErrNoSpace, etcdproc.ErrNewer.
func PlanRestore(ctx context.Context, db *snapshot.DB, file *os.File, opts RestoreOptions) (*RestorePlan, error) {
	p := &RestorePlan{db: db, file: file, opts: opts, InitialCluster: opts.InitialCluster, Token: opts.Token, BootCheck: !opts.NoBootCheck}
	if err := p.plan(ctx); err != nil {
		return nil, fmt.Errorf("planning the restore: %w", err)
	}
	return p, nil
}

func (p *RestorePlan) plan(ctx context.Context) (err error) {
	if len(p.opts.Members) == 0 {
		return errors.New("no member to restore")
	}
	if p.info, err = p.db.Info(ctx); err != nil {
		return err
	}
	if err := refuseNewer(p.info); err != nil {
		return err
	}
	alarms, err := p.db.Alarms()
	if err != nil {
		return err
	}
	if p.Token == "" {
		p.Token = "lifeboat-" + rand.Text()
	}
	p.ClusterVersion, p.StorageVersion, p.Alarms = p.info.ClusterVersion, p.info.StorageVersion, len(alarms)
	p.Revision, p.Keys = p.info.Revision, p.info.LiveKeys
	if err := p.planCut(ctx); err != nil {
		return err
	}
	p.NewRevision = p.Revision
	if p.opts.Bump > 0 {
		p.NewRevision = max(p.info.Revision, p.opts.NewestKnown) + int64(p.opts.Bump)
	}
	for _, key := range p.opts.Drop {
		p.Drop = append(p.Drop, string(key))
	}
	if p.newestRecord, err = newestRecord(ctx, p.db, p.opts.Revision); err != nil {
		return err
	}
	if len(p.Drop) > 0 {
		p.NewRevision++
		p.Keys -= int64(len(p.Drop))
		p.newestRecord = p.Revision + 1
	}
	p.Bytes = RestoreBytes(p.info.Size, p.BootCheck)
	for _, m := range p.opts.Members {
		planned, err := p.planMember(m)
		if err != nil {
			return err
		}
		p.Members = append(p.Members, planned)
	}
	return nil
}

func (p *RestorePlan) planMember(m NewMember) (PlannedMember, error) {
	place, err := m.Target.place()
	if err != nil {
		return PlannedMember{}, err
	}
	planned := PlannedMember{
		Name: m.Name, PeerURLs: m.PeerURLs, DataDir: m.Target.Path, Builds: place.Part, Renames: place.Final, Aside: place.Aside, root: place.Root(),
	}
	if m.WALDir != "" {
		if planned.WALDir, err = filepath.Abs(m.WALDir); err != nil {
			return PlannedMember{}, err
		}
		if _, err := os.Lstat(planned.WALDir); err == nil {
			return PlannedMember{}, fmt.Errorf("log folder %q: %w", m.WALDir, os.ErrExist)
		}
	}
	return planned, checkSpace(existing(filepath.Dir(place.Part)), p.Bytes*int64(len(p.opts.Members)))
}

// existing is the nearest folder above path that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// Restored is what Run has written and how it was checked.
type Restored struct {
	*RestorePlan
	Hash  snapshot.Hash    `json:"hashKV"`
	Boots []etcdproc.Trial `json:"boots,omitempty"` // what a real etcd said, per member
}

// Run writes the data dirs. After an error none of them is in its place, and
// nothing is left beside it; an error between the renames of several members
// names those that are.
func (p *RestorePlan) Run(ctx context.Context) (*Restored, error) {
	r, err := p.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("restoring: %w", err)
	}
	return r, nil
}

func (p *RestorePlan) run(ctx context.Context) (_ *Restored, err error) {
	file, err := p.dropped(ctx)
	if err != nil {
		return nil, err
	}
	if file != p.file {
		defer file.Close()
	}
	var builds []*memberBuild
	defer func() {
		for _, b := range builds {
			err = errors.Join(err, b.abort())
		}
	}()
	result := &Restored{RestorePlan: p}
	for i, m := range p.opts.Members {
		b, err := beginMember(m, p.Members[i], p.opts.Owner)
		if err != nil {
			return nil, err
		}
		builds = append(builds, b)
		if err := p.buildMember(ctx, b, file, result); err != nil {
			return nil, fmt.Errorf("member %q: %w", m.Name, err)
		}
	}
	if p.opts.Proof != nil {
		if err := p.opts.Proof(); err != nil {
			return nil, err
		}
	}
	for _, b := range builds {
		if err := b.sync(ctx); err != nil {
			return nil, fmt.Errorf("syncing member %q: %w", b.member.Name, err)
		}
	}
	for i, b := range builds {
		err := b.commitAll()
		p.Members[i].Aside = b.member.Aside // somebody may have taken the name that was planned
		if err != nil {
			return nil, fmt.Errorf("putting member %q in its place: %w", b.member.Name, err)
		}
	}
	return result, nil
}

// dropped is the database without the keys to drop: a copy without a name, or
// the source itself where there are none.
func (p *RestorePlan) dropped(ctx context.Context) (*os.File, error) {
	if len(p.opts.Drop) == 0 {
		return p.file, nil
	}
	copied, _, err := p.opts.Spool.Take(ctx, &fileReader{file: p.file, size: p.info.Size})
	if err != nil {
		return nil, err
	}
	var answer dropAnswer
	err = etcdproc.Do(ctx, dropTask, dropRequest{Size: p.info.Size, Keys: p.opts.Drop, Cut: p.opts.Revision}, &answer, copied)
	if err == nil && answer.Deleted != int64(len(p.opts.Drop)) {
		err = fmt.Errorf("%d of %d keys to drop were there", answer.Deleted, len(p.opts.Drop))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dropping keys: %w", err), copied.Close())
	}
	return copied, nil
}

// buildMember writes one member's dir and checks it, while the disk works.
func (p *RestorePlan) buildMember(ctx context.Context, b *memberBuild, file *os.File, result *Restored) error {
	if err := p.writeMember(ctx, b, file); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	synced := later(func() (struct{}, error) { return struct{}{}, syncFile(b.dir().Database()) })
	defer synced() //nolint:errcheck // waited for below, unless there is another error
	booted := later(func() (etcdproc.Trial, error) {
		if !p.BootCheck {
			return etcdproc.Trial{}, nil
		}
		return etcdproc.Try(ctx, b.Data, b.walBuilt(), b.Part)
	})
	defer booted() //nolint:errcheck // as above; the copy that it has is removed before the dir is
	defer stop()
	hash, err := p.verify(ctx, b)
	if err != nil {
		return fmt.Errorf("checking the result: %w", err)
	}
	result.Hash = hash
	trial, err := booted()
	if err != nil {
		return err
	}
	if p.BootCheck {
		if trial.Hash != hash.Hash || trial.Revision != hash.HashRevision || trial.Keys != p.Keys {
			return fmt.Errorf("etcd reads the result otherwise: revision %d, HashKV %d, %d keys; want %d, %d, %d",
				trial.Revision, trial.Hash, trial.Keys, hash.HashRevision, hash.Hash, p.Keys)
		}
		result.Boots = append(result.Boots, trial)
	}
	_, err = synced()
	return err
}

// writeMember has a child make the dir, and copies the database meanwhile.
func (p *RestorePlan) writeMember(ctx context.Context, b *memberBuild, file *os.File) error {
	req := restoreRequest{
		Name: b.member.Name, PeerURLs: b.member.PeerURLs, InitialCluster: p.InitialCluster, Token: p.Token,
		DataDir: b.Data, WALDir: b.walBuilt(), Copy: filepath.Join(b.Part, "database"),
	}
	if file == p.file { // else it was cut before keys were dropped
		req.Cut = p.opts.Revision
	}
	if p.opts.Bump > 0 {
		req.Bump = uint64(p.NewRevision - p.newestRecord)
	}
	size := p.info.Size
	if file != p.file { // keys were dropped, for which the database may have grown
		info, err := file.Stat()
		if err != nil {
			return err
		}
		size = info.Size()
	}
	word, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer word.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	copied := later(func() (struct{}, error) {
		err := copyTo(ctx, req.Copy, file, size)
		if err == nil {
			_, err = say.Write([]byte{1})
		}
		return struct{}{}, errors.Join(err, say.Close())
	})
	err = etcdproc.Do(ctx, restoreTask, req, &struct{}{}, file, word)
	if err != nil {
		cancel()
	}
	if _, copyErr := copied(); copyErr != nil && !errors.Is(copyErr, context.Canceled) {
		return fmt.Errorf("copying the database: %w", copyErr) // the child only knows that there is none
	}
	return err
}
