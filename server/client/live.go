package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hokan-db/hokan/server/api"
)

// maxEvent bounds one event of the live stream, in bytes.
const maxEvent = 16 << 20

// Live calls visit with every event of the live stream: its kind (samples,
// alarm, missed) and its data, a JSON object. It returns nil when the server
// ends the stream or ctx ends, and else the error of visit or of the stream.
func (c *Client) Live(ctx context.Context, match, unit string, visit func(kind string, data []byte) error) error {
	err := c.stream(ctx, match, unit, func(time.Duration) {}, visit)
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Follow is Live that connects again when the stream ends, after as long as the
// stream says, until ctx ends or the server refuses. lost is told why the stream
// ended, once, and nil when it goes on: what was written between is not shown.
func (c *Client) Follow(ctx context.Context, match, unit string, visit func(kind string, data []byte) error, lost func(error)) error {
	var pause time.Duration // 0 until there was a stream
	away := false
	begun := func(retry time.Duration) {
		if pause = retry; away {
			away = false
			lost(nil)
		}
	}
	for {
		err := c.stream(ctx, match, unit, begun, visit)
		if errors.Is(err, io.EOF) {
			err = api.NewError("interrupted", "the server ended the stream")
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case pause == 0 || !passes(err):
			return err
		case !away:
			away = true
			lost(err)
		}
		if wait(ctx, pause) != nil {
			return nil
		}
	}
}

// passes reports whether err may be that of a server that starts again, or of
// the network between.
func passes(err error) bool {
	switch api.AsError(err).Code {
	case "interrupted", "unavailable", "busy", "rate_limited":
		return true
	}
	return false
}

// stream reads one stream to its end, which is io.EOF. begun is told how long to
// wait before another is asked for.
func (c *Client) stream(ctx context.Context, match, unit string, begun func(retry time.Duration), visit func(kind string, data []byte) error) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	response, err := c.do(ctx, http.MethodGet, "/api/v1/live", values("match", match, "unit", unit), header, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	begun(busyWait)
	return readEvents(c.received(ctx, response), begun, visit)
}

// readEvents reads server-sent events: lines "event: KIND" and "data: TEXT",
// each event ended by an empty line; "retry: MILLISECONDS" stands for itself,
// and a line that begins with a colon is a sign of life. It returns io.EOF at
// the end.
func readEvents(r io.Reader, begun func(retry time.Duration), visit func(kind string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxEvent)
	kind, data := "", []byte(nil)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			kind = value
		case "data":
			data = append(append(data, value...), '\n')
		case "retry":
			if milliseconds, err := strconv.ParseUint(value, 10, 16); err == nil && milliseconds > 0 {
				begun(time.Duration(milliseconds) * time.Millisecond)
			}
		}
		if lines.Text() != "" {
			continue
		}
		if len(data) > 0 {
			if err := visit(kind, data[:len(data)-1]); err != nil {
				return err
			}
		}
		kind, data = "", data[:0]
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

// body is an answer that is read while it comes: its errors say that the
// connection was lost.
type body struct {
	io.ReadCloser
	unreachable func(error) error
}

func (c *Client) received(ctx context.Context, response *http.Response) io.ReadCloser {
	return body{response.Body, func(err error) error { return c.unreachable(ctx, err) }}
}

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = b.unreachable(err)
	}
	return n, err
}
