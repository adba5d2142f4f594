package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// respond writes an object in the form that the client asks for; JSON where it
// takes none of the server's.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, code int, obj runtime.Object) {
	f, err := negotiatePlain(r)
	if _, isStatus := obj.(*metav1.Status); err != nil && !isStatus {
		s.respondError(w, r, err)
		return
	}
	if err != nil {
		s.writeJSON(w, code, obj)
		return
	}
	var body bytes.Buffer
	if err := f.serializer.Serializer.Encode(obj, &body); err != nil {
		s.writeJSON(w, code, obj)
		return
	}
	s.write(w, code, f.mediaType, body.Bytes())
}

func (s *Server) writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	contentType := w.Header().Get("Content-Type")
	if contentType == "" {
		contentType = runtime.ContentTypeJSON
	}
	s.write(w, code, contentType, append(body, '\n'))
}

func (s *Server) write(w http.ResponseWriter, code int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that went away is not a fault
}

// respondError writes an error as the Status that Kubernetes' clients read.
func (s *Server) respondError(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	if status.Code == http.StatusTooManyRequests || apierrors.IsTimeout(err) && status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	s.respond(w, r, int(status.Code), &status)
}

func statusOf(err error) metav1.Status {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.Kind, status.APIVersion, status.Status = "Status", "v1", metav1.StatusFailure
	if status.Code == 0 {
		status.Code = http.StatusInternalServerError
	}
	return status
}

func gvrOf(info *request.RequestInfo) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}
}
