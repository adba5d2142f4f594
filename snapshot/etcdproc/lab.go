package etcdproc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Lab is a folder in which whole etcd members live, each in a child process
// and a folder of its own: to rehearse on them what must not go wrong on a
// cluster. The folder is 0700 and lives as long as the Lab, or as its last
// process: when the parent dies, the children take it along, and when all are
// killed at once [Sweep] finds it.
type Lab struct {
	scratch *scratch
	root    *os.File // dataDir of the scratch folder
}

// NewLab makes a folder for members under dir, which has to exist.
func NewLab(dir string) (*Lab, error) {
	s, err := newScratch(dir)
	if err != nil {
		return nil, fmt.Errorf("making a folder for etcd members: %w", err)
	}
	l := &Lab{scratch: s}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("making a folder for etcd members: %w", errors.Join(err, s.remove()))
	}
	return l, nil
}

func (l *Lab) open() (err error) {
	if err := os.Mkdir(l.Dir(), 0o700); err != nil {
		return err
	}
	l.root, err = os.Open(l.Dir())
	return err
}

// Dir is the folder that holds a folder for each member, and whatever else has
// to vanish with them.
func (l *Lab) Dir() string { return filepath.Join(l.scratch.dir, dataDir) }

// DataDir is where the member of that name has its data dir; it exists once
// the member was started, or once somebody made it.
func (l *Lab) DataDir(name string) string { return filepath.Join(l.Dir(), name, memberData) }

// Socket is a name for a socket in the Lab that is short enough for bind(2)
// and connect(2), which end at 107 bytes, however long Dir is. It holds in this
// process, as long as the Lab does.
func (l *Lab) Socket(elem ...string) string {
	return filepath.Join(append([]string{shortName(l.root, l.Dir())}, elem...)...)
}

// PeerSocket is the socket by which member from reaches member to: a member
// listens on PeerSocket(name, name). Peer URLs are relative to the folder of the
// member that dials, so every ordered pair can have a path of its own, and
// somebody in between.
func (l *Lab) PeerSocket(from, to string) string { return l.Socket(from, to+socketSuffix) }

// ClientSocket is where a member answers etcd's client API, once it serves.
func (l *Lab) ClientSocket(name string) string { return l.Socket(name, clientHost+socketSuffix) }

// Prepare makes the folder of a member, for its sockets.
func (l *Lab) Prepare(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(l.Dir(), name), 0o700)
}

// Close removes the folder. The members have to be gone.
func (l *Lab) Close() error {
	return errors.Join(l.root.Close(), l.scratch.remove())
}

// socketSuffix makes a socket's name the host and port of a URL: etcd's HTTP
// transport would append a port to a host that has none.
const socketSuffix = ":1"

// PeerURL is the peer URL of the member of that name.
func PeerURL(name string) string { return "unix://" + name + socketSuffix }

// checkName refuses what is no host in a URL, or leaves the folder.
func checkName(name string) error {
	bad := name == "" || name == clientHost || len(name) > 32
	for _, c := range []byte(name) {
		bad = bad || (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	}
	if bad {
		return fmt.Errorf("%q is not a name for a member: lower-case letters, digits and dashes", name)
	}
	return nil
}
