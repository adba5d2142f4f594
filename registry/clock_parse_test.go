package registry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("CET", 3600)
	newest := time.Date(2026, 11, 21, 19, 50, 30, 0, time.UTC) // 20:50:30 there
	for text, want := range map[string]string{
		"2026-11-21T20:50:00Z":      "2026-11-21T20:50:00Z",
		"2026-11-21T20:50:00+01:00": "2026-11-21T19:50:00Z",
		"2026-11-21 20:50":          "2026-11-21T19:50:00Z",
		"2026-11-21 20:50:12":       "2026-11-21T19:50:12Z",
		"20:50":                     "2026-11-21T19:50:00Z",
		"20:51":                     "2026-11-20T19:51:00Z",
		"20:50:30":                  "2026-11-21T19:50:30Z",
		"10m ago":                   "2026-11-21T19:40:30Z",
		"1h30m ago":                 "2026-11-21T18:20:30Z",
		"2d ago":                    "2026-11-19T19:50:30Z",
	} {
		got, err := ParseMoment(text, newest, zone)
		require.NoError(t, err, text)
		require.Equal(t, want, got.UTC().Format(time.RFC3339), text)
	}
	for _, text := range []string{"", "yesterday", "-10m", "10m", "25:00", "-1h ago", "ago", "2026-13-01 10:00"} {
		_, err := ParseMoment(text, newest, zone)
		require.Error(t, err, text)
	}
}
