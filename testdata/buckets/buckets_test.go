package buckets

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	user   = "lifeboat"
	secret = "a-secret-that-stands-nowhere"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// built are the programs, built once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "buckets")
	if err != nil {
		return "", err
	}
	for target, from := range map[string][2]string{"gateway": {".", "./gateway"}, "lifeboat": {"../..", "./cmd/lifeboat"}} {
		if binary := os.Getenv(strings.ToUpper(target)); binary != "" { // one that is built already
			if err := os.Symlink(binary, filepath.Join(dir, target)); err != nil {
				return "", err
			}
			continue
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, target), from[1])
		cmd.Dir = from[0]
		if output, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w: %s", target, err, output)
		}
	}
	return dir, nil
})

// store is a server over a folder.
type store struct {
	programs, folder, address string
	cmd                       *exec.Cmd
	client                    *minio.Client
}

func newStore(t *testing.T) *store {
	t.Helper()
	programs, err := built()
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &store{programs: programs, folder: t.TempDir(), address: listener.Addr().String()}
	must(t, listener.Close())
	must(t, os.Mkdir(filepath.Join(s.folder, "objects"), 0o700))
	must(t, os.Mkdir(filepath.Join(s.folder, "versions"), 0o700))
	s.start(t)
	t.Cleanup(s.kill)
	s.client, err = minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4(user, secret, ""), Region: "us-east-1"})
	must(t, err)
	must(t, s.client.MakeBucket(t.Context(), "backups", minio.MakeBucketOptions{Region: "us-east-1", ObjectLocking: true}))
	return s
}

func (s *store) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(filepath.Join(s.programs, "gateway"), filepath.Join(s.folder, "objects"), filepath.Join(s.folder, "versions"), s.address)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+user, "ROOT_SECRET_KEY="+secret)
	s.cmd.Stderr = os.Stderr
	must(t, s.cmd.Start())
	for range 200 {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("the server does not start")
}

func (s *store) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// lifeboat is a command that knows the store, in a folder.
func (s *store) lifeboat(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "lifeboat"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL=http://"+s.address, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+user,
		"AWS_SECRET_ACCESS_KEY="+secret, "XDG_STATE_HOME="+dir, "HOME="+dir)
	return cmd
}

// run runs a command that has to exit with a code, and gives all that it said.
func (s *store) run(t *testing.T, dir string, code int, args ...string) string {
	t.Helper()
	cmd := s.lifeboat(t.Context(), dir, args...)
	output, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("lifeboat %q exits with %d, not %d:\n%s", args, got, code, output)
	}
	if strings.Contains(string(output), secret) {
		t.Fatalf("lifeboat %q shows the secret", args)
	}
	return string(output)
}

func has(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Fatalf("%q is not in:\n%s", part, text)
	}
}

// scene is a folder with keys and three archives of harbour's.
func scene(t *testing.T, s *store) (dir, first string) {
	t.Helper()
	dir = t.TempDir()
	harbour, err := filepath.Abs("../harbour/kube-backup.tar.gz")
	must(t, err)
	s.run(t, dir, 0, "archive", "unpack", harbour, "--to", "full")
	s.run(t, dir, 0, "key", "generate", "--to", "key")
	s.run(t, dir, 0, "key", "generate", "--sign", "--to", "signer")
	shown := strings.Split(strings.TrimSpace(s.run(t, dir, 0, "key", "show", "key")), "\n")
	must(t, os.WriteFile(filepath.Join(dir, "team"), []byte(shown[len(shown)-1]+"\n"), 0o600))
	s.run(t, dir, 0, "archive", "create", "--snapshot", "full/etcd-backup.snapshot", "--kubernetes", "full/kubernetes", "-R", "team", "--sign", "signer", "--to", "{cluster}-{time}.tar.gz.age")
	found, err := filepath.Glob(filepath.Join(dir, "*.tar.gz.age"))
	must(t, err)
	return dir, filepath.Base(found[0])
}

