package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/lifeboat-dr/lifeboat"

// root is the folder of the library's own package, which bears the module's name.
const root = "."

// packageOrder is the order of the packages: each may import only what stands
// below it; tests may look up where no ban forbids it. A new package has to be
// given its place here; the simulations have theirs already.
func packageOrder() []string {
	return []string{
		"cmd/lifeboat",
		"cmd/host",
		"cmd/drills",
		"cmd/simulations",
		"cmd/objects",
		"cmd/archives",
		"cmd/etcd",
		"cmd/keys",
		"cmd/internal/console",
		"archive/host",
		"sim/proof",
		"sim/proof/programs",
		"sim/proof/sandbox/sandboxtest",
		"sim/proof/sandbox",
		"sim/drill",
		"sim/backup",
		"sim/nodes",
		"sim/scheduler",
		"sim/nodeloss",
		"sim/quorum",
		"sim/members",
		"sim",
		"registry/apiserver/local",
		"registry/apiserver",
		"registry/apiserver/spec",
		root,
		"registry/printer",
		"registry/auditpolicy",
		"registry",
		"snapshot/snapshottest",
		"snapshot/datadir",
		"snapshot/etcdproc",
		"snapshot",
		"archive/controlplane",
		"archive/place/bucket",
		"archive/place",
		"archive",
		"crypto",
		"scenarios",
		"internal/manual",
		"internal/argv",
		"internal/text",
		"internal/child",
		"internal/mounttest",
		"internal/progress",
		"internal/whole",
		"internal/filelock",
		"internal/words",
		"internal/shard",
		"internal/ctxio",
	}
}

// ban forbids an import, and says what would break.
type ban struct {
	imported string   // the package, and all below it
	only     []string // who may import it; "x/..." is x and all below it
	tests    bool     // all tests may, too
	testsOf  string   // the tests of this package may, too
	why      string
}

func bans() []ban {
	return []ban{
		{
			imported: "github.com/urfave/cli", only: []string{"cmd/...", "internal/argv", "internal/manual"},
			why: "the libraries serve programs that have no command line",
		},
		{
			imported: module + "/internal/argv", only: []string{"cmd/...", "internal/manual"},
			why: "the libraries serve programs that have no command line",
		},
		{
			imported: module + "/internal/manual", only: []string{"cmd/..."},
			why: "the libraries serve programs that have no command line",
		},
		{
			imported: "go.etcd.io/etcd/server", only: []string{"snapshot/datadir", "snapshot/etcdproc"}, tests: true,
			why: "etcd's backend writes to what it opens, and its loggers end the process: only copies, only in two places",
		},
		{
			imported: "go.etcd.io/etcd/etcdutl", only: []string{"snapshot/datadir", "snapshot/etcdproc"}, tests: true,
			why: "etcdutl opens its sources for writing: only copies, only in two places",
		},
		{
			imported: "k8s.io/kubernetes", only: []string{"registry/printer", "sim/scheduler"},
			why: "it is huge, promises no stable API, and registers types in init: two packages are enough to mend at an upgrade",
		},
		{
			imported: "k8s.io/cli-runtime", only: []string{"registry/printer"}, tests: true,
			why: "kubectl's forms of output are one package's business",
		},
		{
			imported: "k8s.io/kubectl", only: nil, tests: true,
			why: "its packages hang together: the columns of get alone would link 136 more, kustomize among them, and 27 MB of memory at each start",
		},
		{
			imported: "k8s.io", only: []string{"registry/...", "archive/controlplane", "sim/proof", "sim/backup", "sim/nodes", "sim/scheduler", "sim/nodeloss", "snapshot/snapshottest", root, "cmd/..."},
			why: "an etcd database, an archive and a key know nothing of Kubernetes, so they can be read when its types cannot",
		},
		{
			imported: "k8s.io/api", only: []string{"registry/...", "archive/controlplane", "archive/host", "sim/backup", "sim/nodes", "sim/scheduler", "sim/nodeloss", "snapshot/snapshottest", root}, tests: true,
			why: "a verb parses, opens, calls one function and prints: what it would decide on objects belongs to a library",
		},
		{
			imported: "github.com/golang-jwt/jwt", only: []string{root}, tests: true,
			why: "whether tokens are the cluster's is one of the checks of Verify",
		},
		{
			imported: "go.etcd.io", only: []string{"snapshot/...", "sim/quorum", "sim/members"}, tests: true,
			why: "databases are read through package snapshot, data dirs through snapshot/datadir",
		},
		{
			imported: module + "/archive", only: []string{root, "cmd/...", "archive/...", "sim/backup", "sim/proof"},
			why: "layers meet as io.Readers, in the root package and nowhere else",
		},
		{
			imported: module + "/crypto", only: []string{root, "cmd/..."},
			why: "layers meet as io.Readers, in the root package and nowhere else",
		},
		{
			imported: module + "/registry", only: []string{"archive/host", root, "cmd/...", "registry/...", "sim/backup", "sim/proof"},
			why: "the simulations and the database know nodes, Pods and keys as plain values",
		},
		{
			imported: module + "/registry/printer", only: []string{root, "cmd/...", "registry/apiserver", "sim/backup", "sim/proof"},
			testsOf: "registry", // cleaning is tested on what the API server would answer
			why:     "whoever needs objects must not have to link k8s.io/kubernetes",
		},
		{
			imported: module + "/snapshot/snapshottest", only: []string{"snapshot/snapshottest"}, tests: true,
			why: "a generator of test data has no place in the binary",
		},
		{
			imported: "testing", only: nil, tests: true,
			why: "it adds its flags to the binary",
		},
		{
			imported: "go.etcd.io/etcd/server/v3/embed", only: nil, tests: true,
			why: "whoever links it opens a netlink socket before main runs; etcdproc starts the server itself",
		},
		{
			imported: "github.com/minio", only: []string{"archive/place/bucket"}, tests: true,
			why: "who reads a folder must not have to link a client of the network",
		},
		{
			imported: "net/http", only: []string{"snapshot/etcdproc", "registry/apiserver", "registry/apiserver/local", "sim/proof", "archive/place/bucket"}, tests: true,
			why: "no network: nothing here may call out but a bucket that was asked for, and nothing listens but what serve opens on loopback, and a proof in its sandbox; members of a drill speak it to each other, on unix sockets",
		},
	}
}

