package samples

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/server/api"
)

// read fills r.body with the unpacked body, of at most the given number of
// bytes as sent and unpacked.
func (r *request) read(encoding string, body io.Reader, most int64) error {
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		r.body, err = readAll(r.body[:0], body, most)
		return readError(err, len(r.body), most)
	case "zstd":
		if r.packed, err = readAll(r.packed[:0], body, most); err != nil {
			return readError(err, len(r.packed), most)
		}
		r.body, err = unzstd(r.body[:0], r.packed, most)
	case "gzip", "x-gzip":
		if r.packed, err = readAll(r.packed[:0], body, most); err != nil {
			return readError(err, len(r.packed), most)
		}
		r.body, err = gunzip(r.body[:0], r.packed, most)
	default:
		return api.NewError("unsupported_media_type", "Content-Encoding "+quote(encoding)+" is none of zstd, gzip, identity")
	}
	if errors.Is(err, errTooLarge) {
		return tooLarge(most, "unpacked")
	}
	if err != nil {
		return malformed("the body cannot be unpacked: " + err.Error())
	}
	return nil
}

// errTooLarge is returned by what reads more than it may.
var errTooLarge = errors.New("too large")

func tooLarge(most int64, how string) error {
	return api.NewError("body_too_large", "the body has more than "+strconv.FormatInt(most, 10)+" bytes "+how+": send several")
}

func malformed(detail string) error { return api.NewError("malformed", detail) }

// readError says why a body could not be read after n bytes.
func readError(err error, n int, most int64) error {
	var limited *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooLarge):
		return tooLarge(most, "as sent")
	case errors.As(err, &limited):
		return tooLarge(limited.Limit, "as sent")
	}
	return malformed("the body ends after " + strconv.Itoa(n) + " bytes: " + err.Error())
}

// readAll appends all of body to dst, which it returns also with an error.
func readAll(dst []byte, body io.Reader, most int64) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), max(2*cap(dst), 32<<10))
			copy(grown, dst)
			dst = grown
		}
		n, err := body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if int64(len(dst)) > most {
			return dst, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// maxWindow bounds the memory of a zstd frame: that of the strongest levels
// that encoders use without being asked for more.
const maxWindow = 8 << 20

// unpackers hold zstd decoders, one for each limit that was asked for.
var unpackers sync.Map // of int64: *zstd.Decoder

func unpacker(most int64) (*zstd.Decoder, error) {
	if d, ok := unpackers.Load(most); ok {
		return d.(*zstd.Decoder), nil
	}
	// The library wants room for a window even where the content is smaller.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(max(most, maxWindow))), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	kept, _ := unpackers.LoadOrStore(most, d)
	return kept.(*zstd.Decoder), nil
}

func unzstd(dst, packed []byte, most int64) ([]byte, error) {
	d, err := unpacker(most)
	if err != nil {
		return dst, err
	}
	out, err := d.DecodeAll(packed, dst)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = errTooLarge
	}
	if err == nil && int64(len(out)) > most {
		err = errTooLarge
	}
	if out == nil {
		out = dst
	}
	return out, err
}

var gunzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func gunzip(dst, packed []byte, most int64) ([]byte, error) {
	z := gunzippers.Get().(*gzip.Reader)
	defer gunzippers.Put(z)
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		return dst, err
	}
	return readAll(dst, z, most)
}
