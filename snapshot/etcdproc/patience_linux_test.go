package etcdproc_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// The tasks of these tests: see TestMain.
func patienceTasks() []etcdproc.Task {
	return []etcdproc.Task{
		{Name: "sleep", Do: func(*etcdproc.Call) (any, error) { time.Sleep(time.Hour); return nil, nil }},
		{Name: "spin", Do: func(*etcdproc.Call) (any, error) {
			for began := time.Now(); time.Since(began) < time.Hour; {
			}
			return nil, nil
		}},
		{Name: "trickle", Do: func(*etcdproc.Call) (any, error) {
			for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(100 * time.Millisecond) {
				os.Stderr.WriteString(".") //nolint:errcheck // that it is written counts
			}
			return true, nil
		}},
		{Name: "work", Do: func(*etcdproc.Call) (any, error) {
			sum := 0
			for began := time.Now(); time.Since(began) < 3*time.Second; {
				sum++
			}
			return sum > 0, nil
		}},
	}
}

// What a child gets done is counted, not the time that passes: one that works
// outlasts an idle limit, one that does nothing or never ends does not.
func TestPatienceCountsProgress(t *testing.T) {
	t.Parallel()
	var answer bool
	require.NoError(t, etcdproc.Patience{Idle: 2 * time.Second, CPU: time.Hour}.Do(t.Context(), "work", struct{}{}, &answer))
	require.True(t, answer)
	require.NoError(t, etcdproc.Patience{Idle: time.Second}.Do(t.Context(), "trickle", struct{}{}, &answer), "it writes, and computes nothing")
	err := etcdproc.Patience{Idle: time.Second}.Do(t.Context(), "sleep", struct{}{}, &answer)
	require.EqualError(t, err, "it has done nothing for 1s")
	err = etcdproc.Patience{CPU: time.Second}.Do(t.Context(), "spin", struct{}{}, &answer)
	require.EqualError(t, err, "no end after 1s of processor time")
	err = etcdproc.Patience{Total: time.Second}.Do(t.Context(), "sleep", struct{}{}, &answer)
	require.EqualError(t, err, "no end after 1s")
}
