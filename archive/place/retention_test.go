package place_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// archives of one cluster, oldest first.
func archives(times ...string) []place.Facts {
	var list []place.Facts
	for i, text := range times {
		list = append(list, place.Facts{Entry: place.Entry{Name: text}, Cluster: "c", Revision: int64(i + 1), Time: at(text)})
	}
	return list
}

func kept(decisions []place.Decision) map[string][]string {
	m := map[string][]string{}
	for _, d := range decisions {
		if d.Keep() {
			m[d.Name] = d.Reasons
		}
	}
	return m
}

// restic's documentation: --keep-daily 4 with archives made on all days but
// Fridays keeps the last four days that have one (doc/060_forget.rst).
func TestRetentionAsRestic(t *testing.T) {
	t.Parallel()
	list := archives("2016-12-26 08:00", "2016-12-27 08:00", "2016-12-28 08:00", "2016-12-29 08:00", "2016-12-31 08:00", "2017-01-01 08:00", "2017-01-02 08:00")
	got := slices.Sorted(maps.Keys(kept(place.Policy{Daily: 4}.Apply(list))))
	require.Equal(t, []string{"2016-12-29 08:00", "2016-12-31 08:00", "2017-01-01 08:00", "2017-01-02 08:00"}, got)

	// More days asked for than there are: all stay, the oldest one among them.
	require.Len(t, kept(place.Policy{Daily: 40}.Apply(list)), 7)

	// The newest of a day stands for it, and the oldest of all stays while the
	// count is not used up.
	two := archives("2017-01-01 01:00", "2017-01-01 08:00", "2017-01-02 08:00")
	require.Equal(t, map[string][]string{
		"2017-01-02 08:00": {"newest of its cluster", "daily"}, "2017-01-01 08:00": {"daily"}, "2017-01-01 01:00": {"oldest daily"},
	}, kept(place.Policy{Daily: 3}.Apply(two)))
	require.NotContains(t, kept(place.Policy{Daily: 2}.Apply(two)), "2017-01-01 01:00")
}

// Weeks are ISO's: the last days of December may be of the first week of the next
// year, and are one week with its first days.
func TestWeeksOfTwoYears(t *testing.T) {
	t.Parallel()
	list := archives("2024-12-29 08:00", "2024-12-30 08:00", "2025-01-02 08:00")
	got := slices.Sorted(maps.Keys(kept(place.Policy{Weekly: 2}.Apply(list))))
	require.Equal(t, []string{"2024-12-29 08:00", "2025-01-02 08:00"}, got)
}

func TestWithin(t *testing.T) {
	t.Parallel()
	list := archives("2026-01-31 02:00", "2026-02-15 02:00", "2026-03-01 02:00", "2026-03-02 02:00")
	within, err := place.ParseDuration("15d")
	require.NoError(t, err)
	require.Equal(t, []string{"2026-03-01 02:00", "2026-03-02 02:00"}, slices.Sorted(maps.Keys(kept(place.Policy{Within: within}.Apply(list)))), "of the newest archive, not of today")
}

// What no policy overrules.
func TestAlwaysKept(t *testing.T) {
	t.Parallel()
	list := archives("2026-01-01 02:00", "2026-01-02 02:00", "2026-01-03 02:00", "2026-01-04 02:00")
	list[0].Locked = "locked until 2027-01-01"
	list[1].Proven = at("2026-01-05 00:00")
	list[2].Proven = at("2026-01-03 03:00") // earlier, though the archive is newer
	list = append(list, place.Facts{Entry: place.Entry{Name: "whose"}, Revision: 9, Time: at("2026-01-01 03:00")})
	got := kept(place.Policy{Last: 1}.Apply(list))
	require.Equal(t, map[string][]string{
		"2026-01-01 02:00": {"locked until 2027-01-01"},
		"2026-01-02 02:00": {"last one proven"},
		"2026-01-04 02:00": {"newest of its cluster", "last"},
		"whose":            {"its cluster is not proven", "last"},
	}, got)
}

