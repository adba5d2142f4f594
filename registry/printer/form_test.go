package printer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func formed(t *testing.T, name, text string, single bool, objects ...map[string]any) (string, error) {
	t.Helper()
	var out strings.Builder
	template, err := ParseTemplate(name, text)
	if err != nil {
		return "", err
	}
	form := template.Form(&out, single, false)
	for _, o := range objects {
		if err := form.Add(o); err != nil {
			return out.String(), err
		}
	}
	err = form.End()
	return out.String(), err
}

func ship(name string, tons any) map[string]any {
	return map[string]any{"kind": "Ship", "metadata": map[string]any{"name": name}, "spec": map[string]any{"tons": tons, "crew": []any{"ann", "bo"}}}
}

func TestForms(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "columns")
	require.NoError(t, os.WriteFile(file, []byte("SHIP   TONS\n{.metadata.name} spec.tons\n"), 0o600))
	for _, c := range []struct{ name, text, want string }{
		{"jsonpath", "{.items[*].metadata.name}", "aurora beagle"},
		{"jsonpath", "{.kind}{.metadata.no.such}", "List"},
		{"jsonpath-as-json", "{.items[0].spec.crew}", "[\n    [\n        \"ann\",\n        \"bo\"\n    ]\n]\n"},
		{"go-template", "{{range .items}}{{.metadata.name}},{{.nothing}};{{end}}", "aurora,<no value>;beagle,<no value>;"},
		{"custom-columns", "SHIP:.metadata.name,CREW:{.spec.crew[*]},NO:spec.no", "SHIP     CREW     NO\naurora   ann,bo   <none>\nbeagle   ann,bo   <none>\n"},
		{"custom-columns-file", file, "SHIP     TONS\naurora   9007199254740993\nbeagle   2.5\n"},
	} {
		got, err := formed(t, c.name, c.text, false, ship("aurora", int64(9007199254740993)), ship("beagle", 2.5))
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
	single, err := formed(t, "jsonpath", "{.kind}", true, ship("aurora", nil))
	require.NoError(t, err)
	require.Equal(t, "Ship", single)
	empty, err := formed(t, "custom-columns", "SHIP:.metadata.name", false)
	require.NoError(t, err)
	require.Equal(t, "SHIP\n", empty)
}

func TestFormsRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text string }{
		{"jsonpath", ""}, {"jsonpath", "{.a"}, {"go-template", "{{.a"}, {"custom-columns", "NAME"}, {"custom-columns", "NAME:{a}{b}"},
		{"jsonpath-file", "/no/such/file"}, {"custom-columns-file", os.DevNull}, {"toml", "x"},
	} {
		_, err := ParseTemplate(c.name, c.text)
		require.Error(t, err, c.text)
	}
}

// The engines quote what they were at; an error must not hold a value.
func TestFormsFailWithoutTheObject(t *testing.T) {
	t.Parallel()
	secret := map[string]any{"data": map[string]any{"password": "c3dvcmRmaXNo", "n": int64(4)}}
	for name, texts := range map[string][]string{
		"go-template":    {"{{range .data.password}}{{end}}", "{{index .data.password \"x\"}}", "{{base64decode .data.n}}", "{{.data.password.deeper}}", "{{slice .data.password 99}}"},
		"jsonpath":       {"{.data.password[0]}", "{.data.password[?(@.a>1)]}", "{.data[*][0]}", "{range .data.password}{end}"},
		"custom-columns": {"P:.data.password[?(@.a>1)]"},
	} {
		for _, text := range texts {
			out, err := formed(t, name, text, true, secret)
			require.NotContains(t, out, "Printing more information", text)
			if err != nil {
				require.Empty(t, out, text)
				require.NotContains(t, err.Error(), "c3dv", text)
				require.NotContains(t, err.Error(), "swordfish", text)
			}
		}
	}
}

func TestCompareFields(t *testing.T) {
	t.Parallel()
	ascending := []any{nil, int64(-1), 0.5, int64(1), int64(9007199254740993), "100m", "0.2", "1", "1Ki", "2Mi", "a1", "b"}
	for i, a := range ascending {
		for j, b := range ascending {
			got := CompareFields(a, b)
			switch {
			case i < j:
				require.Negative(t, got, "%v %v", a, b)
			case i > j:
				require.Positive(t, got, "%v %v", a, b)
			default:
				require.Zero(t, got)
			}
		}
	}
	_, err := mustSortField(t, ".spec.crew").Of(ship("aurora", int64(1)))
	require.ErrorContains(t, err, "neither numbers nor texts")
}

func mustSortField(t *testing.T, text string) *SortField {
	t.Helper()
	f, err := NewSortField(text)
	require.NoError(t, err)
	return f
}

// Whatever stands in -o and --sort-by, nothing panics.
func TestFormsTakeAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[{}.\[\]*?@a-c0-9:,"'() <>=!-]{0,24}`).Draw(rt, "text")
		name := rapid.SampledFrom([]string{"jsonpath", "jsonpath-as-json", "go-template", "custom-columns"}).Draw(rt, "form")
		_, _ = formed(t, name, text, rapid.Bool().Draw(rt, "single"), map[string]any{"a": []any{int64(1), map[string]any{"b": "c"}}})
		if f, err := NewSortField(text); err == nil {
			_, _ = f.Of(map[string]any{"a": []any{int64(1), nil}})
		}
	})
}
