package lifeboat_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// An archive is a line, and what is held of a cluster another one; each further gap
// has a line of its own.
func TestWriteCatalog(t *testing.T) {
	t.Parallel()
	night := func(n int) time.Time { return time.Date(2026, 11, n, 2, 0, 0, 0, time.UTC) }
	var list []lifeboat.Listing
	for _, n := range []int{1, 2, 3, 4, 7, 8, 11, 12} {
		list = append(list, lifeboat.Listing{Entry: place.Entry{Name: night(n).Format(time.DateOnly), Size: 3 << 20}, Cluster: "uid", Revision: int64(1000 + n), Time: night(n), Told: lifeboat.ToldBySignature})
	}
	list[0].Proof = &lifeboat.ProofRecord{Proven: night(20)}
	list[1].Signer, list[1].Recipients, list[1].Kubernetes, list[1].Etcd = "SIGNER", []string{"a", "b"}, "v1.34.1", "3.6.5"
	list = append(list, lifeboat.Listing{Entry: place.Entry{Name: "z", Size: 7}, Problem: "it is none"})
	shown := func(wide bool) string {
		var page bytes.Buffer
		require.NoError(t, lifeboat.WriteCatalog(&page, list, wide))
		return page.String()
	}
	narrow := shown(false)
	for _, line := range []string{
		`CLUSTER +TIME +REVISION +SIZE +PROVEN +TOLD BY +NAME`,
		`uid +2026-11-01T02:00:00Z +1001 +3.0 MiB +FAILED 2026-11-20 +signature +2026-11-01`,
		`uid +2026-11-02T02:00:00Z +1002 +3.0 MiB +- +signature +2026-11-02`,
		`- +- +- +7 B +- +- +z`,
		`CLUSTER +ARCHIVES +OLDEST +NEWEST +EVERY +GAPS`,
		`uid +8 +2026-11-01T02:00:00Z +2026-11-12T02:00:00Z +24h +2026-11-04T02:00:00Z to 2026-11-07T02:00:00Z: 2 missing`,
		`\s+2026-11-08T02:00:00Z to 2026-11-11T02:00:00Z: 2 missing`,
	} {
		require.Regexp(t, "(?m)^"+line+"$", narrow)
	}
	require.Equal(t, 2, strings.Count(narrow, " missing\n"))
	require.Regexp(t, `2026-11-02 +v1.34.1 +3.6.5 +SIGNER +a,b\n`, shown(true))
	list = list[8:]
	require.NotContains(t, shown(false), "GAPS", "nobody tells of which cluster it is")
}
