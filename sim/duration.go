package sim

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that is written as Go writes it: "1.5s".
type Duration time.Duration

// D is d as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A negative duration is
// refused: nothing in a drill runs backwards.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write 500ms, 2s, 1m30s", text)
	}
	if parsed < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	*d = Duration(parsed)
	return nil
}

// Short is d for people: three digits are enough.
func (d Duration) Short() string {
	switch {
	case d.D() >= 10*time.Second:
		return d.D().Round(100 * time.Millisecond).String()
	case d.D() >= time.Second:
		return d.D().Round(10 * time.Millisecond).String()
	}
	return d.D().Round(time.Millisecond).String()
}

// seconds is Short, for templates.
func seconds(d Duration) string { return d.Short() }
