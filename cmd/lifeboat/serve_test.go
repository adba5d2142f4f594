package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// kubegetMain is a client of the Kubernetes API for scripts: it asks for one
// path, as client-go finds the server in $KUBECONFIG, and prints the answer;
// warnings go to standard error. Exit 1 is an answer that says no.
func kubegetMain() {
	method := flag.String("X", http.MethodGet, "")
	context := flag.String("context", "", "")
	flag.Parse()
	code, err := kubeget(*method, *context, flag.Arg(0))
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case code >= http.StatusBadRequest:
		os.Exit(1)
	}
}

func kubeget(method, context, path string) (int, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return 0, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequest(method, config.Host+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for _, warning := range resp.Header.Values("Warning") {
		fmt.Fprintln(os.Stderr, "Warning:", warning)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return resp.StatusCode, err
}
