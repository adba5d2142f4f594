package lifeboat_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
)

// A proof is read back as it was written, and not for another file.
func TestProofRecord(t *testing.T) {
	t.Parallel()
	archive := filepath.Join(t.TempDir(), "kube-backup.tar.gz")
	require.NoError(t, os.WriteFile(archive, []byte("1234"), 0o600))
	none, err := lifeboat.ReadProof(archive)
	require.NoError(t, err)
	require.Nil(t, none)

	written := lifeboat.ProofRecord{Archive: "abcd", Size: 4, Proven: time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC), Verdict: "proven", Took: 5.5, Server: "Kubernetes v1.37.1"}
	require.NoError(t, lifeboat.ProofRecord{Archive: "older", Size: 4, Verdict: "proven"}.WriteBeside(archive))
	require.NoError(t, written.WriteBeside(archive))
	read, err := lifeboat.ReadProof(archive)
	require.NoError(t, err)
	require.Equal(t, &written, read)

	require.NoError(t, os.WriteFile(archive, []byte("12345"), 0o600))
	_, err = lifeboat.ReadProof(archive)
	require.ErrorContains(t, err, "of a file of 4 bytes")
	require.NoError(t, os.WriteFile(archive+lifeboat.ProofSuffix, []byte("{}"), 0o600))
	_, err = lifeboat.ReadProof(archive)
	require.ErrorContains(t, err, "it is not a proof")
}
