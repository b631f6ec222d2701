package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxEvent bounds one event of the live stream, in bytes.
const maxEvent = 16 << 20

// Live calls visit with every event of the live stream: its kind (samples,
// alarm, missed) and its data, a JSON object. It returns nil when the server
// ends the stream or ctx ends, and else the error of visit or of the stream.
func (c *Client) Live(ctx context.Context, match, unit string, visit func(kind string, data []byte) error) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	response, err := c.do(ctx, http.MethodGet, "/api/v1/live", values("match", match, "unit", unit), header, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	err = readEvents(response.Body, visit)
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readEvents reads server-sent events: lines "event: KIND" and "data: TEXT",
// each event ended by an empty line; a line that begins with a colon is a sign
// of life. It returns io.EOF at the end.
func readEvents(r io.Reader, visit func(kind string, data []byte) error) error {
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
