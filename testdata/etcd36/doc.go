// Package etcd36 holds lifeboat against real servers of etcd 3.6, compiled in. What
// it does with them stands in package oldetcd.
package etcd36
