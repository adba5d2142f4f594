package printer

import (
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	timeType      = reflect.TypeFor[metav1.Time]()
	microTimeType = reflect.TypeFor[metav1.MicroTime]()
)

// shiftTimes moves every time stamp in v by d. The printers of Kubernetes
// measure ages against the clock (pkg/printers/internalversion,
// translateTimestampSince); an object moved by the distance between the clock
// and the backup's own present has the right ages, in every column. Times are
// cut to whole seconds, so that the moments which pass until the row is made
// cannot show.
func shiftTimes(v reflect.Value, d time.Duration) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			shiftTimes(v.Elem(), d)
		}
	case reflect.Slice:
		if mayHoldTimes(v.Type().Elem()) {
			for i := range v.Len() {
				shiftTimes(v.Index(i), d)
			}
		}
	case reflect.Struct:
		if v.Type() == timeType || v.Type() == microTimeType {
			shiftTime(v, d)
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && mayHoldTimes(f.Type()) {
				shiftTimes(f, d)
			}
		}
	}
}

func shiftTime(v reflect.Value, d time.Duration) {
	field := v.Field(0) // both wrap a time.Time
	t, ok := field.Interface().(time.Time)
	if ok && !t.IsZero() {
		moved := t.Truncate(time.Second).Add(d)
		field.Set(reflect.ValueOf(moved.Add(-late(time.Until(moved)))))
	}
}

// late is by how much a time stamp has to be moved back so that its age can be
// shown. The backup's present is its newest known moment, a Lease's renewal; what
// was written in the seconds after it is not from the future.
func late(ahead time.Duration) time.Duration {
	const between = time.Minute // more than between two renewals
	if ahead > 0 && ahead <= between {
		return ahead
	}
	return 0
}

// mayHoldTimes spares the walk through strings and byte slices. No type of the
// internal API has a time stamp inside a map or an interface; a test holds that.
func mayHoldTimes(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Struct:
		return true
	}
	return false
}
