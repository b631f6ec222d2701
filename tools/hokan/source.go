package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/hokan-db/hokan/ingest"
)

// openSource opens a file to import, or stdin for "-". The size is -1 where it
// is not known: pipes and devices are read as streams, which a signal ends
// even while nothing comes. Errors are *ingest.Error, or the context's.
func openSource(t *terminal, path string) (source io.ReadCloser, size int64, err error) {
	if path == "-" {
		return newStream(t.ctx, io.NopCloser(t.stdin)), -1, nil
	}
	info, err := os.Stat(path)
	switch {
	case path == "":
		return nil, 0, &ingest.Error{Code: "malformed", Detail: "the name of a file is empty"}
	case err != nil:
		return nil, 0, unreadable(path, err)
	case info.IsDir():
		return nil, 0, &ingest.Error{File: path, Code: "malformed", Detail: "it is a folder"}
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, unreadable(path, err)
		}
		return f, info.Size(), nil
	}
	f, err := openWaiting(t.ctx, path)
	if err != nil && t.ctx.Err() == nil {
		err = unreadable(path, err)
	}
	if err != nil {
		return nil, 0, err
	}
	return newStream(t.ctx, f), -1, nil
}

// openWaiting opens a file that may let its opener wait, as a named pipe does
// until somebody writes, but no longer than the context lasts.
func openWaiting(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened)
	go func() {
		f, err := os.Open(path)
		select {
		case done <- opened{f, err}:
		case <-ctx.Done():
			f.Close()
		}
	}()
	select {
	case o := <-done:
		return o.file, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stream reads a source whose reads may block for ever. The reads are made
// elsewhere, so that the end of the context or Close ends the wait for one;
// the read itself goes on until the source gives something.
type stream struct {
	*io.PipeReader
	stop func() bool
}

func newStream(ctx context.Context, source io.ReadCloser) stream {
	reader, writer := io.Pipe()
	go func() {
		_, err := io.Copy(writer, source)
		writer.CloseWithError(err)
		source.Close()
	}()
	return stream{reader, context.AfterFunc(ctx, func() { writer.CloseWithError(ctx.Err()) })}
}

// Close implements io.Closer.
func (s stream) Close() error {
	s.stop()
	return s.PipeReader.Close()
}

// unreadable says why a file cannot be opened.
func unreadable(path string, err error) error {
	code := "internal"
	switch {
	case errors.Is(err, os.ErrNotExist):
		code = "not_found"
	case errors.Is(err, os.ErrPermission):
		code = "forbidden"
	}
	return &ingest.Error{File: path, Code: code, Detail: reason(err)}
}
