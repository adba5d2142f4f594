// Package printer shows stored objects as kube-apiserver and kubectl would.
//
// [Preferred] turns an object from the version in which it lies in etcd into
// the one in which kube-apiserver 1.37 with default flags answers, with the
// API server's own decoding, defaulting and conversion. A [Printer] makes the
// table row that the API server would have sent for it, and a [Writer] sets
// rows the way kubectl does:
//
//	p := printer.New(resources, now)
//	w := printer.NewWriter(os.Stdout, printer.Options{Namespace: true})
//	for object := range objects {
//		w.Write(p.Row(object))
//	}
//	w.Flush()
//
// Ages count to the given moment, usually the newest time stamp of a backup,
// never to the clock: the same backup prints the same table next year.
//
// Importing the package fills k8s.io/kubernetes' legacy scheme, as importing
// any of its install packages does.
package printer
