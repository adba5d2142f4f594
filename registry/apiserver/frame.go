package apiserver

import (
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// frame is what stands around the items of a list.
type frame struct {
	head, tail []byte
	protobuf   bool
}

// between is what stands before item i.
func (f frame) between(i int, body []byte) []byte {
	switch {
	case f.protobuf:
		return protobufItem(body)
	case i == 0:
		return nil
	}
	return []byte(",")
}

// protobufItem is the tag and length of an item in a protobuf list: field 2
// in every list type of the API.
func protobufItem(body []byte) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.BytesType), uint64(len(body)))
}

// frame is the frame of a list with these bodies.
func (l *listing) frame(bodies [][]byte) (frame, error) {
	size := 0
	for _, body := range bodies {
		size += len(protobufItem(body)) + len(body)
	}
	return l.frameSized(size)
}

// frameSized is the frame of a list whose items, as protobuf, have size bytes
// with their tags.
func (l *listing) frameSized(size int) (frame, error) {
	if l.format.isProtobuf() {
		return l.protobufFrame(size)
	}
	head, err := l.jsonHead()
	return frame{head: head, tail: []byte("]}\n")}, err
}

// protobufFrame is runtime.Unknown (k8s.io/apimachinery pkg/runtime) around a
// list, written by hand because the list is longer than memory:
//
//	"k8s\0" · 1: {1: apiVersion, 2: kind} · 2: {1: ListMeta, 2: item, 2: item …} · 3: "" · 4: ""
func (l *listing) protobufFrame(size int) (frame, error) {
	meta, err := l.meta.Marshal()
	if err != nil {
		return frame{}, err
	}
	kind := l.kind()
	var typeMeta []byte
	typeMeta = appendField(typeMeta, 1, []byte(kind.GroupVersion().String()))
	typeMeta = appendField(typeMeta, 2, []byte(kind.Kind))
	raw := appendField(nil, 1, meta)

	head := appendField([]byte("k8s\x00"), 1, typeMeta)
	head = protowire.AppendTag(head, 2, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(raw)+size))
	head = append(head, raw...)
	tail := appendField(appendField(nil, 3, nil), 4, nil)
	return frame{head: head, tail: tail, protobuf: true}, nil
}

func appendField(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

// stream writes an answer in pieces. A client has writeTime for each.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	deadline time.Time
	failed   error
}

func newStream(w http.ResponseWriter, contentType string) *stream {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, control: http.NewResponseController(w)}
}

func (s *stream) write(b []byte) {
	if s.failed != nil || len(b) == 0 {
		return
	}
	if now := time.Now(); now.After(s.deadline) {
		s.deadline = now.Add(writeTime / 2)
		_ = s.control.SetWriteDeadline(now.Add(writeTime)) // not every ResponseWriter has one
	}
	_, s.failed = s.w.Write(b)
}

// end lifts the deadline. A client that went away is no error of the server.
func (s *stream) end() error {
	_ = s.control.SetWriteDeadline(time.Time{})
	return nil
}
