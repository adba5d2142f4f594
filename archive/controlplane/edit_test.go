package controlplane_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// auditOff is what takes auditing out of a kube-apiserver's manifest.
func auditOff(e *controlplane.Editor) error {
	var paths []string
	for _, flag := range []string{"audit-log-path", "audit-policy-file"} {
		paths = append(paths, e.Given(flag)...)
	}
	for _, flag := range e.FlagsNamed("audit-") {
		if err := e.Remove(flag); err != nil {
			return err
		}
	}
	_, err := e.Unmount(paths)
	return err
}

var edits = []struct {
	name string
	do   func(e *controlplane.Editor) error
}{
	{"set force-new-cluster", func(e *controlplane.Editor) error { return e.Set("force-new-cluster", "") }},
	{"set quota-backend-bytes", func(e *controlplane.Editor) error { return e.Set("quota-backend-bytes", "8589934592") }},
	{"remove quota-backend-bytes", func(e *controlplane.Editor) error { return e.Remove("quota-backend-bytes") }},
	{"remove name", func(e *controlplane.Editor) error { return e.Remove("name") }},
	{"audit off", auditOff},
}

// Every edit of every style changes the lines that it has to, and no other.
func TestEditGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/edit/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		component := controlplane.Etcd
		if strings.Contains(file, "apiserver") {
			component = controlplane.APIServer
		}
		var out strings.Builder
		for _, edit := range edits {
			e, err := controlplane.Edit(data, component)
			require.NoError(t, err)
			require.NoError(t, edit.do(e), "%s: %s", file, edit.name)
			fmt.Fprintf(&out, "== %s\n%s", edit.name, diff(string(data), string(e.Data)))

			again, err := controlplane.Edit(e.Data, component)
			require.NoError(t, err)
			require.NoError(t, edit.do(again))
			require.Equal(t, string(e.Data), string(again.Data), "%s: %s is idempotent", file, edit.name)
		}
		golden := strings.TrimSuffix(file, ".yaml") + ".golden"
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(out.String()), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), out.String(), file)
	}
}

// diff shows the lines that are not in both, by their longest common part.
func diff(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	for i, j := 0, 0; i < len(x) || j < len(y); {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintf(&out, "-%s\n", x[i])
			i++
		default:
			fmt.Fprintf(&out, "+%s\n", y[j])
			j++
		}
	}
	return out.String()
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	container := func(name, command string) string {
		return "  - name: " + name + "\n    command: " + command + "\n"
	}
	pod := "kind: Pod\nspec:\n  containers:\n"
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"no YAML":                {"kind: Pod\n\tspec: [", controlplane.ErrNotManifest},
		"empty":                  {"", controlplane.ErrNotManifest},
		"a list":                 {"- a\n", controlplane.ErrNotManifest},
		"no Pod":                 {"kind: Deployment\nspec:\n  containers:\n" + container("etcd", "[etcd, --a]"), controlplane.ErrNotManifest},
		"another component":      {pod + container("kube-apiserver", "[kube-apiserver, --a]"), controlplane.ErrNotManifest},
		"two containers":         {pod + container("etcd", "[etcd, --a]") + container("x", "[/usr/bin/etcd, --a]"), controlplane.ErrNotManifest},
		"two documents":          {pod + container("etcd", "[etcd, --a]") + "---\nkind: Pod\n", controlplane.ErrNotManifest},
		"no flags":               {pod + container("etcd", "[etcd]"), controlplane.ErrShape},
		"a flag in a block text": {pod + container("etcd", "\n    - etcd\n    - |\n      --a=1"), controlplane.ErrShape},
		"a shell":                {pod + container("etcd", `[sh, -c, "etcd --a=1"]`), controlplane.ErrShape},
		"a list elsewhere":       {"x: &a [etcd, --a=1]\n" + pod + container("etcd", "*a"), controlplane.ErrShape},
		"a list used elsewhere":  {pod + container("etcd", "&a [etcd, --a=1]"), controlplane.ErrShape},
		"command twice":          {pod + container("etcd", "[etcd, --a]") + "    command: [etcd, --b]\n", controlplane.ErrNotManifest},
		"tabs":                   {strings.ReplaceAll(pod+container("etcd", "[etcd, --a]"), "  ", "\t"), controlplane.ErrNotManifest},
		"an alias":               {"x: &a --a=1\n" + pod + container("etcd", "\n    - etcd\n    - *a"), controlplane.ErrShape},
	} {
		e, err := controlplane.Edit([]byte(tc.text), controlplane.Etcd)
		if err == nil {
			err = e.Set("force-new-cluster", "")
		}
		require.ErrorIs(t, err, tc.want, name)
		if e != nil {
			require.Equal(t, tc.text, string(e.Data), "%s: a refused edit changes nothing", name)
		}
	}
}

