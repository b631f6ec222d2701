// Package webtest holds the pages to what a person does with them, in a real
// browser: Debian's chromium, found in PATH by its name. Where it is absent the
// tests say so and are skipped.
//
// The screenshots in docs/ are made by the same means from the simulated plant:
//
//	go test ./server/web/webtest -run Screenshots -screenshots docs
package webtest
