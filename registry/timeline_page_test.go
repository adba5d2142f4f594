package registry

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func pageOf(t *testing.T, want func(Key) bool, opts PageOptions) string {
	t.Helper()
	r := harbour(t, Options{})
	clock, err := r.Clock(t.Context())
	require.NoError(t, err)
	timeline, err := r.History(t.Context(), clock, want)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, timeline.WritePage(t.Context(), &out, opts))
	return out.String()
}

// The page for the review: every step is there once, with its lane's mark; it
// asks nobody for anything and runs nothing.
func TestTimelinePage(t *testing.T) {
	t.Parallel()
	of := func(k Key) bool { return k.Namespace == "infra-production" && k.Plural != "events" }
	opts := PageOptions{Title: `<script>alert("title")</script>`}
	page := pageOf(t, of, opts)
	require.Equal(t, page, pageOf(t, of, opts), "the same every time")
	require.NotRegexp(t, `(?i)<script|https?://|src=|@import|url\(|<link|<img|javascript:`, page)
	require.Contains(t, page, "&lt;script&gt;")
	rows := regexp.MustCompile(`<tr id="(c\d+)">`).FindAllStringSubmatch(page, -1)
	require.Greater(t, len(rows), 50)
	for _, row := range rows {
		require.Equal(t, 1, strings.Count(page, `href="#`+row[1]+`"`), row[1])
	}
	require.Contains(t, page, "spec.replicas: 3 -&gt; 4")
	require.Contains(t, page, `title="re-created at revision 1213`)
	require.NotContains(t, page, "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==", "a Secret's value")
	require.NotContains(t, page, "ZgotmplZ", "a value that the template took for dangerous")
}

func TestTimelinePageShowsWhatIsUnknown(t *testing.T) {
	t.Parallel()
	flip := func(k Key) bool { return k.Name == "flip" }
	page := pageOf(t, flip, PageOptions{Title: "flip", Windows: []snapshot.Window{{First: 1215, Last: 1485}, {First: 1, Last: 1211}}})
	require.Contains(t, page, "revisions 1212 to 1215 are in no backup")
	require.Contains(t, page, `class="hole"`)
	empty := pageOf(t, func(Key) bool { return false }, PageOptions{Title: "nothing"})
	require.Contains(t, empty, "0 changes of 0 objects")
}
