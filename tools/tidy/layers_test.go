package tidy

import "strings"

// module is the import path of the repository's root.
const module = "github.com/hokan-db/hokan"

// storage lists the engine's packages from the bottom up: each may import only
// those before it.
var storage = []string{
	"engine/model",
	"engine/policy",
	"engine/receipt",
	"engine/turns",
	"engine/disk",
	"engine/chunk",
	"engine/entry",
	"engine/wal",
	"engine/merge",
	"engine/head",
	"engine/block",
	"engine/index",
	"engine/alarm",
	"engine/catalog",
	"engine/compute",
	"engine/maintain",
	"engine",
}

// others lists the folders outside of the engine, each with all that it may
// import of the module besides itself. Of the storage packages they see the
// engine alone, with the words that it speaks in.
var others = map[string][]string{
	"ingest":      {"engine", "engine/model", "engine/policy"},
	"query":       {"engine", "engine/model", "engine/policy"},
	"server":      {"engine", "engine/model", "engine/policy", "engine/turns", "ingest", "query"},
	"tools/hokan": {"engine", "engine/model", "engine/policy", "ingest", "query", "server"},
	"tools/tidy":  {},
}

// allowed lists the imports from outside, each with its one job and the
// folders that may use it. A folder may also use what its tests need.
var allowed = []struct {
	path    string
	job     string
	folders []string // nil: tests only
}{
	{"github.com/cockroachdb/pebble/v2/vfs", "file system", []string{"engine", "tools/hokan", "server"}},
	{"github.com/cockroachdb/pebble/v2", "catalog", []string{"engine/catalog"}},
	{"github.com/RoaringBitmap/roaring/v2", "postings and channel sets", []string{"engine"}},
	{"github.com/klauspost/compress", "Huffman, zstd and s2", []string{"engine/chunk", "engine/entry", "ingest", "query", "server"}},
	{"github.com/vmihailenco/msgpack/v5", "catalog records and the gateways' write format", []string{"engine/catalog", "ingest", "server/client", "server/samples"}},
	{"google.golang.org/protobuf/encoding/protowire", "reading protobuf", []string{"ingest"}},
	{"github.com/prometheus/client_golang", "metrics", []string{"server"}},
	{"github.com/danielgtaylor/huma/v2", "OpenAPI and problems from handlers", []string{"server"}},
	{"github.com/alecthomas/kong", "command line", []string{"tools/hokan"}},
	{"github.com/schollz/progressbar/v3", "progress of long commands", []string{"tools/hokan"}},
	{"golang.org/x/term", "whether output is a terminal", []string{"tools/hokan"}},
	{"golang.org/x/text", "Shift_JIS, and how wide characters are", []string{"ingest", "tools/hokan"}},
	{"golang.org/x/time/rate", "rate limits", []string{"ingest", "server"}},
	{"github.com/chromedp/chromedp", "browser tests", nil},
	{"github.com/chromedp/cdproto", "browser tests", nil},
	{"pgregory.net/rapid", "property tests", nil},
}

// within reports whether folder is root or lies in it.
func within(folder, root string) bool {
	return folder == root || strings.HasPrefix(folder, root+"/")
}

// isTestPackage reports whether folder holds a package that only tests use.
func isTestPackage(folder string) bool { return strings.HasSuffix(folder, "test") }

// layerOf returns the index in storage of the package in folder, -1 where it
// is not listed. A package of test helpers belongs to the package it helps.
func layerOf(folder string) int {
	if isTestPackage(folder) {
		folder = folder[:max(strings.LastIndex(folder, "/"), 0)]
	}
	for i, listed := range storage {
		if listed == folder {
			return i
		}
	}
	return -1
}

// otherOf returns the entry of others that folder lies in, "" if none.
func otherOf(folder string) string {
	for root := range others {
		if within(folder, root) {
			return root
		}
	}
	return ""
}

// mayImport says why the package in folder must not import the one in target,
// both of this module; "" where it may.
func mayImport(folder, target string) string {
	if isTestPackage(target) && !isTestPackage(folder) {
		return "only tests may import " + target
	}
	if within(folder, "engine") {
		from, to := layerOf(folder), layerOf(target)
		switch {
		case from < 0:
			return folder + " is not in the list of storage packages"
		case to < 0:
			return folder + " may not import " + target
		case to > from, to == from && !isTestPackage(folder):
			return folder + " may import only packages below it, not " + target
		}
		return ""
	}
	root := otherOf(folder)
	if root == "" {
		return folder + " has no import rule"
	}
	if within(target, root) {
		return ""
	}
	for _, permitted := range others[root] {
		exact := within(permitted, "engine")
		if target == permitted || !exact && within(target, permitted) {
			return ""
		}
	}
	return root + " may not import " + target
}

// mayUse says why a file in folder must not import path, which is not of this
// module; "" where it may.
func mayUse(folder, path string, test bool) string {
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") {
		return "" // standard library
	}
	for _, a := range allowed {
		if !within(path, a.path) {
			continue
		}
		if test {
			return ""
		}
		for _, root := range a.folders {
			if within(folder, root) {
				return ""
			}
		}
		return path + " is for " + a.job + " only, not for " + folder
	}
	return path + " is not in the list of dependencies"
}
