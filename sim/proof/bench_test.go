package proof_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
)

// BenchmarkProve proves harbour with the kube-apiserver that the environment
// variable LIFEBOAT_KUBE_APISERVER names: from the archive to the verdict.
func BenchmarkProve(b *testing.B) {
	server := os.Getenv("LIFEBOAT_KUBE_APISERVER")
	if server == "" {
		b.Skip("LIFEBOAT_KUBE_APISERVER names no kube-apiserver")
	}
	for b.Loop() {
		src, err := lifeboat.Open(b.Context(), "../../testdata/harbour/kube-backup.tar.gz", lifeboat.Options{})
		require.NoError(b, err)
		r, err := proof.Run(b.Context(), src, proof.Options{Dir: b.TempDir(), ReissueExpired: true, APIServer: proof.Binary{Path: server}})
		require.NoError(b, err)
		require.Equal(b, proof.Proven, r.Verdict, r.Reason)
		b.ReportMetric(r.Recovery().Seconds(), "s/ready")
		require.NoError(b, src.Close())
	}
}
