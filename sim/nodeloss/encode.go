package nodeloss

import (
	"encoding/json"
	"time"
)

// MarshalJSON names the unit: seconds.
func (s Span) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Min    float64 `json:"minSeconds"`
		Median float64 `json:"medianSeconds"`
		Max    float64 `json:"maxSeconds"`
	}{inSeconds(s.Min), inSeconds(s.Median), inSeconds(s.Max)})
}

// MarshalJSON names the unit: seconds.
func (f Flapping) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Slack   float64 `json:"slackSeconds"`
		Signals int     `json:"signals"`
	}{inSeconds(f.Slack), f.Signals})
}

// MarshalJSON names the units: seconds, and nodes per second.
func (t Tuning) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name           string  `json:"name"`
		Grace          float64 `json:"graceSeconds"`
		Period         float64 `json:"periodSeconds"`
		LeaseDuration  float64 `json:"leaseDurationSeconds"`
		StatusReport   float64 `json:"statusReportSeconds"`
		EvictionRate   float64 `json:"evictionRate"`
		SecondaryRate  float64 `json:"secondaryRate"`
		LargeZone      int     `json:"largeZone"`
		UnhealthyShare float64 `json:"unhealthyShare"`
		Unreachable    float64 `json:"unreachableSeconds,omitempty"`
	}{
		t.Name, inSeconds(t.Grace), inSeconds(t.Period), inSeconds(t.LeaseDuration), inSeconds(t.StatusReport),
		t.EvictionRate, t.SecondaryRate, t.LargeZone, t.UnhealthyShare, inSeconds(t.Unreachable),
	})
}

// inSeconds keeps milliseconds.
func inSeconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
