package apiserver

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// moment is the backup's own present, the zero time where it does not tell.
func (s *Server) moment() time.Time {
	idx, err := s.indexes.at(context.Background(), s.revision)
	if err != nil {
		return time.Time{}
	}
	return idx.moment()
}

// warnOfTime tells who counts from today's clock, and who waits for something
// to happen, that this is the past. kubectl names its command in a header.
func (s *Server) warnOfTime(w http.ResponseWriter, r *http.Request, idx *index) {
	command := strings.TrimPrefix(r.Header.Get("Kubectl-Command"), "kubectl ")
	moment := idx.moment()
	at := ""
	if !moment.IsZero() {
		at = " of " + moment.Format("2006-01-02 15:04:05") + " UTC"
	}
	switch command {
	case "wait", "rollout status":
		addWarning(w.Header(), "this is a backup"+at+": what it shows has happened, and nothing more will; no object in it is alive")
	case "describe", "events":
		if !moment.IsZero() {
			addWarning(w.Header(), "kubectl "+command+" counts ages from today's clock; the backup is"+at)
		}
	}
}