// Every verb of a place on a real store.
func TestPlace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir, first := scene(t, s)
	place := "s3://backups/prod"
	s.run(t, dir, 1, "archive", "catalog", place, "-i", "key")
	has(t, s.run(t, dir, 0, "archive", "push", first, "--to", place), "sent")
	has(t, s.run(t, dir, 0, "archive", "push", first, "--to", place), "there already")
	for _, name := range []string{"b.tar.gz.age", "c.tar.gz.age"} {
		for _, suffix := range []string{"", ".minisig"} {
			must(t, os.Link(filepath.Join(dir, first+suffix), filepath.Join(dir, name+suffix)))
		}
	}
	s.run(t, dir, 0, "archive", "push", "b.tar.gz.age", "--to", place)
	s.run(t, dir, 0, "archive", "push", "c.tar.gz.age", "--to", place, "--object-lock-until", time.Now().AddDate(0, 0, 2).Format(time.DateOnly))

	has(t, s.run(t, dir, 0, "archive", "catalog", place, "-i", "key"), "RECOVERY.txt")
	has(t, s.run(t, dir, 0, "archive", "catalog", place, "--pubkey", "signer.pub"), "1485")
	has(t, s.run(t, dir, 0, "archive", "verify", place, "-i", "key", "--pubkey", "signer.pub", "--run", "one"), "3 archives that were verified")
	s.run(t, dir, 0, "archive", "ledger", "merge", place, "--run", "one")
	s.run(t, dir, 3, "archive", "verify", place, "-i", "key", "--max-age", "1h")
	s.run(t, dir, 4, "archive", "verify", place)

	// As SRC.
	has(t, s.run(t, dir, 0, "get", place+"/"+first, "namespaces", "-i", "key", "--pubkey", "signer.pub"), "kube-system")
	s.run(t, dir, 0, "archive", "verify", place+"/"+first, "-i", "key", "--pubkey", "signer.pub")
	s.run(t, dir, 0, "archive", "verify", "--quick", place+"/"+first, "-i", "key")
	s.run(t, dir, 1, "inspect", place+"/nothing.tar.gz")

	// Fetched.
	s.run(t, dir, 0, "archive", "pull", place+"/"+first, "--to", "back.age")
	same(t, filepath.Join(dir, first), filepath.Join(dir, "back.age"))
	same(t, filepath.Join(dir, first+".minisig"), filepath.Join(dir, "back.age.minisig"))
	s.run(t, dir, 6, "archive", "pull", place+"/"+first, "--to", "back.age")

	// Nothing is overwritten.
	must(t, os.Mkdir(filepath.Join(dir, "other"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "other", first), []byte("another content"), 0o600))
	s.run(t, dir, 6, "archive", "push", "other/"+first, "--to", place)

	// Re-keyed, from bucket to bucket and to a folder.
	s.run(t, dir, 0, "key", "generate", "--to", "second")
	shown := strings.Split(strings.TrimSpace(s.run(t, dir, 0, "key", "show", "second")), "\n")
	must(t, os.WriteFile(filepath.Join(dir, "new"), []byte(shown[len(shown)-1]+"\n"), 0o600))
	rekey := []string{"archive", "rekey", place, "-i", "key", "--pubkey", "signer.pub", "-R", "new", "--sign", "signer", "--to"}
	s.run(t, dir, 0, append(rekey, "s3://backups/second")...)
	has(t, s.run(t, dir, 0, append(rekey, "s3://backups/second")...), "already there")
	s.run(t, dir, 0, "archive", "verify", "s3://backups/second", "-i", "second", "--pubkey", "signer.pub")
	s.run(t, dir, 0, append(rekey, "folder")...)
	s.run(t, dir, 0, "archive", "verify", "folder", "-i", "second", "--pubkey", "signer.pub")
	s.run(t, dir, 6, append(rekey, place+"/below")...)

	// What may go goes, what is locked stays.
	pruned := s.run(t, dir, 0, "archive", "prune", place, "--pubkey", "signer.pub", "--keep-last", "1")
	has(t, pruned, "locked until")
	has(t, pruned, "of 3 archives, 1 removed")
	has(t, s.run(t, dir, 0, "archive", "catalog", place, "--pubkey", "signer.pub"), "c.tar.gz.age")
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	must(t, err)
	y, err := os.ReadFile(b)
	must(t, err)
	if !bytes.Equal(x, y) {
		t.Fatalf("%s and %s differ", a, b)
	}
}

