package quorum

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// eventKind says what an event does to its member.
type eventKind uint8

const (
	eventTick    eventKind = iota
	eventMessage           // msg arrives
	eventUnread            // msg has arrived at a member that stood still
	eventLost              // msg does not arrive: its sender died
	eventSynced            // the outstanding Ready is on disk
	eventSend              // the load sends its next write
	eventRead              // the load sends its next read
	eventBackend           // etcd's backend commits its batch
	eventResume            // a stall is over
)

// event is something that will happen. gen is the life of the member that it
// belongs to: a restarted member does not get what was meant for the one before.
type event struct {
	at     time.Duration
	seq    uint64 // makes the order of simultaneous events total
	msg    *pb.Message
	member uint32 // index
	gen    uint32
	kind   eventKind
}

func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.seq < o.seq
}

// queue is a binary heap; container/heap would box every event.
type queue struct{ heap []event }

func (q *queue) push(e event) {
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !q.heap[i].before(&q.heap[parent]) {
			break
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *queue) pop() event {
	top := q.heap[0]
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap[last] = event{} // lets go of the message
	q.heap = q.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && q.heap[child+1].before(&q.heap[child]) {
			child++
		}
		if !q.heap[child].before(&q.heap[i]) {
			break
		}
		q.heap[i], q.heap[child] = q.heap[child], q.heap[i]
		i = child
	}
	return top
}