// goFile is one file's place and imports.
type goFile struct {
	path    string // below the module's root
	pkg     string // its package's folder there
	test    bool
	imports []string
}

// complaint says why f may not import imported, "" if it may.
func complaint(f goFile, imported string) string {
	own, ok := strings.CutPrefix(imported, module+"/")
	if imported == module {
		own, ok = root, true
	}
	if ok {
		if own == f.pkg {
			return "" // a test from outside the package
		}
		order := packageOrder()
		above, below := slices.Index(order, f.pkg), slices.Index(order, own)
		if above < 0 || below < 0 || below < above && !f.test {
			return "it does not stand below " + f.pkg + " in packageOrder"
		}
	}
	for _, b := range bans() {
		if !within(imported, b.imported) || f.test && (b.tests || b.testsOf == f.pkg) {
			continue
		}
		if !slices.ContainsFunc(b.only, func(who string) bool {
			folder, tree := strings.CutSuffix(who, "/...")
			return f.pkg == folder || tree && within(f.pkg, folder)
		}) {
			return b.why
		}
	}
	return ""
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func TestImportOrder(t *testing.T) {
	t.Parallel()
	files := goFiles(t, "../..")
	require.Greater(t, len(files), 20)
	var wrong []string
	for _, f := range files {
		if !slices.Contains(packageOrder(), f.pkg) {
			wrong = append(wrong, f.path+": package "+f.pkg+" has no place in packageOrder")
		}
		for _, imported := range f.imports {
			if why := complaint(f, imported); why != "" {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", f.path, imported, why))
			}
		}
	}
	require.Empty(t, wrong, "%s", strings.Join(wrong, "\n"))
}

// The table has teeth: what the design forbids is refused, what it needs is not.
func TestImportOrderRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ pkg, imported string }{
		{"crypto", module + "/archive"},
		{"archive", module + "/crypto"},
		{"registry", module + "/registry/printer"},
		{"registry", module + "/cmd/lifeboat"},
		{"registry", module + "/archive"},
		{"registry", module},
		{root, module + "/cmd/lifeboat"},
		{root, module + "/sim"},
		{"cmd/objects", "k8s.io/api/core/v1"},
		{"cmd/archives", "github.com/golang-jwt/jwt/v5"},
		{"cmd/etcd", "go.etcd.io/bbolt"},
		{"snapshot", module + "/snapshot/etcdproc"},
		{"snapshot", module + "/registry"},
		{"snapshot", "k8s.io/api/core/v1"},
		{"snapshot/etcdproc", "k8s.io/apimachinery/pkg/runtime"},
		{"snapshot", "go.etcd.io/etcd/server/v3/storage/mvcc"},
		{"registry", "go.etcd.io/etcd/etcdutl/v3/snapshot"},
		{"registry", "k8s.io/kubernetes/pkg/printers"},
		{"archive", "github.com/urfave/cli/v2"},
		{"archive", module + "/internal/argv"},
		{root, module + "/internal/manual"},
		{"snapshot", module + "/snapshot/snapshottest"},
		{"crypto", "net/http"},
		{"snapshot/etcdproc", "go.etcd.io/etcd/server/v3/embed"},
		{"crypto", module + "/nobody/knows"},
	} {
		require.NotEmpty(t, complaint(goFile{pkg: tc.pkg}, tc.imported), "%s imports %s", tc.pkg, tc.imported)
	}
	for _, tc := range []struct {
		pkg, imported string
		test          bool
	}{
		{"cmd/lifeboat", "github.com/urfave/cli/v2", false},
		{"registry", module + "/snapshot", false},
		{root, module + "/crypto", false},
		{"cmd/lifeboat", module, false},
		{"registry", module + "/registry/printer", true},
		{"registry/printer", "k8s.io/kubernetes/pkg/printers", false},
		{"snapshot/etcdproc", "go.etcd.io/etcd/server/v3/etcdserver", false},
		{"snapshot", "go.etcd.io/etcd/server/v3/embed", true},
		{"snapshot", module + "/snapshot/snapshottest", true},
		{"snapshot", "go.etcd.io/etcd/api/v3/mvccpb", false},
	} {
		require.Empty(t, complaint(goFile{pkg: tc.pkg, test: tc.test}, tc.imported), "%s imports %s", tc.pkg, tc.imported)
	}
}

// goFiles reads the imports of the module's files below root; nested modules
// are on their own.
func goFiles(t *testing.T, root string) []goFile {
	t.Helper()
	var files []goFile
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if nested == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" {
				return fs.SkipDir
			}
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		f := goFile{path: filepath.ToSlash(rel), pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(path, "_test.go")}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return err
	}))
	return files
}
