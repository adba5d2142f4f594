package lifeboat

import (
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// Holding is what the archives of one cluster in a place tell together.
type Holding struct {
	Cluster  string      `json:"cluster"` // UID of the namespace kube-system
	Archives int         `json:"archives"`
	Oldest   time.Time   `json:"oldest"` // when its snapshot was made
	Newest   time.Time   `json:"newest"`
	Every    int64       `json:"everySeconds,omitempty"` // the pace of the newest, 0 when there are too few to know
	Gaps     []place.Gap `json:"gaps"`                   // as place.Gaps finds them
}

// Pace is how often an archive of the cluster is made, "" when that is not known.
func (h Holding) Pace() string {
	if h.Every == 0 {
		return ""
	}
	return hours(time.Duration(h.Every) * time.Second)
}

// Holdings gives what a catalog tells of each cluster, by its UID. An archive of
// which nobody tells cluster and time fills no gap.
func Holdings(list []Listing) []Holding {
	times := map[string][]time.Time{}
	for _, l := range list {
		if l.Told != ToldByNobody && l.Cluster != "" {
			times[l.Cluster] = append(times[l.Cluster], l.Time)
		}
	}
	holdings := []Holding{}
	for cluster, at := range times {
		every, gaps := place.Gaps(at)
		holdings = append(holdings, Holding{
			Cluster: cluster, Archives: len(at), Oldest: slices.MinFunc(at, time.Time.Compare), Newest: slices.MaxFunc(at, time.Time.Compare),
			Every: int64(every.Seconds()), Gaps: append([]place.Gap{}, gaps...),
		})
	}
	slices.SortFunc(holdings, func(a, b Holding) int { return strings.Compare(a.Cluster, b.Cluster) })
	return holdings
}