func soak(t *testing.T) int {
	t.Helper()
	text := os.Getenv("LIFEBOAT_SOAK")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// Client and server are killed at random moments. No half object has a name,
// nothing is lost, and the next run goes on.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	path, _ := randomFile(t, dir, "undisturbed.tar.gz.age")
	took := measure(func() { s.run(t, dir, 0, "archive", "push", path, "--to", "s3://backups/prod") })
	killed := map[bool]int{} // by whether it was the server
	for round, kills := 0, 20*soak(t); killed[true]+killed[false] < kills; round++ {
		if round == kills {
			t.Fatalf("of %d commands, only %d and %d were under way when something was killed", 2*round, killed[true], killed[false])
		}
		name := fmt.Sprintf("night-%d.tar.gz.age", round)
		path, sum := randomFile(t, dir, name)
		push := []string{"archive", "push", path, "--to", "s3://backups/prod"}
		if s.disturb(t, dir, took, round%2 == 0, push...) {
			killed[round%2 == 0]++
		}
		if got, ok := s.object(t, "prod/"+name); ok && sha256.Sum256(got) != sum {
			t.Fatalf("round %d: the store has %d bytes under the name, and others", round, len(got))
		}
		s.run(t, dir, 0, push...)
		got, _ := s.object(t, "prod/"+name)
		if sha256.Sum256(got) != sum {
			t.Fatalf("round %d: the store has another content", round)
		}
		pull := []string{"archive", "pull", "s3://backups/prod/" + name, "--to", filepath.Join(dir, "back")}
		if s.disturb(t, dir, took, round%2 == 1, pull...) {
			killed[round%2 == 1]++
		}
		if _, err := os.Stat(filepath.Join(dir, "back")); err != nil {
			s.run(t, dir, 0, pull...)
		}
		same(t, path, filepath.Join(dir, "back"))
		must(t, os.Remove(filepath.Join(dir, "back")))
		must(t, os.Remove(path))
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*lifeboat*"))
	must(t, err)
	if len(left) > 0 {
		t.Fatalf("left behind: %q", left)
	}
	t.Logf("killed while it ran: the server %d times, the client %d times; a push takes %s", killed[true], killed[false], took)
}

// randomFile makes a file of two or three parts.
func randomFile(t *testing.T, dir, name string) (path string, sum [sha256.Size]byte) {
	t.Helper()
	content := make([]byte, 17<<20+mathrand.IntN(20<<20))
	_, err := io.ReadFull(rand.Reader, content)
	must(t, err)
	path = filepath.Join(dir, name)
	must(t, os.WriteFile(path, content, 0o600))
	return path, sha256.Sum256(content)
}

func measure(do func()) time.Duration {
	started := time.Now()
	do()
	return time.Since(started)
}

// disturb runs a command, and kills it or the server at a random moment of the
// time that it takes; false when it had ended before.
func (s *store) disturb(t *testing.T, dir string, took time.Duration, server bool, args ...string) bool {
	t.Helper()
	cmd := s.lifeboat(t.Context(), dir, args...)
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		return false
	case <-time.After(mathrand.N(took)):
	}
	if !server {
		cmd.Process.Signal(syscall.SIGKILL)
		<-ended
		return true
	}
	s.kill()
	time.Sleep(time.Duration(mathrand.IntN(300)) * time.Millisecond)
	s.start(t)
	<-ended // it goes on by itself, or says that it could not
	return true
}

func (s *store) object(t *testing.T, key string) ([]byte, bool) {
	t.Helper()
	for range 20 {
		o, err := s.client.GetObject(t.Context(), "backups", key, minio.GetObjectOptions{})
		must(t, err)
		data, err := io.ReadAll(o)
		o.Close()
		if err == nil {
			return data, true
		}
		if minio.ToErrorResponse(err).Code == "NoSuchKey" {
			return nil, false
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s cannot be read", key)
	return nil, false
}
