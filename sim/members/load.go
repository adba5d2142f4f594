package members

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// load is the clients that write and read all the time. Every write has a key
// of its own, so that one that is lost has a name; and one of a few that are
// read, so that their order can be judged.
type load struct {
	cluster *cluster
	history *history
	reads   atomic.Int64

	mu      sync.Mutex
	sent    int
	acked   []bool       // by number
	probes  map[int]bool // the drill's own writes, which touch no object
	failed  int
	buckets []sim.Bucket
	gaps    []sim.Gap
	lastOK  time.Duration
	// silences are Tally.Silences.
	silences []sim.Gap
	running  bool
	setBack  map[*sim.Object]bool // those of which an acknowledged write is lost
}

// loadTimeout is how long a client waits for an answer before it asks the next
// member; etcd itself gives up after 7 s (server config ReqTimeout).
const loadTimeout = 2 * time.Second

func newLoad(c *cluster) *load {
	return &load{cluster: c, history: &history{now: c.Now}, probes: map[int]bool{}}
}

const loadPrefix = "/lifeboat/load/"

func loadKey(n int) string { return fmt.Sprintf("%s%08d", loadPrefix, n) }

// run is the life of all clients, from the first leader on.
func (l *load) run(ctx context.Context) {
	select {
	case <-l.cluster.watch.led:
	case <-ctx.Done():
		return
	}
	l.mu.Lock()
	l.lastOK, l.running = l.cluster.Now(), l.cluster.given.Load.Writes > 0
	l.mu.Unlock()
	given := l.cluster.given.Load
	clients := max(1, given.Clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { every(ctx, clients, given.Writes, i, l.write) })
		wg.Go(func() { every(ctx, clients, given.Reads, i, l.read) })
	}
	wg.Wait()
}

// every does one of clients' share of a rate per second. do is told which
// member to ask, and answers whether to stay with it. A client that waits for
// an answer leaves out what it could not send meanwhile.
func every(ctx context.Context, clients, rate, home int, do func(ctx context.Context, home int) bool) {
	if rate <= 0 {
		return
	}
	t := time.NewTicker(max(fastest, time.Second*time.Duration(clients)/time.Duration(rate)))
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if !do(ctx, home) {
			home++
		}
	}
}

// fastest bounds the load of one client: a drill shares the machine with others.
const fastest = time.Millisecond

// client is that of a voter that runs, counted from home on.
func (l *load) client(home int) *clientv3.Client {
	all := l.cluster.all()
	for i := range all {
		m := all[(home+i)%len(all)]
		if client := m.api(); client != nil && !m.isLearner() {
			return client
		}
	}
	return nil
}

func (l *load) write(ctx context.Context, home int) bool {
	client := l.client(home)
	n := l.send(false)
	ok := client != nil && l.put(ctx, client, n)
	if ctx.Err() == nil || ok {
		l.count(n, ok)
	}
	return ok
}

// send gives a write its number.
func (l *load) send(probe bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if probe {
		l.probes[l.sent] = true
	}
	l.acked = append(l.acked, false)
	l.sent++
	return l.sent - 1
}

// probe is a write of the drill itself. It counts as the load's do: with no
// load it is all that can be lost.
func (l *load) probe(ctx context.Context, client *clientv3.Client) error {
	n := l.send(true)
	_, err := client.Txn(ctx).Then(clientv3.OpPut(probeKey, l.cluster.Now().String()), clientv3.OpPut(loadKey(n), "")).Commit()
	l.count(n, err == nil)
	return err
}

// put writes the n-th key, and with it a register and an object of the backup.
func (l *load) put(ctx context.Context, client *clientv3.Client, n int) bool {
	ctx, cancel := patience(ctx, client)
	defer cancel()
	end := l.history.begin(access{key: n % registers, value: n + 1})
	ops := []clientv3.Op{clientv3.OpPut(loadKey(n), ""), clientv3.OpPut(register(n), strconv.Itoa(n+1))}
	if o := l.cluster.objects.touched(n); o != nil {
		ops = append(ops, rewrite(o))
	}
	_, err := client.Txn(ctx).Then(ops...).Commit()
	if err == nil {
		end(0)
	}
	return err == nil
}

