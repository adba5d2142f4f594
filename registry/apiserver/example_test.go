package apiserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func Example() {
	files, err := unpacked() // the parts of kube-backup.tar.gz
	if err != nil {
		panic(err)
	}
	f, err := os.CreateTemp("", "snapshot")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // a temporary file: the system removes what stays
	if _, err := f.Write(files["etcd-backup.snapshot"]); err != nil {
		panic(err)
	}
	db, err := snapshot.OpenFile(context.Background(), f)
	if err != nil {
		panic(err)
	}
	defer db.Close()

	server, err := apiserver.New(context.Background(), apiserver.Options{Reader: db, Registry: registry.Options{}, Source: "kube-backup.tar.gz"})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/namespaces/infra-production/configmaps/flip", nil))
	fmt.Println(answer.Code)
	answer = httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequest(http.MethodDelete, "/api/v1/namespaces/infra-production/configmaps/flip", nil))
	fmt.Println(answer.Code)
	// Output:
	// 200
	// 405
}