// Of a flag that stands twice the last one counts and is changed; both go.
func TestEditFlagTwice(t *testing.T) {
	t.Parallel()
	text := "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command: [etcd, --quota_backend_bytes, '1', -name=m]\n    args:\n    - --quota-backend-bytes=2"
	e, err := controlplane.Edit([]byte(text), controlplane.Etcd)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, e.Given("quota-backend-bytes"))
	require.NoError(t, e.Set("quota-backend-bytes", "3"))
	require.Equal(t, strings.Replace(text, "bytes=2", "bytes=3", 1), string(e.Data))
	require.NoError(t, e.Set("name", "x"))
	require.Contains(t, string(e.Data), "[etcd, --quota_backend_bytes, '1', --name=x]")
	require.ErrorIs(t, e.Remove("quota-backend-bytes"), controlplane.ErrShape, "args would be left without an item")
}

// What editors and other systems leave in a file: each is edited where it has to
// be, and keeps its form.
func TestEditKeepsForeignForms(t *testing.T) {
	t.Parallel()
	pod := "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command:\n    - etcd\n    - --name=m0\n"
	json := `{"kind":"Pod","spec":{"containers":[{"name":"etcd","command":["etcd","--name=m0"]}]}}`
	for name, tc := range map[string]struct{ text, want string }{
		"lines of Windows":    {strings.ReplaceAll(pod, "\n", "\r\n"), strings.ReplaceAll(pod+"    - --quota-backend-bytes=1\n", "\n", "\r\n")},
		"a byte order mark":   {"\ufeff" + pod, "\ufeff" + pod + "    - --quota-backend-bytes=1\n"},
		"no end of line":      {strings.TrimSuffix(pod, "\n"), pod + "    - --quota-backend-bytes=1"},
		"a document's marks":  {"---\n" + pod + "...\n", "---\n" + pod + "    - --quota-backend-bytes=1\n...\n"},
		"JSON":                {json, strings.Replace(json, `"--name=m0"`, `"--name=m0","--quota-backend-bytes=1"`, 1)},
		"command and args":    {pod + "    args:\n    - --quota-backend-bytes\n    - \"2\" # why\n", pod + "    args:\n    - --quota-backend-bytes\n    - \"1\" # why\n"},
		"an anchor elsewhere": {"metadata: &m {name: x}\nx: *m\n" + pod, "metadata: &m {name: x}\nx: *m\n" + pod + "    - --quota-backend-bytes=1\n"},
	} {
		e, err := controlplane.Edit([]byte(tc.text), controlplane.Etcd)
		require.NoError(t, err, name)
		err = e.Set("quota-backend-bytes", "1")
		require.NoError(t, err, name)
		require.Equal(t, tc.want, string(e.Data), name)
	}
}

// A value is what the manifest says afterwards, or the edit is refused: a value
// that would end in a comment, or leave its quotes.
func TestEditValuesThatNeedQuotes(t *testing.T) {
	t.Parallel()
	const pod = "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command:\n    - etcd\n    - %s\n"
	for _, value := range []string{"a #b", "a: b", `a"b\c`, "a'b", "a\tb", "é"} {
		for _, word := range []string{`--name=m0`, `"--name=m0"`, `'--name=m0'`} {
			text := fmt.Sprintf(pod, word)
			e, err := controlplane.Edit([]byte(text), controlplane.Etcd)
			require.NoError(t, err)
			if err := e.Set("name", value); err != nil {
				require.ErrorIs(t, err, controlplane.ErrShape)
				require.Equal(t, text, string(e.Data))
				continue
			}
			require.Equal(t, []string{value}, e.Given("name"), "%s in place of %s", value, word)
		}
	}
	e, err := controlplane.Edit(fmt.Appendf(nil, pod, `"--name=m0"`), controlplane.Etcd)
	require.NoError(t, err)
	require.NoError(t, e.Set("name", `a"b\c`))
}

