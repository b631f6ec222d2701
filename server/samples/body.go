package samples

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
	"github.com/klauspost/compress/zstd"

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

// read fills r.body with the unpacked body, of at most the given number of
// bytes as sent and unpacked.
func (r *request) read(ctx context.Context, encoding string, body io.Reader, most int64) error {
	var unpack func(dst, packed []byte, most int64) ([]byte, error)
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		if r.body, err = readAll(r.body[:0], body, most); err != nil {
			return readError(err, len(r.body), most)
		}
		if len(r.body) > mostBytesKept {
			return r.enter(ctx)
		}
		return nil
	case "zstd":
		unpack = unzstd
	case "gzip", "x-gzip":
		unpack = gunzip
	default:
		return api.NewError("unsupported_media_type", "Content-Encoding "+quote(encoding)+" is none of zstd, gzip, identity")
	}
	if r.packed, err = readAll(r.packed[:0], body, most); err != nil {
		return readError(err, len(r.packed), most)
	}
	// A few bytes may become very many: those wait for their turn, as few bytes.
	r.body, err = unpack(r.body[:0], r.packed, min(most, mostBytesKept))
	if errors.Is(err, errTooLarge) && most > mostBytesKept {
		r.body = nil
		if err := r.enter(ctx); err != nil {
			return err
		}
		r.body, err = unpack(nil, r.packed, most)
	}
	if errors.Is(err, errTooLarge) {
		return tooLarge(most, "unpacked")
	}
	if err != nil {
		return malformed("the body cannot be unpacked: " + err.Error())
	}
	if c, ok := body.(Charger); ok {
		if err := c.Charge(int64(len(r.body))); err != nil {
			return readError(err, len(r.packed), most)
		}
	}
	return nil
}

// large has a place for every request larger than ordinary ones that is unpacked,
// decoded or appended: at most half of them for one tenant. The bytes as they are sent come before,
// so that a slow sender holds no place: they wait in memory, which the server
// around bounds as bytes in progress.
var large = turns.New(int(policy.LargeBodies.Default), int(policy.LargeBodies.Default)/2)

// enter waits until r may be large.
func (r *request) enter(ctx context.Context) error {
	if large.Enter(ctx, r.tenant) != nil {
		return api.NewError("busy", "too many large requests are in progress")
	}
	r.large = true
	return nil
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
