// Package etcd35 holds lifeboat against real servers of etcd 3.5, compiled in. What
// it does with them stands in package oldetcd.
package etcd35
