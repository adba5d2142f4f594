package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/lifeboat-dr/lifeboat/registry"
)

const (
	mostWarnings = 16  // in one answer
	longWarning  = 800 // bytes
	mostNamed    = 5   // objects in one warning
)

// notes gather what a list has to say about its objects.
type notes struct{ byCode []note }

// note is one kind of problem.
type note struct {
	code     registry.ProblemCode
	leftOut  bool
	resource string
	count    int
	names    []string // the first few
	detail   string   // of the first
}

func (n *notes) add(q *query, it item) {
	if !it.matched {
		return
	}
	for i, p := range it.problems {
		leftOut := it.leftOut && i == len(it.problems)-1
		at := slices.IndexFunc(n.byCode, func(have note) bool { return have.code == p.Code && have.leftOut == leftOut })
		if at < 0 {
			at = len(n.byCode)
			n.byCode = append(n.byCode, note{code: p.Code, leftOut: leftOut, resource: q.served.gvr.GroupResource().String(), detail: p.Detail})
		}
		have := &n.byCode[at]
		if have.count++; len(have.names) < mostNamed {
			have.names = append(have.names, q.nameOf(it.key))
		}
	}
}

// warn puts the notes into the header of an answer.
func (n *notes) warn(h http.Header) {
	for _, note := range n.byCode {
		addWarning(h, note.String())
	}
}

func (n note) String() string {
	names := strings.Join(n.names, ", ")
	if more := n.count - len(n.names); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	what := "could not be read whole"
	if n.leftOut {
		what = "are left out"
		if n.count == 1 {
			what = "is left out"
		}
	}
	return fmt.Sprintf("%d of the %s %s, %s: %s: %s", n.count, n.resource, what, n.code, names, n.detail)
}

// addWarning adds a Warning header, which kubectl prints to standard error.
func addWarning(h http.Header, text string) {
	if len(h.Values("Warning")) >= mostWarnings {
		return
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, text)
	if len(text) > longWarning {
		text = strings.ToValidUTF8(text[:longWarning], "") + "..."
	}
	if header, err := utilnet.NewWarningHeader(299, "-", text); err == nil {
		h.Add("Warning", header)
	}
}

// nameOf is an object's namespace and name, from its key.
func (q *query) nameOf(key string) string {
	parsed, err := registry.ParseKey(q.server.opts.Registry.Prefix, key)
	if err != nil {
		return strconv.Quote(key)
	}
	name := parsed.Name
	if parsed.Namespace != "" {
		name = parsed.Namespace + "/" + name
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return strconv.Quote(name)
	}
	return name
}

// label names an object with its resource: "secrets infra/db-password".
func (q *query) label(key string) string {
	return q.served.gvr.GroupResource().String() + " " + q.nameOf(key)
}
