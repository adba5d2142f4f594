package registry

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseMoment reads a time as a person types it: RFC 3339; "2026-11-21 20:50",
// with or without seconds, and "20:50", its last occurrence before newest, both
// of the zone; "10m ago", before newest, in hours, minutes, seconds or days.
func ParseMoment(text string, newest time.Time, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return lastOccurrence(t, newest.In(zone)), nil
		}
	}
	if ago, ok := strings.CutSuffix(text, "ago"); ok {
		if d, err := parseAgo(strings.TrimSpace(ago)); err == nil && d >= 0 {
			return newest.Add(-d), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-11-21T20:50:00Z, \"2026-11-21 20:50\", 20:50 or \"10m ago\"", text)
}

// lastOccurrence is the newest moment of that time of day that is not after
// newest.
func lastOccurrence(clock, newest time.Time) time.Time {
	at := func(day int) time.Time {
		return time.Date(newest.Year(), newest.Month(), day, clock.Hour(), clock.Minute(), clock.Second(), 0, newest.Location())
	}
	if today := at(newest.Day()); !today.After(newest) {
		return today
	}
	return at(newest.Day() - 1)
}

// parseAgo is time.ParseDuration, with days.
func parseAgo(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}