// A volume that an init container mounts as well stays.
func TestUnmountLeavesWhatOthersMount(t *testing.T) {
	t.Parallel()
	text := `kind: Pod
spec:
  initContainers:
  - name: prepare
    volumeMounts:
    - name: logs
      mountPath: /logs
  containers:
  - name: kube-apiserver
    command: [kube-apiserver, --v=1, --audit-policy-file=/policy/p.yaml]
    volumeMounts:
    - name: logs
      mountPath: /var/log/audit
    - name: policy
      mountPath: /policy
    - name: spare
      mountPath: /spare
    - name: pki
      mountPath: /pki
  volumes:
  - name: logs
    hostPath:
      path: /var/log/audit
  - name: policy
    hostPath:
      path: /policy
  - name: spare
    hostPath:
      path: /spare
  - name: pki
    hostPath:
      path: /pki
`
	e, err := controlplane.Edit([]byte(text), controlplane.APIServer)
	require.NoError(t, err)
	gone, err := e.Unmount([]string{"/var/log/audit/a.log", "/policy/p.yaml", "/spare/x"})
	require.NoError(t, err)
	require.Equal(t, []string{"spare"}, gone, "logs are an init container's too, and a flag names the policy")
}

// A flag that stands elsewhere is seen, and not taken for one that is not there.
func TestEditSeesAliases(t *testing.T) {
	t.Parallel()
	e, err := controlplane.Edit([]byte("x: &q --quota-backend-bytes=7\nkind: Pod\nspec:\n  containers:\n  - name: etcd\n    command:\n    - etcd\n    - *q\n    - --name=m0\n"), controlplane.Etcd)
	require.NoError(t, err)
	require.Equal(t, []string{"7"}, e.Given("quota-backend-bytes"))
	require.ErrorIs(t, e.Remove("quota-backend-bytes"), controlplane.ErrShape)
	require.ErrorIs(t, e.Set("quota-backend-bytes", "8"), controlplane.ErrShape)
}

// Whatever is set is what the manifest says afterwards, and all else is as
// before.
func TestEditProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}(-[a-z]{1,3})?`), 1, 6, rapid.ID).Draw(t, "names")
		style := rapid.SampledFrom([]string{"- --%s=%s", "- '--%s=%s'", "- \"--%s=%s\"", "- --%s=%s # é"}).Draw(t, "style")
		var b strings.Builder
		b.WriteString("kind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n")
		for _, n := range names {
			if rapid.Bool().Draw(t, "comment") {
				b.WriteString("    # über " + n + "\n")
			}
			fmt.Fprintf(&b, "    "+style+"\n", n, "v-"+n)
		}
		b.WriteString("    name: etcd\n")
		e, err := controlplane.Edit([]byte(b.String()), controlplane.Etcd)
		require.NoError(t, err)
		flag := rapid.SampledFrom(append(names, "zz-new")).Draw(t, "flag")
		require.NoError(t, e.Set(flag, "other"))
		require.Equal(t, []string{"other"}, e.Given(flag))
		require.Less(t, strings.Count(diff(b.String(), string(e.Data)), "\n"), 3)
		require.NoError(t, e.Remove(flag))
		require.Empty(t, e.Given(flag))
		for _, n := range names {
			if n != flag {
				require.Equal(t, []string{"v-" + n}, e.Given(n))
			}
		}
		require.NoError(t, yaml.Unmarshal(e.Data, new(any)))
	})
}

func FuzzEdit(f *testing.F) {
	files, err := filepath.Glob("testdata/edit/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data, "quota-backend-bytes")
	}
	f.Fuzz(func(t *testing.T, data []byte, flag string) {
		if flag == "" || strings.ContainsAny(flag, "= \t\r\n'\"#:") || strings.HasPrefix(flag, "-") {
			return
		}
		e, err := controlplane.Edit(slices.Clone(data), controlplane.Etcd)
		if err != nil {
			return
		}
		if e.Remove(flag) == nil && len(e.Given(flag)) > 0 {
			t.Fatalf("%q is left", flag)
		}
		if e.Set("force-new-cluster", "") == nil && len(e.Given("force-new-cluster")) == 0 {
			t.Fatal("it was not set")
		}
	})
}
