package etcdproc

import "context"

// RunKeys bounds what is asked for at once.
const RunKeys = runKeys

// Runs are the numbers of keys that At would ask for at once.
func (p *Proc) Runs(ctx context.Context, match func(key []byte) bool) (sizes []int, err error) {
	for r, err := range p.runs(ctx, p.Revision(), match) {
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, r.span)
	}
	return sizes, nil
}
