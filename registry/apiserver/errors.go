package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func failure(code int32, reason metav1.StatusReason, format string, args ...any) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: fmt.Sprintf(format, args...),
	}}
}

func notAcceptable(message string) error {
	return failure(http.StatusNotAcceptable, metav1.StatusReasonNotAcceptable, "%s", message)
}

func badRevision(text string) error {
	return failure(http.StatusNotFound, metav1.StatusReasonNotFound, "/rev/%.40q is no etcd revision", text)
}

// noRoute is what a kube-apiserver says of a path below a group of its own that
// leads to nothing.
func noRoute() error {
	err := failure(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	err.ErrStatus.Details = &metav1.StatusDetails{}
	return err
}

// tooNew is what a kube-apiserver says of a resource version that it has not
// seen yet; a backup will not see it later.
func tooNew(asked, newest int64) error {
	return storage.NewTooLargeResourceVersionError(uint64(asked), uint64(newest), 0)
}

// compacted says which revisions there are.
func (s *Server) compacted(revision int64) error {
	return failure(http.StatusGone, metav1.StatusReasonExpired, "the backup does not hold revision %d; it holds %s", revision, wordsOf(s.windows()))
}

// windows are the stretches of revisions that can be read.
func (s *Server) windows() []snapshot.Window {
	if past, ok := s.opts.Reader.(snapshot.History); ok {
		return past.Windows()
	}
	return []snapshot.Window{{First: s.revision, Last: s.revision}}
}

// wordsOf are windows, oldest first: "1 to 300 and 900 to 1485".
func wordsOf(windows []snapshot.Window) string {
	words := make([]string, 0, len(windows))
	for _, w := range slices.Backward(windows) {
		words = append(words, fmt.Sprintf("%d to %d", w.First, w.Last))
	}
	return strings.Join(words, " and ")
}

// expired tells a client that goes on with an old list that it has to begin
// anew, in the words that it knows.
func (q *query) expired(err error) error {
	if apierrors.IsResourceExpired(err) && q.options.Continue != "" {
		return apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.")
	}
	return err
}

// unreadableError is the Status of an object that is there and cannot be
// shown.
func (q *query) unreadableError(it item) error {
	p := it.problems[len(it.problems)-1]
	var hint string
	switch p.Code {
	case registry.Locked:
		hint = "; give the API server's EncryptionConfiguration with --encryption-config FILE"
	case registry.Unconverted:
		hint = fmt.Sprintf("; ask for it in the version that it is stored in, or see it with: lifeboat get %s %s", q.server.source(), q.commandWords())
	default:
		hint = fmt.Sprintf("; its bytes come out with: lifeboat extract %s %s--profile raw --to DIR", q.server.source(), q.scopeFlag())
	}
	return failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, "%s cannot be shown: %s%s", q.label(it.key), p, hint)
}

// isGone tells the errors of revisions that the backup does not hold.
func isGone(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || errors.Is(err, snapshot.ErrCompacted)
}
