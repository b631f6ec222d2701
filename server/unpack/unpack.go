// Package unpack reads the bodies of requests that write samples, packed or not,
// within bounds of bytes and of how many may be large at once.
package unpack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/turns"
	"github.com/hokan-db/hokan/server/api"
)

// Charger is a body that counts bytes as in progress, as long as its request
// is: those that it sends, and those that it is unpacked to.
type Charger interface {
	// Charge counts n bytes more, or refuses them.
	Charge(n int64) error
}

// BytesKept is how much memory a Body keeps for the next request: that of an
// ordinary one.
const BytesKept = 1 << 20

// Body is the body of a request, and its memory, for one after another.
type Body struct {
	Bytes  []byte // unpacked
	packed []byte // as sent, if it was packed
	tenant model.Tenant
	large  bool // it has one of the places of large
}

// Read fills b.Bytes with the unpacked body, of at most the given number of
// bytes as sent and unpacked. The encoding is what Content-Encoding says. Every
// error is an *api.Error. Release must follow.
func (b *Body) Read(ctx context.Context, tenant model.Tenant, encoding string, from io.Reader, most int64) error {
	b.tenant = tenant
	var unpack func(dst, packed []byte, most int64) ([]byte, error)
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		if b.Bytes, err = readAll(b.Bytes[:0], from, most); err != nil {
			return readError(err, len(b.Bytes), most)
		}
		if len(b.Bytes) > BytesKept {
			return b.enter(ctx)
		}
		return nil
	case "zstd":
		unpack = unzstd
	case "gzip", "x-gzip":
		unpack = gunzip
	case "snappy":
		unpack = unsnappy
	default:
		return api.NewError("unsupported_media_type", "Content-Encoding "+quote(encoding)+" is none of zstd, gzip, snappy, identity")
	}
	if b.packed, err = readAll(b.packed[:0], from, most); err != nil {
		return readError(err, len(b.packed), most)
	}
	// A few bytes may become very many: those wait for their turn, as few bytes.
	b.Bytes, err = unpack(b.Bytes[:0], b.packed, min(most, BytesKept))
	if errors.Is(err, errTooLarge) && most > BytesKept {
		b.Bytes = nil
		if err := b.enter(ctx); err != nil {
			return err
		}
		b.Bytes, err = unpack(nil, b.packed, most)
	}
	if errors.Is(err, errTooLarge) {
		return tooLarge(most, "unpacked")
	}
	if err != nil {
		return malformed("the body cannot be unpacked: " + err.Error())
	}
	if c, ok := from.(Charger); ok {
		if err := c.Charge(int64(len(b.Bytes))); err != nil {
			return readError(err, len(b.packed), most)
		}
	}
	return nil
}

// large has a place for every request larger than ordinary ones that is unpacked,
// decoded or appended: at most half of them for one tenant. The bytes as they are sent come before,
// so that a slow sender holds no place: they wait in memory, which the server
// around bounds as bytes in progress.
var large = turns.New(int(policy.LargeBodies.Default), int(policy.LargeBodies.Default)/2)

// enter waits until b may be large.
func (b *Body) enter(ctx context.Context) error {
	if large.Enter(ctx, b.tenant) != nil {
		return api.NewError("busy", "too many large requests are in progress")
	}
	b.large = true
	return nil
}

// Drop lets go of the bytes of a large body, which nobody needs any more while
// the request goes on.
func (b *Body) Drop() {
	if b.large {
		b.Bytes, b.packed = nil, nil
	}
}

// Release ends the request. The memory of an ordinary body stays for the next.
func (b *Body) Release() {
	if b.large {
		large.Leave(b.tenant)
	}
	if cap(b.packed) > BytesKept || cap(b.Bytes) > BytesKept {
		*b = Body{}
	}
	*b = Body{Bytes: b.Bytes[:0], packed: b.packed[:0]}
}

// errTooLarge is returned by what reads more than it may.
var errTooLarge = errors.New("too large")

func tooLarge(most int64, how string) error {
	return api.NewError("body_too_large", "the body has more than "+strconv.FormatInt(most, 10)+" bytes "+how+": send several")
}

func malformed(detail string) *api.Error { return api.NewError("malformed", detail) }

// readError says why a body could not be read after n bytes.
func readError(err error, n int, most int64) error {
	var limited *http.MaxBytesError
	var refused *api.Error // by the server around
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, errTooLarge):
		return tooLarge(most, "as sent")
	case errors.As(err, &limited):
		return tooLarge(limited.Limit, "as sent")
	}
	return malformed("the body ends after " + strconv.Itoa(n) + " bytes: " + err.Error()).Because(err)
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
	// What says at once that it is too large is not given the memory.
	var header zstd.Header
	if header.Decode(packed) == nil && header.HasFCS && header.FrameContentSize > uint64(most) {
		return dst, errTooLarge
	}
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

// unsnappy unpacks a block, as Prometheus sends it.
func unsnappy(dst, packed []byte, most int64) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil {
		return dst, err
	}
	if int64(n) > most {
		return dst, errTooLarge
	}
	if n > cap(dst) {
		dst = make([]byte, n)
	}
	return s2.Decode(dst[:cap(dst)], packed)
}

// quote quotes text for an error message, cut to a readable length.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
