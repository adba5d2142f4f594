package registry

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Object is one Kubernetes object as it stood in etcd.
//
// What it is (GVK, Namespace, Name) comes from the object itself; Key says
// where it was found. When the two disagree, Problems says so.
type Object struct {
	Key  Key
	KV   snapshot.KeyValue // the etcd record; Value is as stored, maybe encrypted
	Form Form              // how the value is stored

	GVK             schema.GroupVersionKind // as stored, or after Replace
	Namespace, Name string

	// Raw is the value after decryption at rest, nil when it is locked.
	Raw []byte

	// Typed is client-go's Go type, nil for custom resources, for kinds that
	// the linked API does not know, and for what Select returned.
	Typed runtime.Object

	// Problems are what would otherwise be lost in silence.
	Problems []Problem

	content  map[string]any
	released bool      // Content decodes Raw anew
	noticed  []Problem // that decoding Raw anew does not find
}

// Problem is something about one object that the operator has to know.
type Problem struct {
	Code   ProblemCode `json:"code"`
	Detail string      `json:"detail"` // for people; holds no value of the object
}

// ProblemCode is the kind of a Problem, stable for machines.
type ProblemCode string

// The problems that reading can find.
const (
	Locked        ProblemCode = "locked"         // encrypted at rest, and no key opens it
	Undecodable   ProblemCode = "undecodable"    // the value is not what its form says
	UnknownKind   ProblemCode = "unknown-kind"   // not in the linked API: metadata and raw bytes only
	UnknownFields ProblemCode = "unknown-fields" // re-encoding loses fields that the linked API does not know
	InvalidText   ProblemCode = "invalid-utf8"   // a string is not UTF-8: neither JSON nor YAML can hold it
	Mismatch      ProblemCode = "mismatch"       // key and object do not name the same thing
	Unconverted   ProblemCode = "unconverted"    // could not be converted to the preferred version
	NotServed     ProblemCode = "not-served"     // the API server that it is wanted for serves no version of it
	Refused       ProblemCode = "refused"        // the API server that it is wanted for would refuse it
)

func (p Problem) String() string { return string(p.Code) + ": " + p.Detail }

// Content is the object as JSON decodes it: map[string]any, []any, string,
// bool, int64, float64 and nil. It is made at the first call and belongs to
// the Object, but for those that Select returned, which make it at each call;
// nil means that nothing beyond the raw bytes is known.
func (o *Object) Content() (map[string]any, error) {
	switch {
	case o.content != nil:
		return o.content, nil
	case o.released:
		return o.decoded().Content()
	case o.Typed == nil:
		return nil, nil
	}
	content, err := contentOf(o.Typed, o.GVK)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", o, err)
	}
	o.content = content
	return content, nil
}

// Readable tells an object of which more than its metadata and raw bytes is
// known.
func (o *Object) Readable() bool { return o.Typed != nil || o.content != nil || o.released }

// Replace puts another form of the same object in the place of the stored
// one: its content in version gvk. Typed is dropped, Raw stays.
func (o *Object) Replace(gvk schema.GroupVersionKind, content map[string]any) {
	o.GVK, o.content, o.Typed = gvk, content, nil
}

// release lets go of the decoded form, which takes ten times the room of the
// stored one. What is not decoded has nothing to let go of.
func (o *Object) release() {
	if o.Typed != nil || o.content != nil {
		o.Typed, o.content, o.released = nil, nil, true
	}
}

// decoded is the object as it was before its release.
func (o *Object) decoded() *Object {
	d := &Object{Key: o.Key, KV: o.KV, Raw: o.Raw, Namespace: o.Key.Namespace, Name: o.Key.Name}
	decode(d)
	checkIdentity(d)
	d.Problems = append(d.Problems, o.noticed...)
	return d
}

// notice adds a Problem that shows only beside other objects.
func (o *Object) notice(p Problem) {
	o.Problems, o.noticed = append(o.Problems, p), append(o.noticed, p)
}

// String names the object as kubectl does, with its namespace:
// "deployments.apps infra-production/supercronic".
func (o *Object) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + o.Name
	}
	if name == "" {
		return fmt.Sprintf("%q", o.Key.Path)
	}
	return fmt.Sprintf("%s %s", o.Key.Resource(), name)
}

// contentOf turns a typed object into JSON's shapes. It goes through JSON,
// because runtime.DefaultUnstructuredConverter mistakes whole floats for
// integers (kubernetes/kubernetes#87675).
func contentOf(obj runtime.Object, gvk schema.GroupVersionKind) (map[string]any, error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	content["apiVersion"], content["kind"] = gvk.ToAPIVersionAndKind()
	return content, nil
}
