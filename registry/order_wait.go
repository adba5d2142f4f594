package registry

import (
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// waits are the commands that wait for the backends of conversion webhooks,
// before manifest i when that is the first one behind them.
func (p *Plan) waits(i int) []string {
	if i >= len(p.Manifests) || p.Manifests[i].Stage != StageConverted || i > 0 && p.Manifests[i-1].Stage == StageConverted {
		return nil
	}
	var waits []string
	for _, m := range p.Manifests[i:] {
		if m.behind == nil || m.group.find(kindService, m.behind.namespace, m.behind.name) == nil {
			continue
		}
		wait := fmt.Sprintf("kubectl wait --for=jsonpath='{.subsets[0].addresses[0].ip}' --timeout=300s -n %s %s",
			words.ShellQuote(m.behind.namespace), words.ShellQuote("endpoints/"+m.behind.name))
		if !slices.Contains(waits, wait) {
			waits = append(waits, wait)
		}
	}
	return waits
}
