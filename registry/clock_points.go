package registry

import (
	"cmp"
	"context"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// How long a write may take after the time in it was read. Between clocks that
// tick every two seconds no inversion above half a second was seen in three
// clusters; what took longer comes after a greater time and shows itself.
const (
	writeTakes    = micros(500 * time.Millisecond / time.Microsecond)
	creationTakes = second + writeTakes // creationTimestamp is cut to the second
)

// micros is a time in microseconds since 1970, as precise as a Lease's, or a
// span of time: a third of a time.Time, of which a large cluster has millions.
type micros int64

const (
	second = micros(time.Second / time.Microsecond)
	never  = micros(math.MinInt64) // before all times
)

func (m micros) time() time.Time { return time.UnixMicro(int64(m)).UTC() }
func (m micros) abs() micros     { return max(m, -m) }

// duration is at most the 292 years that a Duration holds: a clock may be wrong by
// more.
func (m micros) duration() time.Duration {
	const most = micros(math.MaxInt64 / time.Microsecond)
	return time.Duration(min(max(m, -most), most)) * time.Microsecond
}

// creations is the clock of creationTimestamps, whichever API server wrote them.
const creations = "creation times"

// point is one reading: revision rev was written at low or up to slack later.
type point struct {
	rev    int64
	low    micros
	slack  micros
	source int
}

func comparePoints(a, b point) int {
	return cmp.Or(cmp.Compare(a.rev, b.rev), cmp.Compare(a.low, b.low), cmp.Compare(a.source, b.source))
}

// pointGatherer collects the points of a history.
type pointGatherer struct {
	registry *Registry
	windows  []snapshot.Window
	points   []point
	sources  map[string]int
	names    []string
}

func (g *pointGatherer) add(ctx context.Context, r snapshot.Record) {
	if r.Deleted {
		return
	}
	key, err := ParseKey(g.registry.opts.Prefix, string(r.Key))
	if err != nil || key.System {
		return
	}
	if key.GroupResource() == leaseResource {
		// A Lease is small, and there are clusters that encrypt everything.
		if plain, err := g.registry.opts.Keyring.Open(ctx, key.Path, r.Value); err == nil {
			g.lease(key, r.Main, plain)
		}
		return
	}
	// The creation shows in the first record of an object, or, where that was
	// compacted, in the one that is left of it.
	if r.Version != 1 && r.Main > g.windows[len(g.windows)-1].First {
		return
	}
	if at, ok := creationOf(r.Value); ok {
		g.point(creations, r.CreateRevision, at, creationTakes)
	}
}

func (g *pointGatherer) point(source string, rev int64, at, slack micros) {
	i, ok := g.sources[source]
	if !ok {
		i = len(g.names)
		g.sources[source], g.names = i, append(g.names, source)
	}
	g.points = append(g.points, point{rev, at, slack, i})
}

// lease takes the time of a renewal (k8s.io/api coordination/v1/generated.proto:
// Lease.spec = 2; LeaseSpec.holderIdentity = 1, renewTime = 4).
func (g *pointGatherer) lease(key Key, rev int64, plain []byte) {
	spec := fieldAt(objectOf(plain), 2)
	at, ok := timeOf(fieldAt(spec, 4))
	if !ok {
		return
	}
	// "master-0_6f1c…": a machine, and a process on it.
	holder, _, _ := strings.Cut(string(fieldAt(spec, 1)), "_")
	g.point(cmp.Or(holder, key.Name), rev, at, writeTakes)
}

// creationOf is an object's creationTimestamp (apimachinery
// meta/v1/generated.proto: ObjectMeta.creationTimestamp = 8).
func creationOf(stored []byte) (micros, bool) {
	return timeOf(fieldAt(fieldAt(objectOf(stored), 1), 8))
}

// objectOf is the message in a protobuf value, nil for other forms (apimachinery
// runtime/generated.proto: Unknown.raw = 2).
func objectOf(stored []byte) []byte {
	if FormOf(stored) != Protobuf {
		return nil
	}
	return fieldAt(stored[len(protobufMagic):], 2)
}

// fieldAt is the first field of that number, if it is a string of bytes.
func fieldAt(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		if num == number && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			return value
		}
		if n = protowire.ConsumeFieldValue(num, kind, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}

// timeOf reads Time and MicroTime: seconds = 1, nanos = 2.
func timeOf(message []byte) (micros, bool) {
	var seconds, nanos uint64
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 || kind != protowire.VarintType {
			return 0, false
		}
		value, size := protowire.ConsumeVarint(message[n:])
		if size < 0 {
			return 0, false
		}
		message = message[n+size:]
		switch num {
		case 1:
			seconds = value
		case 2:
			nanos = value
		}
	}
	const year10000 = 253402300800
	if seconds == 0 || seconds >= year10000 || nanos >= 1e9 {
		return 0, false
	}
	return micros(seconds)*second + micros(nanos/1000), true
}
