package server

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packFrom is from how many bytes on an answer is worth compressing.
const packFrom = 1 << 10

// mayPack reports whether the answer is one that is compressed where it is
// large enough and the client reads that.
func (a *answer) mayPack() bool {
	h := a.Header()
	return isJSON(h.Get("Content-Type")) && h.Get("Content-Encoding") == "" && a.request.Method != http.MethodHead &&
		a.status != http.StatusNoContent
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// acceptedCoding returns the coding to use: zstd before gzip, "" for neither.
func acceptedCoding(accepted []string) string {
	best := ""
	for _, part := range strings.Split(strings.Join(accepted, ","), ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(part), ";")
		quality := strings.ReplaceAll(parameters, " ", "")
		if strings.HasPrefix(quality, "q=0") && strings.Trim(quality[3:], ".0") == "" {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "zstd":
			return "zstd"
		case "gzip":
			best = "gzip"
		}
	}
	return best
}

// open sends the header that was held back until it is known how much the
// first piece of the body has, and begins to compress if that is enough.
func (a *answer) open(first int) {
	a.held = false
	h := a.Header()
	h.Add("Vary", "Accept-Encoding")
	coding := ""
	if first >= packFrom {
		coding = acceptedCoding(a.request.Header.Values("Accept-Encoding"))
	}
	switch coding {
	case "zstd":
		w := zstdWriters.Get().(*zstd.Encoder)
		w.Reset(sender{a})
		a.packer, a.recycle = w, func() { zstdWriters.Put(w) }
	case "gzip":
		w := gzipWriters.Get().(*gzip.Writer)
		w.Reset(sender{a})
		a.packer, a.recycle = w, func() { gzipWriters.Put(w) }
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
		h.Del("Content-Length")
	}
	a.extend()
	a.ResponseWriter.WriteHeader(a.status)
}

// sender is where a packer writes to.
type sender struct{ answer *answer }

// Write implements io.Writer.
func (s sender) Write(b []byte) (int, error) { return s.answer.send(b) }

var (
	gzipWriters = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is valid
		return w
	}}
	zstdWriters = sync.Pool{New: func() any {
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true)) // the options are valid
		return w
	}}
)
