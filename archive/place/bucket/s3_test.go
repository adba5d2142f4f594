package bucket_test

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/place/bucket"
)

// faulty is a store in memory with the faults that stores have. What a store does
// that has none is tested against a real one, in testdata/buckets.
type faulty struct {
	mu      sync.Mutex
	objects map[string]stored
	uploads map[string]map[int][]byte
	meta    map[string]http.Header // of uploads
	heard   []string               // requests
	sorted  []string               // keys, as they were when last listed
	forget  bool                   // locks are taken and forgotten

	fault func(r *http.Request) fault
}

type stored struct {
	data []byte
	etag string
	meta http.Header
}

// fault is what goes wrong with one request.
type fault struct {
	status    int      // answered instead
	cut       int      // bytes of the answer's body, 0 for all
	overwrite bool     // the condition is ignored
	lose      bool     // a part is taken and forgotten
	halve     bool     // half of what comes is kept
	lie       []string // keys on top of a listing
	folders   []string // folders, as well
	longer    int      // by which sizes are too large in a listing
	endless   bool     // a listing has always one page more
	code      string   // of the error that is answered
}

func newFaulty(t *testing.T, do func(r *http.Request) fault) (*faulty, *bucket.Bucket) {
	t.Helper()
	f := &faulty{objects: map[string]stored{}, uploads: map[string]map[int][]byte{}, meta: map[string]http.Header{}, fault: do}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	b, err := bucket.Config{Endpoint: server.URL, Region: "us-east-1", AccessKey: "user", SecretKey: "hunter2hunter2"}.Open("s3://backups/prod")
	require.NoError(t, err)
	b.SetPartSize(1 << 20)
	return f, b
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, r.Method+" "+r.URL.String())
	var wrong fault
	if f.fault != nil {
		wrong = f.fault(r)
	}
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/backups"), "/")
	switch {
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Content-Sha256") != fmt.Sprintf("%x", sha256.Sum256(body)):
		answer(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	case wrong.status != 0:
		answer(w, wrong.status, cmp.Or(wrong.code, map[int]string{http.StatusForbidden: "AccessDenied", http.StatusServiceUnavailable: "SlowDown"}[wrong.status]))
	case r.Method == http.MethodGet && key == "":
		f.list(w, r, wrong)
	case r.Method == http.MethodGet && r.URL.Query().Has("uploadId"):
		f.listParts(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		f.get(w, r, key, wrong)
	case r.Method == http.MethodPost:
		f.multipart(w, r, key, body, wrong)
	case r.Method == http.MethodPut && r.URL.Query().Has("uploadId"):
		f.part(w, r, body, wrong)
	case r.Method == http.MethodPut:
		f.put(w, r, key, body, r.Header, wrong)
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	}
}

func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>Content-MD5 is required, as the test wants it</Message></Error>", code)
}

