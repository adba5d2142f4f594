package oracle

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// difference is one in which ours answers otherwise than a kube-apiserver, on
// purpose or because it cannot be told from a database.
type difference struct {
	reason string
	fits   func(q question, ours, theirs answer) bool
}

// differences are all that there are. One that no question meets any more has
// to go.
func (tw twins) differences() []difference {
	return []difference{
		{"componentstatuses are asked of programs that run, and nothing of them is stored", func(q question, ours, _ answer) bool {
			return strings.HasPrefix(q.path, "/api/v1/componentstatuses") && ours.code == http.StatusNotFound
		}},
		{"a resource version that is none is the client's fault: 400; a get is answered with 500 there", func(_ question, ours, theirs answer) bool {
			return ours.code == http.StatusBadRequest && theirs.code == http.StatusInternalServerError && strings.Contains(message(theirs), "strconv.ParseUint")
		}},
		{"of a resource version that is too new, a server says that it should be asked again in a second; a backup will not get there", func(_ question, ours, theirs answer) bool {
			return ours.code == theirs.code && message(ours) == message(theirs) && strings.Contains(message(ours), "Too large resource version")
		}},
		{"a refusal names a type of the server's code", func(_ question, ours, theirs answer) bool {
			cut, _, ok := strings.Cut(message(theirs), " (*")
			return ok && ours.code == http.StatusNotAcceptable && ours.code == theirs.code && message(ours) == cut
		}},
		{"Go writes a list with nothing in it as null or as [], and its clients read both; here it is always []", func(q question, ours, theirs answer) bool {
			return len(diff(nil, "", withoutEmpty(ours.body), withoutEmpty(theirs.body))) == 0
		}},
		{"a bookmark in a Table has a row without cells: clients take its resource version alone", func(q question, ours, theirs answer) bool {
			return q.watches() && len(diff(nil, "", withoutBookmarkCells(ours.body), withoutBookmarkCells(theirs.body))) == 0
		}},
		{"discovery says that all can be read and nothing written, has every version of the linked Kubernetes, and no hash of what is stored", func(q question, ours, theirs answer) bool {
			return isDiscovery(q.path) && ours.code == theirs.code && len(diff(nil, "", common(ours.body, theirs.body), common(theirs.body, ours.body))) == 0
		}},
		{"the paths of a server lead to its inside, too: health of its parts, metrics, logs", func(q question, ours, theirs answer) bool {
			return q.path == "/" && ours.code == theirs.code
		}},
	}
}

func message(a answer) string {
	status, _ := a.body.(map[string]any)
	text, _ := status["message"].(string)
	return text
}

// withoutEmpty leaves out items and rows where there are none.
func withoutEmpty(v any) any {
	list, ok := v.(map[string]any)
	if !ok {
		return v
	}
	list = maps.Clone(list)
	for _, name := range []string{"items", "rows"} {
		if items, ok := list[name].([]any); list[name] == nil || ok && len(items) == 0 {
			delete(list, name)
		}
	}
	return list
}

func withoutBookmarkCells(v any) any {
	events, _ := settleEvents(v).([]any)
	for _, event := range events {
		if e, _ := event.(map[string]any); e["type"] == "BOOKMARK" {
			rows, _ := e["object"].(map[string]any)["rows"].([]any)
			for _, row := range rows {
				delete(row.(map[string]any), "cells")
			}
		}
	}
	return events
}

func isDiscovery(path string) bool {
	path = strings.Trim(path, "/")
	return path == "api" || path == "apis" || strings.HasPrefix(path, "api/") && strings.Count(path, "/") == 1 || strings.HasPrefix(path, "apis/") && strings.Count(path, "/") <= 2
}

// common is what is compared of discovery: of groups, versions and resources
// those that the other has, without verbs and hashes.
func common(v, other any) any {
	switch v := v.(type) {
	case map[string]any:
		o, _ := other.(map[string]any)
		kept := map[string]any{}
		for key, value := range v {
			if key != "verbs" && key != "storageVersionHash" && key != "serverAddressByClientCIDRs" {
				kept[key] = common(value, o[key])
			}
		}
		return kept
	case []any:
		others := map[string]any{}
		list, _ := other.([]any)
		for _, o := range list {
			others[nameOf(o)] = o
		}
		var kept []any
		for _, item := range v {
			if o, ok := others[nameOf(item)]; ok {
				kept = append(kept, common(item, o))
			}
		}
		return kept
	}
	return v
}

// nameOf is what an entry of discovery is called by.
func nameOf(v any) string {
	entry, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprint(v)
	}
	return fmt.Sprint(entry["name"], entry["groupVersion"], entry["version"], entry["resource"], entry["metadata"])
}

const (
	questions = 500
	seed      = 20261121
)

// TestServesAsKubeAPIServer puts the same questions to `lifeboat serve` and to a
// kube-apiserver over the same data: each kind in each version, whole and in
// pages, and generated questions of all sorts. The answers are the same, or
// differ for a reason in the list.
func TestServesAsKubeAPIServer(t *testing.T) {
	tw := startTwins(t)
	known := tw.look(t)
	asker := &asker{rand.New(rand.NewPCG(seed, 0)), known}
	all := tw.certain()
	for _, k := range known.kinds {
		all = append(all, question{http.MethodGet, k.list(""), "application/json"})
	}
	count := questions
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 0 {
		count *= factor
	}
	for range count {
		all = append(all, asker.question())
	}
	report := tw.putAll(t, all)
	t.Logf("%d of %d questions have the same answer", report.same, len(all))
	for i, d := range tw.differences() {
		t.Logf("%d: %s", report.met[i], d.reason)
		assert.Positive(t, report.met[i], "no question meets this difference any more: %s", d.reason)
	}
	for _, k := range known.filled {
		for _, limit := range []int{1, 5} {
			ours, err := tw.ours.pages(t.Context(), k.list(""), limit)
			require.NoError(t, err)
			theirs, err := tw.theirs.pages(t.Context(), k.list(""), limit)
			require.NoError(t, err)
			require.Equal(t, theirs, ours, "%s in pages of %d", k.list(""), limit)
		}
	}
}

// report is what came of all questions.
type report struct {
	mu   sync.Mutex
	same int
	met  map[int]int // by difference
}

// putAll asks eight questions at a time.
func (tw twins) putAll(t *testing.T, all []question) *report {
	t.Helper()
	r := &report{met: map[int]int{}}
	places := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for _, q := range all {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if lines := tw.put(t.Context(), q, r); len(lines) > 0 {
				t.Errorf("%s\n\t%s", q, strings.Join(lines, "\n\t"))
			}
		})
	}
	wg.Wait()
	return r
}

// put returns how the answers differ, if not for a reason in the list.
func (tw twins) put(ctx context.Context, q question, r *report) []string {
	theirs, err := tw.theirs.ask(ctx, q)
	if err != nil {
		return []string{fmt.Sprint("theirs: ", err)}
	}
	ours, err := tw.ours.ask(ctx, q)
	if err != nil {
		return []string{fmt.Sprint("ours: ", err)}
	}
	lines := tw.compare(q, ours, theirs)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(lines) == 0 {
		r.same++
		return nil
	}
	for i, d := range tw.differences() {
		if d.fits(q, ours, theirs) {
			r.met[i]++
			return nil
		}
	}
	return lines
}
