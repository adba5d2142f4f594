package lifeboat

import (
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// hostSteps says what to type on each host, where the dirs stand on several.
func hostSteps(rows []*ComparedRow, best *ComparedRow) []string {
	var peers strings.Builder
	several := false
	for _, r := range rows {
		if r.survivor == nil {
			continue
		}
		if r.survivor.Collected() != nil {
			several = true
		}
		if r != best {
			peers.WriteString(" --peer-dir " + words.ShellQuote(r.Path))
		}
	}
	if !several {
		return nil
	}
	var steps []string
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