func (f *faulty) put(w http.ResponseWriter, r *http.Request, key string, data []byte, meta http.Header, wrong fault) {
	if _, ok := f.objects[key]; ok && r.Header.Get("If-None-Match") == "*" && !wrong.overwrite {
		answer(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	sum := md5.Sum(data)
	if wrong.halve {
		data = data[:len(data)/2]
	}
	f.objects[key] = stored{data, hex.EncodeToString(sum[:]), meta.Clone()}
	w.Header().Set("ETag", `"`+f.objects[key].etag+`"`)
}

func (f *faulty) get(w http.ResponseWriter, r *http.Request, key string, wrong fault) {
	o, ok := f.objects[key]
	switch {
	case !ok:
		answer(w, http.StatusNotFound, "NoSuchKey")
		return
	case r.Header.Get("If-Match") != "" && strings.Trim(r.Header.Get("If-Match"), `"`) != o.etag:
		answer(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	w.Header().Set("ETag", `"`+o.etag+`"`)
	w.Header().Set("Last-Modified", time.Unix(1_800_000_000, 0).UTC().Format(http.TimeFormat))
	for name, values := range o.meta {
		if strings.HasPrefix(name, "X-Amz-Meta-") || strings.HasPrefix(name, "X-Amz-Object-Lock-") && !f.forget {
			w.Header()[name] = values
		}
	}
	from, to := 0, len(o.data)
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil {
		to = min(to+1, len(o.data))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(o.data)))
		w.Header().Set("Content-Length", strconv.Itoa(to-from))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
	}
	if r.Method == http.MethodHead {
		return
	}
	data := o.data[from:to]
	if wrong.cut > 0 && wrong.cut < len(data) {
		_, _ = w.Write(data[:wrong.cut])
		_ = http.NewResponseController(w).Flush() // what was sent before it broke off arrives
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(data)
}

// list answers a page. Lies come on top, whatever was asked for.
func (f *faulty) list(w http.ResponseWriter, r *http.Request, wrong fault) {
	type entry struct {
		Key, ETag, LastModified string
		Size                    int
	}
	type folder struct{ Prefix string }
	var result struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name                  string
		Contents              []entry
		CommonPrefixes        []folder
		IsTruncated           bool
		NextContinuationToken string
	}
	asked := r.URL.Query()
	most := 1000
	if n, err := strconv.Atoi(asked.Get("max-keys")); err == nil {
		most = n
	}
	if len(f.sorted) != len(f.objects) {
		f.sorted = slices.Sorted(maps.Keys(f.objects))
	}
	keys, last := f.sorted, ""
	start, _ := slices.BinarySearch(keys, asked.Get("continuation-token"))
	for _, key := range keys[start:] {
		rest, ok := strings.CutPrefix(key, asked.Get("prefix"))
		if !ok {
			continue
		}
		if len(result.Contents)+len(result.CommonPrefixes) == most {
			result.IsTruncated, result.NextContinuationToken = true, key
			break
		}
		if below, _, nested := strings.Cut(rest, "/"); nested && asked.Get("delimiter") == "/" {
			if below != last {
				result.CommonPrefixes = append(result.CommonPrefixes, folder{asked.Get("prefix") + below + "/"})
			}
			last = below
			continue
		}
		o := f.objects[key]
		result.Contents = append(result.Contents, entry{key, `"` + o.etag + `"`, "2026-11-28T00:00:00.000Z", len(o.data) + wrong.longer})
	}
	for _, key := range wrong.lie {
		result.Contents = append(result.Contents, entry{key, `"e"`, "2026-11-28T00:00:00.000Z", 1})
	}
	for _, key := range wrong.folders {
		result.CommonPrefixes = append(result.CommonPrefixes, folder{key})
	}
	if wrong.endless {
		result.IsTruncated, result.NextContinuationToken = true, "again"
	}
	_ = xml.NewEncoder(w).Encode(result)
}

func (f *faulty) listParts(w http.ResponseWriter, r *http.Request) {
	parts, ok := f.uploads[r.URL.Query().Get("uploadId")]
	if !ok {
		answer(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	fmt.Fprint(w, "<ListPartsResult>")
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><ETag>%x</ETag><Size>%d</Size></Part>", n, md5.Sum(parts[n]), len(parts[n]))
	}
	fmt.Fprint(w, "</ListPartsResult>")
}

func (f *faulty) part(w http.ResponseWriter, r *http.Request, body []byte, wrong fault) {
	parts, ok := f.uploads[r.URL.Query().Get("uploadId")]
	n, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
	if !ok || err != nil {
		answer(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	if !wrong.lose {
		parts[n] = body
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
}

func (f *faulty) multipart(w http.ResponseWriter, r *http.Request, key string, body []byte, wrong fault) {
	if r.URL.Query().Has("uploads") {
		id := fmt.Sprint("upload-", len(f.uploads))
		f.uploads[id], f.meta[id] = map[int][]byte{}, r.Header
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
		return
	}
	id := r.URL.Query().Get("uploadId")
	var asked struct {
		Part []struct{ PartNumber int }
	}
	if err := xml.Unmarshal(body, &asked); err != nil || f.uploads[id] == nil {
		answer(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	var data, sums bytes.Buffer
	for _, p := range asked.Part {
		part := f.uploads[id][p.PartNumber]
		data.Write(part)
		sum := md5.Sum(part)
		sums.Write(sum[:])
	}
	f.put(w, r, key, data.Bytes(), f.meta[id], wrong)
	if o, ok := f.objects[key]; ok && w.Header().Get("ETag") != "" {
		o.etag = fmt.Sprintf("%x-%d", md5.Sum(sums.Bytes()), len(asked.Part))
		f.objects[key] = o
		delete(f.uploads, id)
		fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>backups</Bucket><Key>k</Key><ETag>"%s"</ETag></CompleteMultipartUploadResult>`, o.etag)
	}
}
