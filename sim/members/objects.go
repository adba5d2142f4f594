package members

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// objects are the Kubernetes objects of the backup that the drill began with.
type objects struct {
	all   []sim.Object  // by key
	small []*sim.Object // those that the load writes again
}

// maxRewritten is the size of the largest value that the load writes again: a
// few CustomResourceDefinitions of a megabyte each would fill the quota of a
// drill that is about something else.
const maxRewritten = 16 << 10

func newObjects(all []sim.Object) objects {
	o := objects{all: slices.SortedFunc(slices.Values(all), func(a, b sim.Object) int { return strings.Compare(a.Key, b.Key) })}
	for i := range o.all {
		if o.all[i].Size <= maxRewritten {
			o.small = append(o.small, &o.all[i])
		}
	}
	return o
}

// touched is the object that the load's n-th write writes again, nil for none.
func (o objects) touched(n int) *sim.Object {
	if len(o.small) == 0 {
		return nil
	}
	return o.small[n%len(o.small)]
}

// rewrite gives an object a new revision and leaves its value as it is. The
// value never comes here. etcd refuses it when the object is not there.
func rewrite(o *sim.Object) clientv3.Op {
	return clientv3.OpPut(o.Key, "", clientv3.WithIgnoreValue(), clientv3.WithIgnoreLease())
}

// Objects implements sim.Cluster. The values are asked for, and not kept.
func (c *cluster) Objects(ctx context.Context, on, namespace string) (read, of int, err error) {
	const batch = 50 // below etcd's --max-txn-ops
	var gets []clientv3.Op
	for _, o := range c.objects.all {
		if o.Namespace == namespace {
			gets = append(gets, clientv3.OpGet(o.Key, clientv3.WithSerializable()))
		}
	}
	err = c.one(ctx, on, time.Minute, func(ctx context.Context, client *clientv3.Client) error {
		for ops := range slices.Chunk(gets, batch) {
			answer, err := client.Txn(ctx).Then(ops...).Commit()
			if err != nil {
				return err
			}
			for _, r := range answer.Responses {
				if kvs := r.GetResponseRange().GetKvs(); len(kvs) == 1 && len(kvs[0].Value) > 0 {
					read++
				}
			}
		}
		return nil
	})
	return read, len(gets), err
}

// ObjectLoss tells what is left of the backup's objects in the cluster that
// stands, as far as that has a quorum.
func (c *cluster) ObjectLoss(ctx context.Context) sim.ObjectLoss {
	loss := sim.ObjectLoss{Of: len(c.objects.all)}
	if loss.Of == 0 {
		return loss
	}
	found := map[string]bool{}
	err := c.askStanding(ctx, func(ctx context.Context, client *clientv3.Client) error {
		first, last := c.objects.all[0].Key, c.objects.all[loss.Of-1].Key
		return eachKeyIn(ctx, client, first, last+"\x00", func(key string) { found[key] = true })
	})
	if err != nil {
		loss.Unknown = err.Error()
		return loss
	}
	c.load.tally() // asks which writes are there
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	for i := range c.objects.all {
		switch o := &c.objects.all[i]; {
		case !found[o.Key]:
			loss.Lost = append(loss.Lost, o.Name)
		case c.load.setBack[o]:
			loss.SetBack = append(loss.SetBack, o.Name)
		}
	}
	return loss
}

// askStanding asks the first member of the newest cluster, once it has answered
// a linearizable read: all that was acknowledged is applied there then.
func (c *cluster) askStanding(ctx context.Context, ask func(context.Context, *clientv3.Client) error) error {
	members := c.leaderFirst()
	if len(members) == 0 {
		return errNobody
	}
	client := members[0].api()
	if client == nil {
		return errDown
	}
	quorum, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if _, err := client.Get(quorum, probeKey); err != nil {
		return fmt.Errorf("asking %q for all that was acknowledged: %w", members[0].name, err)
	}
	all, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return ask(all, client)
}
