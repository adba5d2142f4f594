package printer

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// The version in which a server with default flags answers is the first of its
// group's priority list that has the kind.
func TestTableOfResourcesHasTheAPIsOwnPriorities(t *testing.T) {
	t.Parallel()
	codecs := newCodecs()
	for _, r := range registry.Builtins() {
		if r.Removed {
			continue
		}
		var preferred string
		for _, c := range codecs {
			for _, gv := range c.scheme.PrioritizedVersionsForGroup(r.Group) {
				if preferred == "" && c.scheme.Recognizes(gv.WithKind(r.Kind)) {
					preferred = gv.Version
				}
			}
		}
		require.Equal(t, preferred, r.Version, r.String())
	}
}

// Resources whose storage has no table of its own are the ones that plainTable
// names; all others have one among the API's printers.
func TestEveryKindHasTheTableOfItsStorage(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "pkg/registry/*/*/storage/storage.go"))
	require.NoError(t, err)
	pattern := regexp.MustCompile(`TableConvertor: +rest\.NewDefaultTableConvertor\(\w+\.Resource\("(\w+)"\)\)`)
	plain := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		if m := pattern.FindSubmatch(source); m != nil {
			plain[string(m[1])] = true
		}
	}
	require.NotEmpty(t, plain)

	p := New(registry.NewResources(nil), time.Now())
	for _, r := range registry.Builtins() {
		if r.Removed {
			continue
		}
		require.Equal(t, plain[r.Plural], plainTable(r.GroupResource()), r.String())
		var kind schema.GroupVersionKind
		for _, c := range p.codecs {
			if internal := r.GroupKind().WithVersion(runtime.APIVersionInternal); c.scheme.Recognizes(internal) {
				kind = internal
				empty, err := c.scheme.New(internal)
				require.NoError(t, err)
				table, err := p.internalTable(empty, r)
				require.NoError(t, err, r.String())
				require.NotEmpty(t, table.ColumnDefinitions, r.String())
			}
		}
		require.NotEmpty(t, kind, r.String())
	}
}

// shiftTimes passes over maps: only a disruption budget has time stamps there,
// in disruptedPods, which no column shows.
func TestNoInternalTypeHidesTimesFromTheShift(t *testing.T) {
	t.Parallel()
	times := 0
	for _, c := range newCodecs() {
		for gvk, typ := range c.scheme.AllKnownTypes() {
			if gvk.Version == runtime.APIVersionInternal {
				walkTypes(typ, false, map[below]bool{}, func(hidden bool) {
					times++
					require.False(t, hidden && !strings.HasPrefix(gvk.Kind, "PodDisruptionBudget"), "%s: %s", gvk, typ)
				})
			}
		}
	}
	require.Greater(t, times, 100)
}

// below is a type with whether it stands below a map.
type below struct {
	reflect.Type
	hidden bool
}

// walkTypes calls found for each time stamp in typ.
func walkTypes(typ reflect.Type, hidden bool, seen map[below]bool, found func(hidden bool)) {
	if typ == timeType || typ == microTimeType {
		found(hidden)
		return
	}
	if seen[below{typ, hidden}] {
		return
	}
	seen[below{typ, hidden}] = true
	switch typ.Kind() {
	case reflect.Map, reflect.Array:
		walkTypes(typ.Elem(), true, seen, found)
	case reflect.Pointer, reflect.Slice:
		walkTypes(typ.Elem(), hidden, seen, found)
	case reflect.Struct:
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				walkTypes(f.Type, hidden, seen, found)
			}
		}
	}
}

func TestShiftTimesReachesEveryLevel(t *testing.T) {
	t.Parallel()
	type inner struct {
		At    *metav1.MicroTime
		Unset metav1.Time
	}
	type outer struct {
		metav1.ObjectMeta
		List []inner
		Nil  *inner
	}
	at := time.Date(2026, 11, 21, 20, 0, 0, 700, time.UTC)
	o := &outer{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(at)},
		List:       []inner{{At: &metav1.MicroTime{Time: at}}},
	}
	shiftTimes(reflect.ValueOf(o), time.Hour)
	want := at.Truncate(time.Second).Add(time.Hour)
	require.Equal(t, want, o.CreationTimestamp.Time)
	require.Equal(t, want, o.List[0].At.Time)
	require.True(t, o.List[0].Unset.IsZero(), "a time that is not set stays so")
}
