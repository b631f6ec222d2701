// Package live answers GET /api/v1/live: server-sent events with samples and
// alarms as they are written.
//
//	event: samples
//	data: {"unit":"ms","channels":[{"labels":{…},"times":[…],"values":[…]}]}
//
//	event: alarm
//	data: an event, as GET /api/v1/events has it, with "unit"
//
//	event: missed
//	data: {"dropped":n}
//
// What is sent is durable and can be read. A selector also finds channels that
// are made after the stream began. Samples of one channel come in the order in
// which they were written, which need not be that of their times; a correction
// comes like any other sample. A reader that takes too long loses what finds no
// room: n samples and events, after those that it was sent before. A comment
// every 15 seconds shows that the stream lives.
package live

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

const (
	// heartbeat is how long a stream is silent at most. Proxies cut
	// connections that are silent for a minute.
	heartbeat = 15 * time.Second
	// pause is how long a stream gathers after it has sent something, so that
	// many small writes become few events: an eye sees 40 a second as one
	// motion.
	pause = 25 * time.Millisecond
	// eventBytes is about how long an event becomes, and eventSamples how many
	// samples of one channel it has at most.
	eventBytes   = 128 << 10
	eventSamples = 2048
	// writeBytes is what a reader must take within policy.WriteTime.
	writeBytes = 32 << 10
	// reconnect is how many milliseconds a browser waits before it comes back.
	reconnect = 2000
)

// Streamer streams what is written into a database. It is safe for concurrent
// use.
type Streamer struct {
	DB    *engine.DB
	Clock model.Clock
	// Rows is how many samples and events may wait for one reader; 0 is
	// policy.LiveRows.
	Rows int

	labels labelCache
}

// Serve streams what is written of the channels that match selects, times in
// the given unit, until the request's context ends or its reader is gone: then
// it returns nil. What is wrong with the request is an *api.Error, with nothing
// sent: of a match other than {}, that it selects no channel is no_channel.
func (s *Streamer) Serve(w http.ResponseWriter, r *http.Request, t model.Tenant, match, unit string) error {
	u, err := query.ParseUnit(unit)
	if err != nil {
		return api.AsError(err)
	}
	tap, err := s.tap(r.Context(), t, match)
	if err != nil {
		return api.AsError(err)
	}
	defer tap.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx: pass on at once
	w.WriteHeader(http.StatusOK)
	stream := &stream{writer: w, controller: http.NewResponseController(w), unit: u, labels: &s.labels}
	stream.run(r.Context(), tap)
	// The connection may serve other requests, without a deadline of ours.
	_ = stream.controller.SetWriteDeadline(time.Time{})
	return nil
}

func (s *Streamer) tap(ctx context.Context, t model.Tenant, match string) (*engine.Tap, error) {
	var selector model.Selector
	if match != "" {
		var err error
		if selector, err = model.ParseSelector(match); err != nil {
			return nil, err
		}
	}
	rows := s.Rows
	if rows == 0 {
		rows = int(policy.LiveRows.Default)
	}
	tap, err := s.DB.Tap(ctx, t, selector, rows)
	if errors.Is(err, engine.ErrTooManyTaps) {
		return nil, api.NewError("busy", "there is no memory for one more live stream of so many channels").Because(err)
	}
	if err != nil {
		return nil, err
	}
	if len(selector) > 0 && tap.Selected() == 0 {
		tap.Close()
		return nil, api.NewError("no_channel", selector.String()+" matches nothing")
	}
	return tap, nil
}

// stream is one reader's.
type stream struct {
	writer     http.ResponseWriter
	controller *http.ResponseController
	unit       query.Unit
	labels     *labelCache
	buffer     []byte
}

// run sends what the tap gathers until the context ends or the reader is gone.
func (s *stream) run(ctx context.Context, tap *engine.Tap) {
	s.buffer = append(s.buffer, "retry: "+strconv.Itoa(reconnect)+"\n\n"...)
	if s.send() != nil {
		return
	}
	silence := time.NewTicker(heartbeat)
	defer silence.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tap.Ended():
			return
		case <-silence.C:
			s.buffer = append(s.buffer, ":\n\n"...)
		case <-tap.Ready():
			select {
			case <-rest.C:
			case <-ctx.Done():
				return
			}
			feed, err := tap.Take(ctx)
			if err != nil || s.events(&feed) != nil {
				return
			}
			tap.GiveBack(feed)
			rest.Reset(pause)
			if len(s.buffer) > 0 { // else what came was of other channels
				silence.Reset(heartbeat)
			}
		}
		if s.send() != nil {
			return
		}
	}
}

