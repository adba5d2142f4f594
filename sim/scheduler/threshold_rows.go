package scheduler

import (
	"strconv"
	"strings"
)

// ThresholdRow is one size of cluster. Documented is the count that the common
// text gives: all up to 50 nodes, 50 % at 100, 10 % at 5000, 5 % above, linear
// in between.
type ThresholdRow struct {
	Nodes      int32  `json:"nodes"`
	Percentage int32  `json:"percentage"` // by the formula, before the floor of 100 nodes
	Wanted     int32  `json:"wanted"`     // feasible nodes after which the search ends
	Documented string `json:"documented,omitempty"`
}

// documented is what operators' documents say of a size, where they say it.
func documented(n int32) string {
	switch {
	case n <= 50:
		return "100%: " + strconv.Itoa(int(n))
	case n == 100:
		return "50%: 50"
	case n == 5000:
		return "10%: 500"
	case n > 5000:
		return "5%: " + strconv.Itoa(int(n)*5/100)
	}
	return ""
}

// Wrong reports whether what documents say is not what the scheduler does.
func (r ThresholdRow) Wrong() bool {
	return r.Documented != "" && !strings.HasSuffix(r.Documented, ": "+strconv.Itoa(int(r.Wanted)))
}

// Thresholds answers for each size of cluster; percentage is
// percentageOfNodesToScore, 0 for the adaptive default.
func Thresholds(sizes []int32, percentage int32) []ThresholdRow {
	var rows []ThresholdRow
	for _, n := range sizes {
		row := ThresholdRow{Nodes: n, Percentage: percentage, Wanted: Threshold(n, percentage)}
		if percentage == 0 {
			row.Percentage, row.Documented = AdaptivePercentage(n), documented(n)
		}
		rows = append(rows, row)
	}
	return rows
}
