package datadir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// MaxCollected is the size that evidence to be carried to another host keeps
// within.
const MaxCollected = 64 << 10

// collectedMagic is how evidence begins, by which it is told.
const collectedMagic = "lifeboat evidence 1\n"

// ErrNotCollected says that a file is no evidence of a data dir, or a damaged
// one.
var ErrNotCollected = errors.New("not the evidence of a data dir")

// ErrDirChanged says that a data dir is not as it was when its evidence was
// collected.
var ErrDirChanged = errors.New("the data dir has changed since its evidence was collected")

// Collected is what one data dir proves, small enough to be carried by hand to
// the host where it is weighed: no key and no value is in it.
type Collected struct {
	Host   string   `json:"host"`   // where the dir stands
	Path   string   `json:"path"`   // and under which name there
	Digest string   `json:"digest"` // sha256 of its files' names, sizes and times
	Voters []uint64 `json:"voters"` // after the last entry of the log, nil where it cannot be replayed

	Info        snapshot.Info     `json:"info"`
	Members     []snapshot.Member `json:"members"`
	Removed     []uint64          `json:"removed"`
	Database    string            `json:"database"`
	DatabaseErr string            `json:"databaseError,omitempty"`
	V2          V2Membership      `json:"v2"`
	V2Err       string            `json:"v2Error,omitempty"`

	Log        Log                `json:"log"`
	Stretches  []collectedStretch `json:"stretches"` // the log's
	EndsBehind bool               `json:"endsBehind"`
	Added      map[uint64]uint64  `json:"added,omitempty"`
	Newborn    bool               `json:"newborn,omitempty"`
	Belongs    Belonging          `json:"belongs"`

	// Summarised is how many of the log's changes of term, the oldest, did not
	// find room. What would need them is not provable.
	Summarised int `json:"summarised,omitempty"`
}

// collectedStretch is a Stretch with its terms: pairs of a first index and a
// term.
type collectedStretch struct {
	First uint64      `json:"first"`
	Last  uint64      `json:"last"`
	End   string      `json:"end,omitempty"`
	Terms [][2]uint64 `json:"terms"`
}

// Collect makes a data dir's evidence. r is the replay of the survey, nil where
// the dir cannot be replayed; host is the name of this host.
func (s *Survivor) Collect(r *Replay, host string) ([]byte, error) {
	c, err := s.collect(r, host)
	if err != nil {
		return nil, fmt.Errorf("collecting the evidence of %q: %w", s.Dir.Path, err)
	}
	for {
		data, err := c.encode()
		if err != nil || len(data) <= MaxCollected {
			return data, err
		}
		if !c.summarise(max(1, (len(data)-MaxCollected)/40)) {
			return nil, fmt.Errorf("collecting the evidence of %q: it takes %d bytes", s.Dir.Path, len(data))
		}
	}
}

func (s *Survivor) collect(r *Replay, host string) (*Collected, error) {
	digest, err := s.Dir.digest()
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(s.Dir.Path)
	if err != nil {
		return nil, err
	}
	c := &Collected{
		Host: host, Path: path, Digest: digest, Info: s.Info, Members: s.Members, Removed: s.Removed, Database: s.Database,
		V2: s.V2, Log: *s.Log, EndsBehind: s.Log.endsBehind, Added: s.Log.added,
		Newborn: s.Newborn, Belongs: s.Belongs,
	}
	if r != nil {
		c.Voters = r.Voters
	}
	c.Log.Stretches = nil
	for _, stretch := range s.Log.Stretches {
		one := collectedStretch{First: stretch.First, Last: stretch.Last, End: stretch.End}
		for _, run := range stretch.terms {
			one.Terms = append(one.Terms, [2]uint64{run.first, run.term})
		}
		c.Stretches = append(c.Stretches, one)
	}
	if s.DatabaseErr != nil {
		c.DatabaseErr = s.DatabaseErr.Error()
	}
	if s.V2Err != nil {
		c.V2Err = s.V2Err.Error()
	}
	return c, nil
}

// summarise gives up the oldest changes of term; false where nothing is left to
// give up.
func (c *Collected) summarise(n int) bool {
	gave := false
	for n > 0 {
		if len(c.Stretches) > 1 && len(c.Stretches[0].Terms) <= 1 {
			c.Stretches = c.Stretches[1:]
		} else if len(c.Stretches) > 0 && len(c.Stretches[0].Terms) > 1 {
			first := &c.Stretches[0]
			first.Terms = first.Terms[1:]
			first.First = first.Terms[0][0]
		} else {
			break
		}
		c.Summarised++
		n--
		gave = true
	}
	return gave
}

// firstKnown is the oldest entry whose term the evidence tells, 0 where it tells
// none.
func (c *Collected) firstKnown() uint64 {
	if len(c.Stretches) == 0 {
		return 0
	}
	return c.Stretches[0].First
}

// encode writes the magic, JSON, and the sha256 of both.
func (c *Collected) encode() ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	data := append([]byte(collectedMagic), body...)
	sum := sha256.Sum256(data)
	return fmt.Appendf(data, "\n%s\n", hex.EncodeToString(sum[:])), nil
}