// send writes the buffer and flushes it to the reader.
func (s *stream) send() error {
	for part := range slices.Chunk(s.buffer, writeBytes) {
		// What has no deadlines is a test's recorder.
		_ = s.controller.SetWriteDeadline(time.Now().Add(time.Duration(policy.WriteTime.Default)))
		if _, err := s.writer.Write(part); err != nil {
			return err
		}
		if err := s.controller.Flush(); err != nil {
			return err
		}
	}
	if s.buffer = s.buffer[:0]; cap(s.buffer) > 2*eventBytes {
		s.buffer = nil
	}
	return nil
}

// sendFull sends the buffer if it has become as long as an event may.
func (s *stream) sendFull() error {
	if len(s.buffer) < eventBytes {
		return nil
	}
	return s.send()
}

// events writes a feed as events into the buffer, and sends it whenever it is
// full.
func (s *stream) events(feed *engine.TapFeed) error {
	// Rows of one channel are sent together, in the order in which they came.
	slices.SortStableFunc(feed.Rows, func(a, b engine.TapRows) int { return cmp.Compare(a.Channel, b.Channel) })
	for rows := feed.Rows; len(rows) > 0; {
		start := len(s.buffer)
		s.buffer = append(s.buffer, `event: samples`+"\n"+`data: {"unit":"`...)
		s.buffer = append(append(s.buffer, s.unit.Name...), `","channels":[`...)
		for first := true; len(rows) > 0 && (first || len(s.buffer)-start < eventBytes); first = false {
			if !first {
				s.buffer = append(s.buffer, ',')
			}
			rows = s.channel(rows)
		}
		s.buffer = append(s.buffer, "]}\n\n"...)
		if err := s.sendFull(); err != nil {
			return err
		}
	}
	for i := range feed.Events {
		if err := s.alarm(&feed.Events[i]); err != nil {
			return err
		}
		if err := s.sendFull(); err != nil {
			return err
		}
	}
	if feed.Dropped > 0 {
		s.buffer = append(s.buffer, "event: missed\ndata: {\"dropped\":"...)
		s.buffer = strconv.AppendUint(s.buffer, feed.Dropped, 10)
		s.buffer = append(s.buffer, "}\n\n"...)
	}
	return nil
}

// channel writes the rows of the first channel, as many as one event takes, and
// returns those that are left.
func (s *stream) channel(rows []engine.TapRows) (left []engine.TapRows) {
	n, samples := 0, 0
	for n < len(rows) && rows[n].Channel == rows[0].Channel && samples < eventSamples {
		samples += len(rows[n].Times)
		n++
	}
	pieces, left := rows[:n], rows[n:]
	if last := &pieces[n-1]; samples > eventSamples { // what is too much of it comes again
		kept := len(last.Times) - (samples - eventSamples)
		left = rows[n-1:]
		pieces = append(pieces[:n-1:n-1], *last)
		pieces[n-1].Times, pieces[n-1].Values = last.Times[:kept], last.Values[:kept]
		last.Times, last.Values = last.Times[kept:], last.Values[kept:]
	}
	b := append(append(s.buffer, `{"labels":`...), s.labels.text(pieces[0].Labels)...)
	b = append(b, `,"times":[`...)
	for _, piece := range pieces {
		for _, at := range piece.Times {
			b = append(strconv.AppendInt(b, s.unit.Floor(at), 10), ',')
		}
	}
	b = append(b[:len(b)-1], `],"values":[`...)
	for _, piece := range pieces {
		for _, v := range piece.Values {
			b = append(query.AppendValue(b, v), ',')
		}
	}
	s.buffer = append(b[:len(b)-1], "]}"...)
	return left
}

// alarmBody is an event with the unit of its time.
type alarmBody struct {
	Unit string `json:"unit"`
	api.Event
}

func (s *stream) alarm(e *engine.TapEvent) error {
	text, err := json.Marshal(alarmBody{s.unit.Name, api.NewEvent(&e.Event, &e.Labels, s.unit)})
	if err != nil {
		return err
	}
	s.buffer = append(append(append(s.buffer, "event: alarm\ndata: "...), text...), "\n\n"...)
	return nil
}
