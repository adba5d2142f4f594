package oracle

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// question is a request that may be put to any server.
type question struct {
	method, path, accept string
}

func (q question) String() string { return fmt.Sprintf("%s %s as %q", q.method, q.path, q.accept) }
func (q question) watches() bool  { return strings.Contains(q.path, "watch=") }

// answer is what came back: a code, warnings, and a body that is taken apart,
// so that JSON, YAML and protobuf can be compared.
type answer struct {
	code        int
	contentType string
	warnings    []string
	body        any
}

// ask puts a question; again, where a server is not ready to answer for a kind
// yet, as a kube-apiserver is soon after its start.
func (p peer) ask(ctx context.Context, q question) (answer, error) {
	for {
		a, err := p.askOnce(ctx, q)
		if err != nil || a.code != http.StatusTooManyRequests {
			return a, err
		}
		select {
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (p peer) askOnce(ctx context.Context, q question) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, p.url+q.path, nil)
	if err != nil {
		return answer{}, err
	}
	if q.accept != "" {
		r.Header.Set("Accept", q.accept)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{code: resp.StatusCode, contentType: resp.Header.Get("Content-Type"), warnings: resp.Header.Values("Warning")}
	a.body, err = takeApart(a.contentType, data)
	return a, err
}

// takeApart reads a body by its content type; a stream of JSON is a list.
func takeApart(contentType string, data []byte) (any, error) {
	switch media, _, _ := strings.Cut(contentType, ";"); {
	case len(data) == 0:
		return nil, nil
	case media == "application/yaml":
		var v any
		return v, yaml.Unmarshal(data, &v)
	case media == "application/vnd.kubernetes.protobuf":
		return fromProtobuf(data)
	case media != "application/json":
		return string(data), nil
	}
	var all []any
	for decoder := json.NewDecoder(bytes.NewReader(data)); ; {
		var v any
		switch err := decoder.Decode(&v); {
		case errors.Is(err, io.EOF) && len(all) == 1:
			return all[0], nil
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, v)
	}
}

// fromProtobuf decodes with client-go's types; what it has none for stays as
// it is.
func fromProtobuf(data []byte) (any, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), metav1.AddMetaToScheme(scheme)); err != nil {
		return nil, err
	}
	obj, kind, err := serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return string(data), nil //nolint:nilerr // of two kinds that client-go does not know
	}
	obj.GetObjectKind().SetGroupVersionKind(*kind)
	text, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var v any
	return v, json.Unmarshal(text, &v)
}

var (
	duration = regexp.MustCompile(`\b(\d+[ydhms]){1,2}\b`)
	current  = regexp.MustCompile(`current: \d+`)
)

// settle takes out what hangs on the moment at which a server is asked: ages in
// tables; its newest revision, which goes on growing; the renewals of its own
// Lease.
func (tw twins) settle(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if cells, ok := v["cells"].([]any); ok {
			for i, cell := range cells {
				if text, ok := cell.(string); ok {
					cells[i] = duration.ReplaceAllString(text, "AGE")
				}
			}
		}
		if message, ok := v["message"].(string); ok {
			v["message"] = current.ReplaceAllString(message, "current: NOW")
		}
		if meta, ok := v["metadata"].(map[string]any); ok {
			tw.settleMetadata(meta)
			if name, _ := meta["name"].(string); meta["namespace"] == "kube-system" && (strings.HasPrefix(name, "apiserver-") || name == "leader-election-controller") {
				delete(meta, "managedFields")
				delete(v, "spec")
				meta["resourceVersion"] = "NOW"
			}
		}
		for key := range v {
			v[key] = tw.settle(v[key])
		}
	case []any:
		for i := range v {
			v[i] = tw.settle(v[i])
		}
	}
	return v
}

