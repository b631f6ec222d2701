package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hokan-db/hokan/bench/workload"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

const hokanServerID = "hokan-server"

var hokanServerSubject = Subject{
	ID: hokanServerID, Name: "Hokan server", Server: true, SameFiles: true,
	Settings: "defaults; samples as msgpack; each write is synced before it is acknowledged; " +
		"a view, a table or latest is JSON, an export a zip of CSV",
	Writers: inFlight, Columns: hokanColumns,
	Version: func() (string, error) { return revision(), nil },
	Open:    openHokanServer,
	Size:    hokanSize,
}

type hokanServer struct {
	*server
	options Options
	labels  [][]byte // of each channel, as msgpack
	client  *client.Client
	token   string
	buffers sync.Pool // of *[]byte
}

func openHokanServer(o Options) (Store, error) {
	if o.Hokan == "" {
		return nil, fmt.Errorf("%w: the program hokan was not built", ErrNotThere)
	}
	h := &hokanServer{options: o, buffers: sync.Pool{New: func() any { return new([]byte) }}}
	for i := range o.Channels {
		labels := packText(packMap(nil, 2), model.InstrumentLabel, workload.Instrument(i))
		h.labels = append(h.labels, packText(labels, model.ChannelLabel, workload.Name(i)))
	}
	var err error
	if h.token, err = hokanToken(o); err != nil {
		return nil, err
	}
	return h, h.start()
}

// hokanToken makes a token, or finds the one that was made when the folder was
// new: making it opens the database, which after a crash is the server's to do.
func hokanToken(o Options) (string, error) {
	path := o.Dir + ".token"
	if token, err := os.ReadFile(path); err == nil {
		return string(token), nil
	}
	said, err := exec.Command(o.Hokan, "token", "create", "--data", o.Dir, "--tenant", string(hokanTenant)).Output()
	if err != nil {
		return "", fmt.Errorf("hokan token create: %w", explain(err))
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	token := lines[len(lines)-1]
	return token, os.WriteFile(path, []byte(token), 0o600)
}

// explain adds what a command said of its error.
func explain(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

func (h *hokanServer) start() error {
	address, err := freePort()
	if err != nil {
		return err
	}
	h.server, err = startServer(address, "/readyz", h.options.Dir, h.options.Hokan, "serve", "--data", h.options.Dir, "--listen", address, "--log", "warn")
	if err != nil {
		return err
	}
	h.header.Set("Authorization", "Bearer "+h.token)
	h.client, err = client.New(h.base, h.token)
	return err
}

// request begins a body of samples whose channels share the first one's times.
func (h *hokanServer) request(b []byte, times []byte, channels int) []byte {
	b = packText(packMap(b, 3), "unit", "ms")
	b = packBytes(packString(b, "times"), times)
	return packArray(packString(b, "channels"), channels)
}

// send sends a body. What is refused comes back as an error: none of it may be.
func (h *hokanServer) send(b []byte, samples int) error {
	answer, err := h.do("POST", "/api/v1/samples", nil, b, "Content-Type", "application/msgpack")
	if err != nil {
		return err
	}
	defer answer.Close()
	var body api.SamplesBody
	if err := json.NewDecoder(answer).Decode(&body); err != nil {
		return err
	}
	if body.Accepted != int64(samples) {
		return fmt.Errorf("%d of %d samples were accepted: %v", body.Accepted, samples, body.Reasons)
	}
	return nil
}

func (h *hokanServer) Append(rows []workload.Row) error {
	buffer := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buffer)
	clock := rows[0].Time
	var shared [8]byte
	binary.LittleEndian.PutUint64(shared[:], uint64(clock))
	b := h.request((*buffer)[:0], shared[:], len(rows))
	for i := range rows {
		r := &rows[i]
		var number [8]byte
		if r.Time == clock {
			b = packMap(b, 2)
		} else {
			binary.LittleEndian.PutUint64(number[:], uint64(r.Time))
			b = packBytes(packString(packMap(b, 3), "times"), number[:])
		}
		b = append(packString(b, "labels"), h.labels[r.Channel]...)
		binary.LittleEndian.PutUint64(number[:], math.Float64bits(r.Value))
		b = packBytes(packString(b, "values"), number[:])
	}
	*buffer = b
	return h.send(b, len(rows))
}

func (h *hokanServer) Backfill(columns []Column) error {
	buffer := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buffer)
	var numbers []byte
	clock, samples := columns[0].Times, 0
	numbers = timeBytes(numbers, clock)
	b := h.request((*buffer)[:0], numbers, len(columns))
	for _, c := range columns {
		if sameClock(c.Times, clock) {
			b = packMap(b, 2)
		} else {
			numbers = timeBytes(numbers, c.Times)
			b = packBytes(packString(packMap(b, 3), "times"), numbers)
		}
		b = append(packString(b, "labels"), h.labels[c.Channel]...)
		numbers = numbers[:0]
		for _, v := range c.Values {
			numbers = binary.LittleEndian.AppendUint64(numbers, math.Float64bits(v))
		}
		b = packBytes(packString(b, "values"), numbers)
		samples += len(c.Values)
	}
	*buffer = b
	return h.send(b, samples)
}

