package lifeboat

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat/internal/text"
)

// WriteCatalog shows a line for each archive, and below them what is held of
// each cluster; wide has the versions, the signer and the recipients too.
func WriteCatalog(w io.Writer, list []Listing, wide bool) error {
	header := []string{"CLUSTER", "TIME", "REVISION", "SIZE", "PROVEN", "TOLD BY", "NAME"}
	if wide {
		header = append(header, "KUBERNETES", "ETCD", "SIGNER", "RECIPIENTS")
	}
	t := text.NewTable(w, header...)
	for _, l := range list {
		row := []string{text.OrDash(l.Cluster), "-", "-", humanize.IBytes(uint64(l.Size)), l.provenAt(), text.OrDash(string(l.Told)), l.Name}
		if l.Told != ToldByNobody {
			row[1], row[2] = l.Time.Format(time.RFC3339), strconv.FormatInt(l.Revision, 10)
		}
		if wide {
			row = append(row, text.OrDash(l.Kubernetes), text.OrDash(l.Etcd), text.OrDash(l.Signer), text.OrDash(strings.Join(l.Recipients, ",")))
		}
		t.Row(row...)
	}
	return errors.Join(t.Flush(), writeHoldings(w, Holdings(list)))
}

// writeHoldings shows a line for each cluster, and one for each further gap.
func writeHoldings(w io.Writer, holdings []Holding) error {
	if len(holdings) == 0 {
		return nil
	}
	rows := [][]string{{"CLUSTER", "ARCHIVES", "OLDEST", "NEWEST", "EVERY", "GAPS"}}
	for _, h := range holdings {
		row := []string{h.Cluster, strconv.Itoa(h.Archives), h.Oldest.Format(time.RFC3339), h.Newest.Format(time.RFC3339), text.OrDash(h.Pace()), "-"}
		for i, gap := range h.Gaps {
			if i > 0 {
				row = []string{"", "", "", "", "", ""}
			}
			row[5] = fmt.Sprintf("%s to %s: %d missing", gap.From.Format(time.RFC3339), gap.To.Format(time.RFC3339), gap.Missing)
			if i+1 < len(h.Gaps) {
				rows = append(rows, row)
			}
		}
		rows = append(rows, row)
	}
	out := text.NewSection(w)
	out.Line("")
	out.Table(rows)
	return out.Err
}

// provenAt says when an archive was last proven, and that it could not start
// where that came out.
func (l *Listing) provenAt() string {
	switch {
	case l.Proof == nil:
		return "-"
	case !l.Proof.Started():
		return "FAILED " + l.Proof.Proven.Format(time.DateOnly)
	}
	return l.Proof.Proven.Format(time.DateOnly)
}
