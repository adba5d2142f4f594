// Package clients runs the programs and libraries that people look at a
// cluster with against `lifeboat serve`: kubectl, client-go's informers and
// discovery, built from their own source. It has tests only; README.md tells
// what they show and how to run them.
package clients
