package apiserver

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// refuse says that nothing can be changed, and how to get the object back.
func (s *Server) refuse(r *http.Request, v view) error {
	what := "nothing can be changed in it"
	if r.URL.Query().Get("dryRun") != "" {
		what = "nothing can be changed in it, nor tried with --dry-run=server"
	}
	info, err := s.requestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return s.notAllowed(nil, v, what)
	}
	if res, ok := s.catalog.served[gvrOf(info)]; ok && isConnect(info.Subresource) {
		return s.refuseSubresource(info, v, res)
	}
	return s.notAllowed(info, v, what)
}

// isConnect tells the subresources that lead into a container.
func isConnect(subresource string) bool {
	return slices.Contains([]string{"exec", "attach", "portforward", "proxy"}, subresource)
}

// refuseSubresource answers for what only a running cluster has.
func (s *Server) refuseSubresource(info *request.RequestInfo, v view, res served) error {
	switch {
	case info.Subresource == "log" && isPod(res):
		return s.notAllowed(nil, v, "it holds no logs: they stayed on the node")
	case isConnect(info.Subresource) && (isPod(res) || info.Subresource == "proxy"):
		return s.notAllowed(nil, v, "nothing runs in it")
	case info.Subresource == "scale" && (res.scale || res.stored.Custom):
		return s.notAllowed(info, v, "nothing can be scaled in it")
	}
	return noRoute()
}

func isPod(res served) bool { return res.gvr.Resource == "pods" && res.gvr.Group == "" }

// notAllowed is the 405 that kubectl prints whole.
func (s *Server) notAllowed(info *request.RequestInfo, v view, what string) error {
	message := fmt.Sprintf("this is a backup%s; %s.", s.dated(), what)
	if info != nil {
		message += " To bring the object back: " + s.extractCommand(info, v)
	}
	err := failure(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "%s", message)
	if info != nil {
		err.ErrStatus.Details = &metav1.StatusDetails{Group: info.APIGroup, Kind: info.Resource, Name: info.Name}
	}
	return err
}

// dated is " of 2026-11-21 20:53", as near as the backup tells.
func (s *Server) dated() string {
	moment := s.moment()
	if moment.IsZero() {
		return ""
	}
	return " of " + moment.UTC().Format("2006-01-02 15:04") + " UTC"
}

// extractCommand brings back what a request was about, as of the moment that the
// client looked at.
func (s *Server) extractCommand(info *request.RequestInfo, v view) string {
	words := []string{"lifeboat extract", s.source()}
	if v.revision != s.revision {
		words = append(words, "--rev", strconv.FormatInt(v.revision, 10))
	}
	res, known := s.catalog.served[gvrOf(info)]
	switch {
	case info.Resource == "namespaces" && info.Name != "":
		return strings.Join(append(words, "-n", shellWord(info.Name), "--to DIR"), " ")
	case known && !res.namespaced && info.Name != "": // a name of the cluster's own needs no more
	case known && !res.namespaced:
		words = append(words, "--cluster")
	case info.Namespace != "":
		words = append(words, "-n", shellWord(info.Namespace))
	default:
		words = append(words, "-A")
	}
	switch {
	case known && info.Name != "" && (info.Namespace != "" || !res.namespaced):
		words = append(words, shellWord(res.stored.String()+"/"+info.Name))
	case known:
		words = append(words, shellWord(res.stored.String()))
	}
	return strings.Join(append(words, "--to DIR"), " ")
}

func (s *Server) source() string { return shellWord(cmp.Or(s.opts.Source, "SRC")) }

// scopeFlag and commandWords are parts of commands about the query's object.
func (q *query) scopeFlag() string {
	if q.info.Namespace != "" && q.served.namespaced {
		return "-n " + shellWord(q.info.Namespace) + " "
	}
	if !q.served.namespaced {
		return "--cluster "
	}
	return "-A "
}

func (q *query) commandWords() string {
	words := shellWord(q.served.stored.String())
	if q.info.Name != "" {
		words += " " + shellWord(q.info.Name)
	}
	switch {
	case !q.served.namespaced:
	case q.info.Namespace != "":
		words += " -n " + shellWord(q.info.Namespace)
	default:
		words += " -A"
	}
	return words
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@,+=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