// timeBytes writes times over b as the API reads them.
func timeBytes(b []byte, times []int64) []byte {
	b = b[:0]
	for _, t := range times {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	return b
}

func (h *hokanServer) EndWindow() error { return nil }

// Settle stops the server, compacts and starts it again.
func (h *hokanServer) Settle() error {
	if err := h.Close(); err != nil {
		return err
	}
	if _, err := exec.Command(h.options.Hokan, "compact", "--data", h.options.Dir).Output(); err != nil {
		return fmt.Errorf("hokan compact: %w", explain(err))
	}
	return h.start()
}

func (h *hokanServer) Close() error {
	h.client.Close()
	return h.server.Close()
}

// match is a selector of the instruments that channels belong to.
func (h *hokanServer) match(channels []int) string {
	if len(channels) == h.options.Channels {
		return "{}"
	}
	return fmt.Sprintf(`{instrument=~%q}`, instruments(channels))
}

// hokanTime is a time as the API reads it: in nanoseconds, whatever the unit of
// the answer.
func hokanTime(t int64) string { return strconv.FormatInt(t*nanosecondsPerMillisecond, 10) }

func (h *hokanServer) span(channels []int, from, to int64) url.Values {
	return url.Values{"match": {h.match(channels)}, "unit": {"ms"}, "from": {hokanTime(from)}, "to": {hokanTime(to)}}
}

func (h *hokanServer) View(channels []int, from, to int64, buckets int) (View, error) {
	query := h.span(channels, from, to)
	query.Set("buckets", strconv.Itoa(buckets))
	answer, err := h.get("/api/v1/view", query)
	return View{Channels: bytes.Count(answer, []byte(`"labels"`)), Bytes: len(answer)}, err
}

// tableChannels is how many channels are asked for in one table: whole
// instruments.
const tableChannels = 3 * workload.ChannelsPerInstrument

// Raw reads tables, page by page.
func (h *hokanServer) Raw(channels []int, from, to int64, visit Visit) error {
	for group := range slices.Chunk(channels, tableChannels) {
		request := api.TableRequest{Limit: int(policy.TableRows.Default), Selection: api.Selection{
			Match: h.match(group), Unit: "ms", From: hokanTime(max(from, 0)), To: hokanTime(min(to, h.options.Now+1))}}
		wanted := byNames(group)
		for {
			table, err := h.client.Table(context.Background(), request)
			if err != nil {
				return err
			}
			if err := visitTable(table, wanted, visit); err != nil {
				return err
			}
			if table.Next == nil {
				break
			}
			request.After = *table.Next
		}
	}
	return nil
}

// Answer writes a table: a day of a sample a minute fits into one page.
func (h *hokanServer) Answer(w io.Writer, channels []int, from, to int64) error {
	query := h.span(channels, from, to)
	query.Set("limit", strconv.FormatInt(policy.TableRows.Default, 10))
	return h.copyTo(w, "/api/v1/table", query)
}

// visitTable visits the columns of a page.
func visitTable(table *api.TableBody, wanted map[string]int, visit Visit) error {
	columns := make([]struct {
		times  []int64
		values []float64
	}, len(table.Channels))
	for i, t := range table.Times {
		for k, cell := range table.Rows.Row(i) {
			if cell.Known {
				columns[k].times = append(columns[k].times, t)
				columns[k].values = append(columns[k].values, cell.Number)
			}
		}
	}
	for k, c := range columns {
		labels := table.Channels[k].Labels
		if channel, ok := wanted[labels.Instrument()+labels.Channel()]; ok && len(c.times) > 0 {
			if err := visit(channel, c.times, c.values); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hokanServer) Latest(channels []int) (int, error) {
	answer, err := h.get("/api/v1/latest", url.Values{"match": {h.match(channels)}, "unit": {"ms"}})
	return bytes.Count(answer, []byte(`"time"`)), err
}

func (h *hokanServer) Export(w io.Writer, channels []int, from, to int64) error {
	query := h.span(channels, from, to)
	query.Set("format", "csv")
	return h.copyTo(w, "/api/v1/export", query)
}

func (h *hokanServer) Count() (int64, error) {
	body, err := h.client.Channels(context.Background(), api.Selection{Unit: "ms"})
	if err != nil {
		return 0, err
	}
	count := int64(0)
	for i := range body.Channels {
		count += int64(body.Channels[i].Samples)
	}
	return count, nil
}
