// Package tidy holds the rules of the source tree as a test: which package may
// import which, what the engine must not touch, how long things may be, and
// that what is exported is explained. A broken rule fails `go test`.
package tidy
