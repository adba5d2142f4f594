package interop

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const harbour = "../harbour/kube-backup.tar.gz"

// bench is a folder with the programs, and harbour's backup taken apart.
type bench struct {
	t   *testing.T
	dir string
	bin string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), bin: t.TempDir()}
	for _, pkg := range []string{"filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen", "github.com/lifeboat-dr/lifeboat/cmd/lifeboat"} {
		build := exec.Command("go", "build", "-o", b.bin+"/", pkg)
		if strings.HasPrefix(pkg, "github.com/lifeboat-dr") {
			build.Dir = "../.." // with the go.sum of lifeboat itself
		}
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	path, err := filepath.Abs(harbour)
	require.NoError(t, err)
	b.sh("tar xzf " + path)
	return b
}

// sh runs a line of shell where the programs are, and gives what it prints.
func (b *bench) sh(line string) string {
	b.t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "PATH="+b.bin+":"+os.Getenv("PATH"), "XDG_STATE_HOME="+b.dir+"/state")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(b.t, err, "%s\n%s", line, stderr.String())
	return string(out)
}

func (b *bench) has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// What lifeboat makes opens with age and tar alone, and the other way round.
func TestPrograms(t *testing.T) {
	b := newBench(t)
	b.sh("age-keygen -o theirs.key; age-keygen -pq -o pq.key; age-keygen -y theirs.key > theirs.pub; age-keygen -y pq.key > pq.pub")
	b.sh("lifeboat key generate --to ours.key; age-keygen -y ours.key > ours.pub; lifeboat key generate --pq --to ourspq.key; age-keygen -y ourspq.key > ourspq.pub")
	require.Equal(t, b.sh("cat theirs.pub"), b.sh("lifeboat key show theirs.key | tail -n 1"))
	b.sh("lifeboat key generate --sign --to sig.key")

	for _, key := range []string{"theirs", "ours", "pq", "ourspq"} {
		b.sh("lifeboat archive create --snapshot etcd-backup.snapshot --kubernetes kubernetes -R " + key + ".pub --sign sig.key --to " + key + ".age")
		b.sh("mkdir " + key + " && age -d -i " + key + ".key " + key + ".age | tar xz -C " + key)
		b.sh("cmp " + key + "/etcd-backup.snapshot etcd-backup.snapshot && diff -r " + key + "/kubernetes kubernetes")
		require.Contains(t, b.sh("cat "+key+"/RECOVERY.txt"), "age -d -i IDENTITY FILE | tar xz")
	}
	if b.has("minisign") {
		b.sh("minisign -Vm ours.age -p sig.key.pub")
		b.sh("minisign -G -W -p m.pub -s m.key && minisign -S -s m.key -m theirs.age -x theirs.age.minisig && lifeboat archive verify theirs.age -i theirs.key --pubkey m.pub")
	}
	if b.has("zstd") {
		b.sh("lifeboat archive create --snapshot etcd-backup.snapshot --kubernetes kubernetes --compress zstd --to z.tar.zst; zstd -t z.tar.zst; zstd -dc z.tar.zst | tar t > /dev/null")
	}

	// The operators' own line, encrypted by age.
	b.sh("tar -cvzf kube-backup.tar.gz ./etcd-backup.snapshot ./kubernetes/; age -R theirs.pub -o backup.age kube-backup.tar.gz; age -a -R pq.pub -o backup.pem kube-backup.tar.gz")
	b.sh("lifeboat archive verify backup.age -i theirs.key; lifeboat archive verify backup.pem -i pq.key")
	require.Contains(t, b.sh("lifeboat get backup.age -i theirs.key ns infra-production -o name"), "namespace/infra-production")

	// Re-keyed by lifeboat, opened by age.
	b.sh("lifeboat archive rekey backup.age -i theirs.key --recipients pq.pub --to rekeyed.age; age -d -i pq.key rekeyed.age | cmp - kube-backup.tar.gz")
	b.sh("! age -d -i theirs.key rekeyed.age > /dev/null 2>&1")
	b.sh("lifeboat archive rekey backup.age -i theirs.key --add \"$(cat ours.pub)\" --to both.age; age -d -i theirs.key both.age | cmp - kube-backup.tar.gz; age -d -i ours.key both.age | cmp - kube-backup.tar.gz")
	b.sh("lifeboat archive rekey both.age -i ours.key --drop-identity theirs.key --to one.age; age -d -i ours.key one.age | cmp - kube-backup.tar.gz; ! age -d -i theirs.key one.age > /dev/null 2>&1")
}
