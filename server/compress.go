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

// packHardFrom is from how many bytes on an answer is large.
const packHardFrom = 64 << 10

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
	if coding != "" {
		pool := packers[coding][packSmall]
		if first >= packHardFrom {
			pool = packers[coding][packLarge]
		}
		w := pool.Get().(resetter)
		w.Reset(sender{a})
		a.packer, a.recycle = w, func() { pool.Put(w) }
		h.Set("Content-Encoding", coding)
		h.Del("Content-Length")
	}
	a.extend(a.sent)
	a.ResponseWriter.WriteHeader(a.status)
}

// sender is where a packer writes to.
type sender struct{ answer *answer }

// Write implements io.Writer.
func (s sender) Write(b []byte) (int, error) { return s.answer.send(b) }

// resetter is a compressor that can be used again.
type resetter interface {
	io.WriteCloser
	Reset(io.Writer)
}

// Small answers are packed quickly; of large ones the link is the slower part.
const (
	packSmall = iota
	packLarge
)

// packers are the compressors by coding and size. Their options are valid, so
// that making one cannot fail. A view of 32 channels in 1,366 buckets, 1.7 MB,
// becomes 374 kB of zstd in 14 ms of one core, 402 kB of gzip in 13 ms.
var packers = map[string][2]*sync.Pool{
	"gzip": {gzipPool(gzip.BestSpeed), gzipPool(6)},
	"zstd": {zstdPool(zstd.SpeedFastest), zstdPool(zstd.SpeedBetterCompression)},
}

func gzipPool(level int) *sync.Pool {
	return &sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(io.Discard, level)
		return w
	}}
}

// zstdWindow is how far back a decoder must remember: below what every browser
// allows, 8 MiB.
const zstdWindow = 1 << 20

func zstdPool(level zstd.EncoderLevel) *sync.Pool {
	return &sync.Pool{New: func() any {
		// With more than one it would write to the answer from a goroutine of its own.
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		return w
	}}
}
