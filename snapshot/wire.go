package snapshot

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of mvccpb.KeyValue (etcd api/mvccpb/kv.proto), the value of every
// record in bucket "key". A tombstone has the key alone.
const (
	fieldKey            = 1
	fieldCreateRevision = 2
	fieldModRevision    = 3
	fieldVersion        = 4
	fieldValue          = 5
	fieldLease          = 6

	keyTag = fieldKey<<3 | 2 // the first byte of every KeyValue that etcd writes
)

var errNotKeyValue = errors.New("record is not a KeyValue")

// decodeKey returns the key of a KeyValue without looking at the rest, as long
// as the key comes first, where protobuf's writers put it.
func decodeKey(record []byte) ([]byte, error) {
	if len(record) == 0 {
		return nil, nil
	}
	if record[0] == keyTag {
		if key, n := protowire.ConsumeBytes(record[1:]); n >= 0 {
			return key, nil
		}
		return nil, errNotKeyValue
	}
	kv, err := decodeKeyValue(record)
	return kv.Key, err
}

// decodeKeyValue is proto.Unmarshal into a mvccpb.KeyValue, but Key and Value
// point into the record. Unknown fields are passed over, and of a field that
// is there twice the last one counts.
func decodeKeyValue(record []byte) (KeyValue, error) {
	var kv KeyValue
	for len(record) > 0 {
		field, kind, n := protowire.ConsumeTag(record)
		if n < 0 || !field.IsValid() {
			return KeyValue{}, errNotKeyValue
		}
		record = record[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(record)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(record)
		default:
			n = protowire.ConsumeFieldValue(field, kind, record)
		}
		if n < 0 {
			return KeyValue{}, errNotKeyValue
		}
		record = record[n:]
		kv.set(field, kind, number, bytes)
	}
	return kv, nil
}

func (kv *KeyValue) set(field protowire.Number, kind protowire.Type, number uint64, bytes []byte) {
	switch {
	case kind == protowire.BytesType && field == fieldKey:
		kv.Key = bytes
	case kind == protowire.BytesType && field == fieldValue:
		kv.Value = bytes
	case kind != protowire.VarintType:
	case field == fieldCreateRevision:
		kv.CreateRevision = int64(number)
	case field == fieldModRevision:
		kv.ModRevision = int64(number)
	case field == fieldVersion:
		kv.Version = int64(number)
	case field == fieldLease:
		kv.Lease = int64(number)
	}
}
