package lifeboat

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// nameTime is how a time stands in the name of an archive: sorted by name is
// sorted by time, and no file system minds.
const nameTime = "20060102T150405Z"

// Name fills in the template of a new archive's name: {cluster} are the first
// eight digits of the UID of kube-system, {time} when the snapshot was made, by
// its own clock, {revision} is etcd's. An error when the snapshot does not tell
// what is asked for.
func (x *Packing) Name(template string) (string, error) {
	values := map[string]string{
		"{cluster}": firstEight(x.manifest.Cluster), "{time}": x.time.UTC().Format(nameTime), "{revision}": strconv.FormatInt(x.manifest.Etcd.Revision, 10),
	}
	if values["{cluster}"] == "" && strings.Contains(template, "{cluster}") {
		return "", misusef("the name %q asks for the cluster, and no namespace kube-system in the snapshot tells it", template)
	}
	name := template
	for word, value := range values {
		name = strings.ReplaceAll(name, word, value)
	}
	if strings.ContainsAny(name, "{}") {
		return "", misusef("the name %q: {cluster}, {time} and {revision} are filled in, and nothing else", template)
	}
	return name, nil
}

func firstEight(uid string) string {
	if len(uid) < 8 {
		return ""
	}
	return uid[:8]
}

var named = regexp.MustCompile(`^([0-9a-f]{8})-[0-9]{8}T[0-9]{6}Z\.`)

// clusterInName is the beginning of the UID that a name made by the template
// {cluster}-{time} has.
func clusterInName(name string) (string, bool) {
	m := named.FindStringSubmatch(path.Base(name))
	if m == nil || !place.IsArchive(name) {
		return "", false
	}
	return m[1], true
}
