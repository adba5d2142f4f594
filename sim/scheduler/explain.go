package scheduler

import (
	"cmp"
	"slices"

	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// explain fills in the verdict on every node. statusOf is the diagnosis of a
// Pod that fits nowhere, which has also the nodes that PreFilter refused.
func (c *cycle) explain(statusOf func(string) *fwk.Status) {
	s := c.sim
	checked := map[string]bool{}
	for _, name := range c.recorder.checked {
		checked[name] = true
	}
	verdicts := make([]NodeVerdict, len(s.order))
	for i, name := range s.order {
		v := NodeVerdict{Node: name, Position: i}
		switch {
		case c.recorder.rejected[name] != nil:
			v.Against = []Rejection{rejection(c.recorder.rejected[name])}
		case statusOf != nil && !checked[name]:
			v.Against = []Rejection{rejection(statusOf(name))} // PreFilter's, for all nodes
		case !checked[name]:
			v.Skipped = true // or not named by PreFilter
		}
		verdicts[i] = v
	}
	c.addScores(verdicts)
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case len(v.Against) > 0 || v.Rank > 0:
		case c.result.Feasible == 1 && !v.Skipped:
			v.Rank = 1 // alone, and so not scored
		default:
			v.Skipped = true // found to fit after enough others were
		}
	}
	if len(s.solo) > 0 {
		c.askAll(verdicts)
	}
	c.result.Nodes = verdicts
}

func rejection(status *fwk.Status) Rejection {
	return Rejection{Plugin: pluginName(status.Plugin()), Reasons: slices.Clone(status.Reasons())}
}

// addScores puts the scores to the nodes and ranks them.
func (c *cycle) addScores(verdicts []NodeVerdict) {
	weights := map[string]int64{}
	for _, plugin := range c.sim.plugins[c.result.Profile].Score.Enabled {
		weights[plugin.Name] = int64(plugin.Weight)
	}
	byTotal := slices.Clone(c.recorder.scores)
	slices.SortFunc(byTotal, func(a, b fwk.NodePluginScores) int { return cmp.Compare(b.TotalScore, a.TotalScore) })
	rank := 0
	for i, node := range byTotal {
		if i == 0 || node.TotalScore < byTotal[i-1].TotalScore {
			rank = i + 1
		}
		v := &verdicts[c.sim.position[node.Name]]
		v.Total, v.Rank = node.TotalScore, rank
		for j, weighted := range node.Scores {
			score := Score{Plugin: pluginName(weighted.Name), Weighted: weighted.Score, Normalized: weighted.Score}
			if weight := weights[weighted.Name]; weight > 1 {
				score.Normalized = weighted.Score / weight
			}
			if j < len(node.RawScores) {
				score.Raw = node.RawScores[j].Score
			}
			v.Scores = append(v.Scores, score)
		}
	}
}

// askAll asks every filter by itself, which the scheduler never does.
func (c *cycle) askAll(verdicts []NodeVerdict) {
	s := c.sim
	for _, name := range s.solo {
		filter := s.sched.Profiles[name]
		if filter == nil || !filter.HasFilterPlugins() {
			continue
		}
		state := framework.NewCycleState()
		result, status, _ := filter.RunPreFilterPlugins(s.ctx, state, c.pod)
		for i := range verdicts {
			v := &verdicts[i]
			said := status
			if said.IsSuccess() {
				info, err := s.snapshot.NodeInfos().Get(v.Node)
				if err != nil || !result.AllNodes() && !result.NodeNames.Has(v.Node) {
					continue // the scheduler's own verdict says so already
				}
				said = filter.RunFilterPlugins(s.ctx, state, c.pod, info)
			}
			if said.IsSuccess() || said.IsSkip() || slices.ContainsFunc(v.Against, func(r Rejection) bool { return r.Plugin == said.Plugin() }) {
				continue
			}
			v.Against = append(v.Against, rejection(said))
		}
	}
}

// soloProfiles are profiles with one plugin of the given ones each, beside
// what a profile cannot be without.
func soloProfiles(profiles []config.KubeSchedulerProfile) []config.KubeSchedulerProfile {
	var solo []config.KubeSchedulerProfile
	seen := map[string]bool{names.PrioritySort: true, names.DefaultBinder: true, names.DefaultPreemption: true}
	for _, p := range profiles {
		for _, plugin := range slices.Concat(p.Plugins.MultiPoint.Enabled, p.Plugins.Filter.Enabled) {
			if seen[plugin.Name] {
				continue
			}
			seen[plugin.Name] = true
			one := []config.Plugin{{Name: plugin.Name}}
			solo = append(solo, config.KubeSchedulerProfile{
				SchedulerName: "only-" + plugin.Name,
				PluginConfig:  p.PluginConfig,
				Plugins: &config.Plugins{
					QueueSort:  config.PluginSet{Enabled: []config.Plugin{{Name: names.PrioritySort}}},
					Bind:       config.PluginSet{Enabled: []config.Plugin{{Name: names.DefaultBinder}}},
					MultiPoint: config.PluginSet{Enabled: one},
				},
			})
		}
	}
	return solo
}
