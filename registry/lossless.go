package registry

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a protobuf message as it stands on the wire.
type field struct {
	num   protowire.Number
	value []byte // with its length for bytes, bare otherwise
	typ   protowire.Type
}

// lostFields returns the paths of fields, by number ("2.14.7"), that stand in
// stored and not in again, where again is the decoded object encoded anew.
// Fields that again has and stored has not are older data grown by its new
// defaults, and no loss.
func lostFields(stored, again []byte) []string {
	lost := map[string]bool{}
	compareMessages(stored, again, "", lost, 0)
	paths := make([]string, 0, len(lost))
	for p := range lost {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// compareMessages adds the paths lost between two encodings of one message.
func compareMessages(stored, again []byte, path string, lost map[string]bool, depth int) {
	const deepest = 64 // Kubernetes' types nest far less; a hostile value may not
	a, okA := fields(stored)
	b, okB := fields(again)
	if !okA || !okB || depth > deepest {
		lost[strings.TrimPrefix(path, ".")] = true
		return
	}
	byNumber := map[protowire.Number][]field{}
	for _, f := range b {
		byNumber[f.num] = append(byNumber[f.num], f)
	}
	for _, f := range a {
		at := path + "." + strconv.Itoa(int(f.num))
		twins := byNumber[f.num]
		if len(twins) == 0 {
			if !isZero(f) {
				lost[strings.TrimPrefix(at, ".")] = true
			}
			continue
		}
		twin := twins[0]
		byNumber[f.num] = twins[1:]
		if bytes.Equal(f.value, twin.value) {
			continue
		}
		if f.typ != protowire.BytesType || twin.typ != protowire.BytesType {
			lost[strings.TrimPrefix(at, ".")] = true
			continue
		}
		compareMessages(f.value, twin.value, at, lost, depth+1)
	}
}

// fields splits a message; ok is false for bytes that are none.
func fields(data []byte) (all []field, ok bool) {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, false
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(num, typ, data)
		if size < 0 {
			return nil, false
		}
		value := data[:size]
		if typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(data)
		}
		all = append(all, field{num: num, value: value, typ: typ})
		data = data[size:]
	}
	return all, true
}

// isZero tells a field that says nothing: a writer may send a zero that
// another leaves out.
func isZero(f field) bool {
	for _, b := range f.value {
		if b != 0 {
			return false
		}
	}
	return f.typ != protowire.BytesType || len(f.value) == 0
}

// joinPaths lists at most eight paths.
func joinPaths(paths []string) string {
	const most = 8
	if len(paths) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), len(paths)-most)
	}
	return strings.Join(paths, ", ")
}
