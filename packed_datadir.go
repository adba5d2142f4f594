package lifeboat

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// walSegment is the name of a file of etcd's write-ahead log.
var walSegment = regexp.MustCompile(`^[0-9a-f]{16}-[0-9a-f]{16}\.wal$`)

// noteLog takes down where in an archive a write-ahead log stands.
func (o *opener) noteLog(entry *archive.Entry) {
	if walSegment.MatchString(path.Base(entry.Name)) && entry.Kind != archive.Directory {
		o.logName = path.Dir(entry.Name)
	}
}

// checkPackedLog refuses the database of a data dir that was packed with its
// log: what was acknowledged last stands in that alone, and it is not read
// through an archive. A snapshot, which etcd made whole, is read.
func (o *opener) checkPackedLog() error {
	switch {
	case o.logName == "" || o.dbName == "":
		return nil
	case path.Base(o.dbName) != "db" || o.opts.AcceptLoss:
		o.opts.Observer.warn("the write-ahead log in %q is not read: %q is", o.logName, o.dbName)
		return nil
	}
	dir := strings.TrimSuffix(path.Dir(path.Dir(o.dbName)), "/member")
	if dir == "member" {
		dir = ""
	}
	unpack := "tar xf %s -C dir"
	if o.zip != nil {
		unpack = "unzip -q %s -d dir"
	}
	return &Error{
		Class: Refused,
		Err:   fmt.Errorf("it holds a member's data dir: the write-ahead log in %q goes on from the database %q, and is not read from an archive", o.logName, o.dbName),
		Hint: fmt.Sprintf("mkdir dir && "+unpack+", and give dir/%s; --accept-loss reads the database alone, without what was acknowledged last",
			printablePath(o.src.path), dir),
	}
}

// printablePath is a path as it can be typed.
func printablePath(p string) string {
	if strings.ContainsAny(p, " \t\n'\"$&;|<>()\\`*?[#~!{}") {
		return fmt.Sprintf("%q", p)
	}
	return p
}