// A clock that somebody chose does not push out what is newer by revision.
func TestTimesDoNotDecideTheOrder(t *testing.T) {
	t.Parallel()
	list := archives("2026-01-01 02:00", "2026-01-02 02:00")
	list[0].Time = at("2099-01-01 00:00") // an old archive that claims to be new
	got := kept(place.Policy{Last: 1}.Apply(list))
	require.Contains(t, got, "2026-01-02 02:00")
	require.NotContains(t, got, "2026-01-01 02:00")
}

// Against a slow, obvious twin: for each rule, the set of periods is written
// down, and each period's newest archive looked up.
func TestRetentionAgainstTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := at("2024-02-27 00:00")
		var list []place.Facts
		moment := start
		for i := range rapid.IntRange(1, 60).Draw(t, "archives") {
			moment = moment.Add(time.Duration(rapid.IntRange(1, 60*24*20).Draw(t, "minutes")) * time.Minute)
			list = append(list, place.Facts{Entry: place.Entry{Name: fmt.Sprintf("%02d", i)}, Cluster: "c", Revision: int64(i), Time: moment})
		}
		count := rapid.IntRange(-1, 8)
		p := place.Policy{
			Last: count.Draw(t, "last"), Hourly: count.Draw(t, "hourly"), Daily: count.Draw(t, "daily"),
			Weekly: count.Draw(t, "weekly"), Monthly: count.Draw(t, "monthly"), Yearly: count.Draw(t, "yearly"),
		}
		want := map[string]bool{list[len(list)-1].Name: true}
		for _, rule := range []struct {
			count  int
			period func(place.Facts) string
		}{
			{p.Last, func(a place.Facts) string { return a.Name }},
			{p.Hourly, func(a place.Facts) string { return a.Time.Format("2006010215") }},
			{p.Daily, func(a place.Facts) string { return a.Time.Format("20060102") }},
			{p.Weekly, func(a place.Facts) string { y, w := a.Time.ISOWeek(); return fmt.Sprintf("%d-%d", y, w) }},
			{p.Monthly, func(a place.Facts) string { return a.Time.Format("200601") }},
			{p.Yearly, func(a place.Facts) string { return a.Time.Format("2006") }},
		} {
			var periods []string
			newest := map[string]string{}
			for _, a := range slices.Backward(list) {
				if _, ok := newest[rule.period(a)]; !ok {
					newest[rule.period(a)] = a.Name
					periods = append(periods, rule.period(a))
				}
			}
			if rule.count < 0 || rule.count > len(periods) {
				want[list[0].Name] = true // the oldest, while the count is not used up
			}
			if rule.count >= 0 {
				periods = periods[:min(rule.count, len(periods))]
			}
			for _, period := range periods {
				want[newest[period]] = true
			}
		}
		got := map[string]bool{}
		for name := range kept(p.Apply(list)) {
			got[name] = true
		}
		require.Equal(t, want, got)
	})
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]place.Duration{
		"1y5mo7d2h": {Years: 1, Months: 5, Days: 7, Hours: 2}, "30d": {Days: 30}, "26h": {Hours: 26}, "90min": {Minutes: 90}, "2w": {Days: 14},
		"1y0mo": {Years: 1}, "100000h": {Hours: 100_000},
	} {
		got, err := place.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := place.ParseDuration(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, text := range []string{"", "5m", "1y5m", "d", "-3d", "3", "3d3d", "3 d", "0d", "99999999999999999999d", "100001h", "1s"} {
		_, err := place.ParseDuration(text)
		require.Error(t, err, text)
	}
	_, err := place.ParseDuration("5m")
	require.ErrorContains(t, err, "m is not clear", "months for restic, minutes for everybody else")
	require.Equal(t, at("2026-02-15 00:00"), place.Duration{Months: 1}.Before(at("2026-03-15 00:00")), "a month of the calendar")
	require.Equal(t, at("2026-02-28 23:30"), place.Duration{Hours: 1, Minutes: 30}.Before(at("2026-03-01 01:00")))
}

func TestPolicyIsChecked(t *testing.T) {
	t.Parallel()
	require.Error(t, place.Policy{}.Validate(), "everything would go")
	require.Error(t, place.Policy{Last: -2}.Validate())
	require.NoError(t, place.Policy{Last: 1}.Validate())
	require.NoError(t, place.Policy{Yearly: -1}.Validate(), "all of them")
}
