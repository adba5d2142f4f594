package lifeboat_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
)

// Nothing looked at is "not checked", never "good".
func TestCheckNeedsCount(t *testing.T) {
	t.Parallel()
	require.Equal(t, lifeboat.StateNotChecked, lifeboat.Check{}.State())
	require.Equal(t, lifeboat.StateNotChecked, lifeboat.Good("records", 0, "records", "fine").State())
	require.Equal(t, lifeboat.StateNotChecked, lifeboat.Good("records", -1, "records", "fine").State())
	require.Equal(t, lifeboat.StateGood, lifeboat.Good("records", 1, "records", "fine").State())

	var read lifeboat.Check
	require.NoError(t, json.Unmarshal([]byte(`{"name":"records","state":"good","detail":"fine"}`), &read))
	require.Equal(t, lifeboat.StateNotChecked, read.State())
	require.Error(t, json.Unmarshal([]byte(`{"name":"records","state":"fine"}`), &read))
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	checks := []lifeboat.Check{
		lifeboat.Good("records", 3, "records", "to revision %d", 7),
		lifeboat.Note("files", "one"), lifeboat.NotChecked("age", "two"), lifeboat.Mismatch("CA", "three"), lifeboat.Bad("tar", "four"),
	}
	text, err := json.Marshal(checks)
	require.NoError(t, err)
	require.JSONEq(t, `[{"name":"records","state":"good","looked":3,"of":"records","detail":"to revision 7"},
		{"name":"files","state":"note","detail":"one"},{"name":"age","state":"not checked","detail":"two"},
		{"name":"CA","state":"MISMATCH","detail":"three"},{"name":"tar","state":"BAD","detail":"four"}]`, string(text))
	var again []lifeboat.Check
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, checks, again)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	good, note, not := lifeboat.Good("a", 1, "bytes", ""), lifeboat.Note("b", ""), lifeboat.NotChecked("c", "")
	mismatch, bad := lifeboat.Mismatch("d", ""), lifeboat.Bad("e", "")
	require.NoError(t, lifeboat.Verdict([]lifeboat.Check{good, note, not}))
	require.True(t, lifeboat.Sound([]lifeboat.Check{good, note, not}))
	for class, checks := range map[lifeboat.Class][]lifeboat.Check{
		lifeboat.Incomplete: {good, mismatch, note},
		lifeboat.Damaged:    {bad, mismatch, good}, // damage is worse
	} {
		e := (*lifeboat.Error)(nil)
		require.ErrorAs(t, lifeboat.Verdict(checks), &e)
		require.Equal(t, class, e.Class)
		require.False(t, lifeboat.Sound(checks))
	}
}
