package lifeboat

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// WriteMetrics writes the report in Prometheus' text format, for the textfile
// collector of node_exporter. What is not known has no sample: an absent series
// can be alerted on, a zero would pass for a value.
func (r *PlaceReport) WriteMetrics(w io.Writer) error {
	m := &metrics{}
	m.head("lifeboat_verify_timestamp_seconds", "When the place was verified.")
	m.sample("lifeboat_verify_timestamp_seconds", seconds(r.how.now()), "place", r.Place)
	m.head("lifeboat_verify_success", "1 when all that was looked at is good and fresh, else 0.")
	m.sample("lifeboat_verify_success", map[bool]float64{true: 1}[r.Verdict() == nil], "place", r.Place)
	m.head("lifeboat_archives", "Archives of a cluster by what a look at them came to; cluster is empty where nothing tells it.")
	for _, cluster := range r.outcomes() {
		for _, outcome := range slices.Sorted(maps.Keys(cluster.counts)) {
			m.sample("lifeboat_archives", float64(cluster.counts[outcome]), "place", r.Place, "cluster", cluster.name, "outcome", string(outcome))
		}
	}
	for _, g := range r.gauges() {
		m.head(g.name, g.help)
		for _, c := range r.Clusters {
			if value, ok := g.value(c); ok {
				m.sample(g.name, value, "place", r.Place, "cluster", c.Cluster)
			}
		}
	}
	_, err := io.WriteString(w, m.text.String())
	return err
}

// gauge is one number of each cluster.
type gauge struct {
	name, help string
	value      func(ClusterReport) (value float64, known bool)
}

func (r *PlaceReport) gauges() []gauge {
	newest := func(value func(c ClusterReport) float64) func(ClusterReport) (float64, bool) {
		return func(c ClusterReport) (float64, bool) {
			if c.Newest == nil {
				return 0, false
			}
			return value(c), true
		}
	}
	return []gauge{
		{"lifeboat_newest_archive_timestamp_seconds", "When the snapshot in the newest usable archive was made.", newest(func(c ClusterReport) float64 { return seconds(c.Time) })},
		{"lifeboat_newest_archive_age_seconds", "How old that was when the place was verified.", newest(func(c ClusterReport) float64 { return r.how.now().Sub(c.Time).Seconds() })},
		{"lifeboat_newest_archive_size_bytes", "How large that archive is.", newest(func(c ClusterReport) float64 { return float64(c.Newest.Size) })},
		{"lifeboat_newest_archive_revision", "etcd's revision in it.", newest(func(c ClusterReport) float64 { return float64(c.Revision) })},
		{"lifeboat_last_verified_timestamp_seconds", "When an archive of the cluster was last read whole and found good.", func(c ClusterReport) (float64, bool) { return seconds(c.Verified), !c.Verified.IsZero() }},
		{"lifeboat_failures", "Archives of the cluster that are not as they should be.", func(c ClusterReport) (float64, bool) {
			return float64(c.Archives - c.Outcomes[OutcomeGood] - c.Outcomes[OutcomeNotChecked]), true
		}},
		{"lifeboat_problems", "What is wrong with the cluster's archives together: forks, age, an old archive in the place of a newer one.", func(c ClusterReport) (float64, bool) {
			n := 0.0
			for _, check := range c.Checks {
				if !Sound([]Check{check}) {
					n++
				}
			}
			return n, true
		}},
	}
}

// clusterCounts are the outcomes of one cluster's archives.
type clusterCounts struct {
	name   string
	counts map[Outcome]int
}

// outcomes counts by cluster, those that nothing tells first.
func (r *PlaceReport) outcomes() []clusterCounts {
	unknown := map[Outcome]int{}
	for _, f := range r.Findings {
		if f.Cluster == "" {
			unknown[f.Outcome]++
		}
	}
	list := []clusterCounts{{"", unknown}}
	for _, c := range r.Clusters {
		list = append(list, clusterCounts{c.Cluster, c.Outcomes})
	}
	return list
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// metrics is a page in the text format, version 0.0.4.
type metrics struct{ text strings.Builder }

func (m *metrics) head(name, help string) {
	fmt.Fprintf(&m.text, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func (m *metrics) sample(name string, value float64, labels ...string) {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, fmt.Sprintf(`%s="%s"`, labels[i], labelEscapes.Replace(labels[i+1])))
	}
	fmt.Fprintf(&m.text, "%s{%s} %v\n", name, strings.Join(pairs, ","), value)
}
