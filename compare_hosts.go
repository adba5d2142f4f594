package lifeboat

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// hostSteps says what to type on each host, where the dirs stand on several. A dir
// that stands here is carried to another host as its evidence.
func hostSteps(rows []*ComparedRow, best *ComparedRow) []string {
	away := best != nil && best.survivor != nil && best.survivor.Collected() != nil
	var peers strings.Builder
	var steps []string
	several := false
	for _, r := range rows {
		if r.survivor == nil {
			continue
		}
		peer := r.Path
		if r.survivor.Collected() != nil {
			several = true
		} else if away {
			peer = filepath.Base(r.Path) + ".evidence"
			steps = append(steps, "on this host: lifeboat etcd collect "+words.ShellQuote(r.Path)+" --to "+words.ShellQuote(peer))
		}
		if r != best {
			peers.WriteString(" --peer-dir " + words.ShellQuote(peer))
		}
	}
	if !several {
		return nil
	}
	for _, r := range rows {
		if r.survivor == nil {
			continue
		}
		where, dir := "this host", r.Path
		if c := r.survivor.Collected(); c != nil {
			where, dir = "host "+c.Host, c.Path
		}
		if r == best {
			steps = append(steps, fmt.Sprintf("on %s, with the evidence of the others carried there: lifeboat host force-new-cluster%s   (etcd stands in %s)", where, peers.String(), dir))
		} else {
			steps = append(steps, fmt.Sprintf("on %s, before that: lifeboat host etcd off", where))
		}
	}
	return steps
}
