package members

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

const (
	fillKey   = "/lifeboat/fill" // written again and again, so that a compaction gives the room back
	fillValue = 512 << 10
	maxFill   = 128 << 20
)

// fill writes until etcd refuses because the quota is used up, or most bytes
// are written: 0 is no bound.
func (c *cluster) fill(ctx context.Context, most int64) error {
	if c.given.Quota <= 0 || c.given.Quota > maxFill {
		return errNoQuota
	}
	value := strings.Repeat("x", fillValue)
	written := int64(0)
	return c.until(ctx, fillLimit, func() error {
		for ; most == 0 || written < most; written += fillValue {
			err := c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
				_, err := client.Put(ctx, fillKey, value)
				return err
			})
			if errors.Is(err, rpctypes.ErrNoSpace) {
				c.watch.note(sim.EventAlarm, etcdserverpb.AlarmType_NOSPACE.String()+" raised")
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// fillLimit bounds the attempts of a disk that is too slow for so much at once.
const fillLimit = 30 * time.Second

// compact drops the history below the newest revision, and waits until the
// pages are free.
func (c *cluster) compact(ctx context.Context) error {
	return c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		now, err := client.Get(ctx, probeKey)
		if err != nil {
			return err
		}
		_, err = client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
		return err
	})
}

// defrag gives the member's free pages back to the file system. The member
// answers nobody meanwhile.
func (c *cluster) defrag(ctx context.Context, m *member) error {
	return c.one(ctx, m.name, startLimit, func(ctx context.Context, client *clientv3.Client) error {
		api := etcdserverpb.NewMaintenanceClient(client.ActiveConnection())
		_, err := api.Defragment(ctx, &etcdserverpb.DefragmentRequest{})
		return clientv3.ContextError(ctx, err)
	})
}

func (c *cluster) disarm(ctx context.Context) error {
	err := c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		return err
	})
	if err == nil {
		c.watch.note(sim.EventAlarm, "all disarmed")
	}
	return err
}

// raiseQuota restarts a member with a larger quota.
func (c *cluster) raiseQuota(ctx context.Context, m *member, bytes int64) error {
	if err := m.shutdown(ctx); err != nil {
		return err
	}
	m.config.Quota = bytes
	return c.run(ctx, m)
}