func (tw twins) settleMetadata(meta map[string]any) {
	if version, err := strconv.ParseInt(fmt.Sprint(meta["resourceVersion"]), 10, 64); err == nil && version >= tw.revision {
		meta["resourceVersion"] = "NOW"
	}
	token, _ := meta["continue"].(string)
	if token == "" {
		return
	}
	var content map[string]any
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(data, &content) != nil {
		return
	}
	if version, ok := content["rv"].(float64); ok && int64(version) >= tw.revision {
		content["rv"] = "NOW"
	}
	if start, ok := content["start"].(string); ok {
		content["start"] = strings.TrimPrefix(start, "/") // which the cache writes and etcd's storage does not; both read both
	}
	meta["continue"] = content
}

// settleEvents puts what a watch tells of the state in order, which has none,
// and leaves out bookmarks but the one that ends it: they come by the clock.
func settleEvents(v any) any {
	events, ok := v.([]any)
	if !ok {
		events = []any{v}
	}
	kept := slices.DeleteFunc(events, func(v any) bool {
		event, _ := v.(map[string]any)
		return v == nil || event["type"] == "BOOKMARK" && !strings.Contains(fmt.Sprint(event), "initial-events-end")
	})
	added := slices.IndexFunc(kept, func(v any) bool { event, _ := v.(map[string]any); return event["type"] != "ADDED" })
	if added < 0 {
		added = len(kept)
	}
	slices.SortFunc(kept[:added], func(a, b any) int { return strings.Compare(eventKey(a), eventKey(b)) })
	for i, v := range kept { // with the first event only, whichever that was
		if object, ok := v.(map[string]any)["object"].(map[string]any); ok && object["kind"] == "Table" {
			object["columnDefinitions"] = nil
			kept[i] = v
		}
	}
	return kept
}

func eventKey(v any) string {
	event, _ := v.(map[string]any)
	object, _ := event["object"].(map[string]any)
	if rows, ok := object["rows"].([]any); ok && len(rows) == 1 {
		row, _ := rows[0].(map[string]any)
		return fmt.Sprint(row["cells"])
	}
	meta, _ := object["metadata"].(map[string]any)
	return fmt.Sprint(meta["namespace"], "/", meta["name"])
}

// compare says in what two answers differ, in a few lines; nothing if in
// nothing.
func (tw twins) compare(q question, ours, theirs answer) []string {
	var lines []string
	if ours.code != theirs.code {
		lines = append(lines, fmt.Sprintf("code: ours %d, theirs %d", ours.code, theirs.code))
	}
	if ours.contentType != theirs.contentType && q.method != http.MethodHead {
		lines = append(lines, fmt.Sprintf("content type: ours %q, theirs %q", ours.contentType, theirs.contentType))
	}
	if !slices.Equal(ours.warnings, theirs.warnings) {
		lines = append(lines, fmt.Sprintf("warnings: ours %q, theirs %q", ours.warnings, theirs.warnings))
	}
	a, b := tw.settle(ours.body), tw.settle(theirs.body)
	if q.watches() && ours.code == http.StatusOK && theirs.code == http.StatusOK {
		a, b = settleEvents(a), settleEvents(b)
	}
	return diff(lines, "", a, b)
}

const mostLines = 12

// diff adds a line for each place where ours and theirs differ.
func diff(lines []string, path string, ours, theirs any) []string {
	if len(lines) >= mostLines {
		return lines
	}
	switch a := ours.(type) {
	case map[string]any:
		if b, ok := theirs.(map[string]any); ok {
			both := maps.Clone(a)
			maps.Copy(both, b)
			for _, key := range slices.Sorted(maps.Keys(both)) {
				lines = diff(lines, path+"."+key, a[key], b[key])
			}
			return lines
		}
	case []any:
		if b, ok := theirs.([]any); ok && len(a) == len(b) {
			for i := range a {
				lines = diff(lines, fmt.Sprintf("%s[%d]", path, i), a[i], b[i])
			}
			return lines
		} else if ok {
			return append(lines, fmt.Sprintf("%s: ours has %d, theirs %d: %.300s · %.300s", path, len(a), len(b), text(a), text(b)))
		}
	}
	if text(ours) != text(theirs) {
		lines = append(lines, fmt.Sprintf("%s: ours %.300s, theirs %.300s", path, text(ours), text(theirs)))
	}
	return lines
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