func (l *load) read(ctx context.Context, home int) bool {
	client := l.client(home)
	if client == nil {
		return false
	}
	ctx, cancel := patience(ctx, client)
	defer cancel()
	n := int(l.reads.Add(1))
	end := l.history.begin(access{key: n % registers, read: true})
	answer, err := client.Get(ctx, register(n))
	if err != nil {
		return false
	}
	value := 0
	if len(answer.Kvs) > 0 {
		value, err = strconv.Atoi(string(answer.Kvs[0].Value))
	}
	if err == nil {
		end(value)
	}
	return true
}

// patience ends with loadTimeout, or with the member: etcd's client would go
// on trying a connection that is closed.
func patience(ctx context.Context, client *clientv3.Client) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	stop := context.AfterFunc(client.Ctx(), cancel)
	return ctx, func() { stop(); cancel() }
}

// count takes the end of a write.
func (l *load) count(n int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cluster.Now()
	second := int(now / time.Second)
	for len(l.buckets) <= second {
		l.buckets = append(l.buckets, sim.Bucket{})
	}
	if !ok {
		l.failed++
		l.buckets[second].Failed++
		return
	}
	l.acked[n] = true
	l.buckets[second].Acknowledged++
	if l.lastOK > 0 {
		l.silences = sim.AddSilence(l.silences, sim.Gap{From: sim.Duration(l.lastOK), Until: sim.Duration(now)})
	}
	if l.lastOK > 0 && now-l.lastOK >= l.gap() {
		l.gaps = append(l.gaps, sim.Gap{From: sim.Duration(l.lastOK), Until: sim.Duration(now)})
	}
	l.lastOK = now
}

// gap is how long a stretch without an acknowledged write has to be to count.
func (l *load) gap() time.Duration { return 10 * l.cluster.given.Tick.D() }

// maxLostKeys is how many lost writes are named.
const maxLostKeys = 20

// tally is what the clients have seen. What is lost says the cluster that
// stands; while nobody answers, it is not known.
func (l *load) tally() sim.Tally {
	have, known := l.have()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := sim.Tally{Sent: l.sent, Failed: l.failed, Gaps: append([]sim.Gap(nil), l.gaps...), Silences: append([]sim.Gap(nil), l.silences...), Buckets: append([]sim.Bucket(nil), l.buckets...)}
	l.setBack = map[*sim.Object]bool{}
	for n, acked := range l.acked {
		if !acked {
			continue
		}
		t.Acknowledged++
		if known && n < len(have) && !have[n] {
			if t.Lost++; t.Lost <= maxLostKeys {
				t.LostKeys = append(t.LostKeys, loadKey(n))
			}
			if !l.probes[n] {
				l.setBack[l.cluster.objects.touched(n)] = true
			}
		}
	}
	t.LostKnown = known || t.Acknowledged == 0
	if l.running && l.cluster.Now()-l.lastOK >= l.gap() {
		t.Gaps = append(t.Gaps, sim.Gap{From: sim.Duration(l.lastOK)})
	}
	return t
}

// have says which writes that were acknowledged before now stand in the newest
// cluster. That has to have a quorum: what a member alone has not applied yet
// is not lost.
func (l *load) have() (have []bool, known bool) {
	l.mu.Lock()
	before := append([]bool(nil), l.acked...)
	l.mu.Unlock()
	have = make([]bool, len(before))
	err := l.cluster.askStanding(context.Background(), func(ctx context.Context, client *clientv3.Client) error {
		return eachKey(ctx, client, loadPrefix, func(key string) {
			var n int
			if _, err := fmt.Sscanf(key, loadPrefix+"%d", &n); err == nil && n < len(have) {
				have[n] = true
			}
		})
	})
	for n, acked := range before {
		have[n] = have[n] || !acked // acknowledged since: not looked for
	}
	return have, err == nil
}
