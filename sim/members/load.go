package members

import (
	"context"
	"errors"
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

	failures []sim.Failure
	gaps     []sim.Gap
	lastOK   time.Duration
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
		wg.Go(func() {
			every(ctx, clients, given.Writes, i, func(ctx context.Context, home int) bool { return l.write(ctx, i+1, home) })
		})
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

// client is that of a voter that runs, counted from home on, and its name.
func (l *load) client(home int) (client *clientv3.Client, name string) {
	all := l.cluster.all()
	for i := range all {
		m := all[(home+i)%len(all)]
		if client := m.api(); client != nil && !m.isLearner() {
			return client, m.name
		}
	}
	return nil, ""
}

// errNoMember is that of a client which knows no endpoint.
var errNoMember = errors.New("connection refused")

func (l *load) write(ctx context.Context, number, home int) bool {
	client, name := l.client(home)
	n, began, err := l.send(false), l.cluster.Now(), errNoMember
	if client != nil {
		err = l.put(ctx, client, n)
	}
	if ctx.Err() == nil || err == nil {
		l.count(n, began, err, sim.Failure{Client: number, Member: name})
	}
	return err == nil
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
	n, began := l.send(true), l.cluster.Now()
	_, err := client.Txn(ctx).Then(clientv3.OpPut(probeKey, l.cluster.Now().String()), clientv3.OpPut(loadKey(n), "")).Commit()
	l.count(n, began, err, sim.Failure{})
	return err
}

// put writes the n-th key, and with it a register and an object of the backup.
func (l *load) put(ctx context.Context, client *clientv3.Client, n int) error {
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
	return err
}

func (l *load) read(ctx context.Context, home int) bool {
	client, _ := l.client(home)
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

// count takes the end of a write that began at a time; who says whose it was.
func (l *load) count(n int, began time.Duration, err error, who sim.Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cluster.Now()
	second := int(now / time.Second)
	for len(l.buckets) <= second {
		l.buckets = append(l.buckets, sim.Bucket{})
	}
	if err != nil {
		l.failed++
		l.buckets[second].Failed++
		who.At, who.Error = sim.Duration(now), err.Error()
		l.failures = sim.AddFailure(l.failures, who)
		return
	}
	l.acked[n] = true
	b := &l.buckets[second]
	b.Acknowledged++
	b.Slowest = max(b.Slowest, sim.Duration(now-began))
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
	t := sim.Tally{Sent: l.sent, Failed: l.failed, Gaps: append([]sim.Gap(nil), l.gaps...), Silences: append([]sim.Gap(nil), l.silences...), Buckets: append([]sim.Bucket(nil), l.buckets...), Failures: append([]sim.Failure(nil), l.failures...)}
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
