package main

import (
	"fmt"
	"os"
	"time"
)

// apiServerName is the name under which the test binary is a kube-apiserver that
// never gets ready.
const apiServerName = "kube-apiserver"

// apiServerMain has a version, and says what keeps it from being ready.
func apiServerMain() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("Kubernetes v1.37.1")
		return
	}
	fmt.Println(`E1128 22:00:00.000000       1 run.go:72] "command failed" err="open /etc/kubernetes/extra/authn.yaml: no such file or directory"`)
	time.Sleep(time.Minute)
}
