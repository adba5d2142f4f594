package registry

import (
	"context"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields are the numbers of a protobuf message's fields, each with those that are
// wanted of the message within it; nil is all of it.
type Fields map[protowire.Number]Fields

// Glance decrypts and decodes an entry as Decode does, and of what is protobuf the
// fields alone (of the object, not of its envelope): the rest of a Pod costs ten
// times as much, and who counts Pods does not look at it. Other forms are decoded
// whole. What of the object was left aside is no Problem, and not in Raw.
func (r *Registry) Glance(ctx context.Context, entry Entry, fields Fields) *Object {
	plain, err := r.opts.Keyring.Open(ctx, entry.Key.Path, entry.KV.Value)
	if err != nil || FormOf(plain) != Protobuf {
		return r.Decode(ctx, entry)
	}
	o := &Object{Key: entry.Key, KV: entry.KV, Namespace: entry.Key.Namespace, Name: entry.Key.Name}
	// apimachinery runtime/generated.proto: Unknown.typeMeta = 1, raw = 2, then what
	// raw is in.
	kept, ok := keep(plain[len(protobufMagic):], Fields{1: nil, 2: fields, 3: nil, 4: nil})
	if !ok {
		return r.Decode(ctx, entry)
	}
	o.Raw = slices.Concat(protobufMagic, kept)
	decode(o)
	o.Namespace, o.Name = entry.Key.Namespace, entry.Key.Name
	return o
}

// keep is the message without the fields that are not wanted; false where it
// cannot be read.
func keep(message []byte, fields Fields) (kept []byte, ok bool) {
	for len(message) > 0 {
		number, kind, head := protowire.ConsumeTag(message)
		if head < 0 {
			return nil, false
		}
		size := protowire.ConsumeFieldValue(number, kind, message[head:])
		if size < 0 {
			return nil, false
		}
		field, value := message[:head+size], message[head:head+size]
		message = message[head+size:]
		within, wanted := fields[number]
		switch {
		case !wanted:
		case within == nil || kind != protowire.BytesType:
			kept = append(kept, field...)
		default:
			inner, n := protowire.ConsumeBytes(value)
			if n < 0 {
				return nil, false
			}
			if inner, ok = keep(inner, within); !ok {
				return nil, false
			}
			kept = protowire.AppendBytes(protowire.AppendTag(kept, number, kind), inner)
		}
	}
	return kept, true
}
