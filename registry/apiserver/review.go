package apiserver

import (
	"fmt"
	"io"
	"net/http"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// User is who a client of the server is.
const User = "lifeboat"

// longestReview bounds what a client may post.
const longestReview = 64 << 10

// isReview tells the resources by which a client asks about itself. They are
// all that can be posted.
func isReview(resource string) bool {
	return slices.Contains([]string{"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}, resource)
}

// servePost answers every method but GET: reviews, and refusals.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request, v view) {
	info, err := s.requestInfo(r)
	if err != nil || r.Method != http.MethodPost || !info.IsResourceRequest || !isReview(info.Resource) || info.Subresource != "" {
		s.respondError(w, r, s.refuse(r, v))
		return
	}
	review, err := readReview(r)
	if err != nil {
		s.respondError(w, r, err)
		return
	}
	s.respond(w, r, http.StatusCreated, review)
}

// readReview decodes a review, whatever form the client posts, and answers it:
// all may be read, nothing written.
func readReview(r *http.Request) (runtime.Object, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, longestReview+1))
	if err != nil {
		return nil, apierrors.NewBadRequest("the body could not be read")
	}
	if len(body) > longestReview {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", longestReview))
	}
	obj, _, err := clientscheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, apierrors.NewBadRequest("the body is no review: " + err.Error())
	}
	switch review := obj.(type) {
	case *authorizationv1.SelfSubjectAccessReview:
		review.Status = mayRead(review.Spec)
	case *authorizationv1.SelfSubjectRulesReview:
		review.Status = authorizationv1.SubjectRulesReviewStatus{
			ResourceRules:    []authorizationv1.ResourceRule{{Verbs: readVerbs(), APIGroups: []string{"*"}, Resources: []string{"*"}}},
			NonResourceRules: []authorizationv1.NonResourceRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"*"}}},
		}
	case *authenticationv1.SelfSubjectReview:
		review.Status = authenticationv1.SelfSubjectReviewStatus{
			UserInfo: authenticationv1.UserInfo{Username: User, Groups: []string{"system:authenticated"}},
		}
	default:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body is a %T, no review of oneself", obj))
	}
	return obj, nil
}

func mayRead(spec authorizationv1.SelfSubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewStatus {
	verb, subresource := "", ""
	switch {
	case spec.ResourceAttributes != nil:
		verb, subresource = spec.ResourceAttributes.Verb, spec.ResourceAttributes.Subresource
	case spec.NonResourceAttributes != nil:
		verb = spec.NonResourceAttributes.Verb
	}
	if slices.Contains(readVerbs(), verb) && (subresource == "" || subresource == "status") {
		return authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "a backup can be read"}
	}
	return authorizationv1.SubjectAccessReviewStatus{Denied: true, Reason: "this is a backup; it can be read, and nothing else"}
}