// IsCollected tells evidence by its first bytes.
func IsCollected(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(collectedMagic))
	n, _ := f.Read(head) // what cannot be read is none
	return string(head[:n]) == collectedMagic
}

// ReadCollected reads evidence from a file. The Survivor counts in Best and
// Evidence as its data dir would; it cannot be replayed.
func ReadCollected(path string) (*Survivor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxCollected {
		return nil, fmt.Errorf("reading %q: %w: it has %d bytes", path, ErrNotCollected, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseCollected(data)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return c.survivor(path), nil
}

func parseCollected(data []byte) (*Collected, error) {
	text, ok := bytes.CutSuffix(data, []byte("\n"))
	body, sum, found := cutLast(text, '\n')
	own := sha256.Sum256(body)
	if !ok || !found || !bytes.HasPrefix(data, []byte(collectedMagic)) || hex.EncodeToString(own[:]) != string(sum) {
		return nil, fmt.Errorf("%w: it is cut off or changed", ErrNotCollected)
	}
	c := &Collected{}
	if err := json.Unmarshal(body[len(collectedMagic):], c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCollected, err)
	}
	for _, s := range c.Stretches {
		if len(s.Terms) == 0 || s.First > s.Last || s.Terms[0][0] != s.First {
			return nil, fmt.Errorf("%w: a stretch of its log does not begin", ErrNotCollected)
		}
	}
	return c, nil
}

func cutLast(data []byte, sep byte) (before, after []byte, found bool) {
	i := bytes.LastIndexByte(data, sep)
	if i < 0 {
		return data, nil, false
	}
	return data[:i], data[i+1:], true
}

func (c *Collected) survivor(path string) *Survivor {
	l := c.Log
	l.endsBehind, l.added, l.Stretches = c.EndsBehind, c.Added, nil
	for _, one := range c.Stretches {
		s := Stretch{First: one.First, Last: one.Last, End: one.End}
		for _, run := range one.Terms {
			s.terms = append(s.terms, termRun{run[0], run[1]})
		}
		l.Stretches = append(l.Stretches, s)
	}
	s := &Survivor{
		Dir: &Dir{Path: path, collected: c}, Log: &l, Info: c.Info, Members: c.Members, Removed: c.Removed,
		V2: c.V2, Database: c.Database, Newborn: c.Newborn, Belongs: c.Belongs,
	}
	if c.DatabaseErr != "" {
		s.DatabaseErr = fmt.Errorf("%s: %w", c.DatabaseErr, snapshot.ErrDamaged)
	}
	if c.V2Err != "" {
		s.V2Err = errors.New(c.V2Err)
	}
	return s
}

// Collected is the evidence that a survivor was read from, nil for a data dir
// at hand.
func (s *Survivor) Collected() *Collected { return s.Dir.collected }

// evidence is that of a survivor that is not at hand, as Replay.Evidence has it
// of one that is.
func (s *Survivor) evidence(all []*Survivor) Evidence {
	return (&Replay{Survivor: s, Voters: s.Dir.collected.Voters}).Evidence(all)
}

// AtHand are the survivors whose data dirs can be read here: what needs more
// than evidence, such as Join, takes these.
func AtHand(survivors []*Survivor) []*Survivor {
	var some []*Survivor
	for _, s := range survivors {
		if s.Collected() == nil {
			some = append(some, s)
		}
	}
	return some
}

// SameDir holds evidence against the data dir that it says it is of:
// ErrDirChanged where that is not as it was.
func (s *Survivor) SameDir(d *Dir) error {
	digest, err := d.digest()
	if err != nil {
		return err
	}
	if c := s.Collected(); c != nil && c.Digest != digest {
		return fmt.Errorf("%q: %w (%s)", d.Path, ErrDirChanged, s.Dir.Path)
	}
	return nil
}

// digest is of a dir's files by name, size and time: an etcd that has run since
// has changed them.
func (d *Dir) digest() (string, error) {
	sum := sha256.New()
	for _, root := range d.folders() {
		if err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == root {
				return nil // a dir without its log
			}
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			below, err := filepath.Rel(root, name)
			fmt.Fprintf(sum, "%q %d %d\n", below, info.Size(), info.ModTime().UnixNano())
			return err
		}); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// CollectDir surveys a data dir, replays it where that can be, and gives its
// evidence.
func CollectDir(ctx context.Context, d *Dir, host string, spool snapshot.Spool) ([]byte, *Survivor, error) {
	s, err := d.Survey(ctx)
	if err != nil {
		return nil, nil, err
	}
	var r *Replay
	if s.DatabaseErr == nil {
		r, err = s.Replay(ctx, ReplayOptions{AcceptLoss: true, Spool: spool})
		switch {
		case errors.Is(err, snapshot.ErrDamaged):
			s.DatabaseErr = err
		case err != nil:
			return nil, nil, err
		default:
			defer r.File.Close()
		}
	}
	data, err := s.Collect(r, host)
	return data, s, err
}
