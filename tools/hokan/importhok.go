package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest"
	"github.com/hokan-db/hokan/ingest/admit"
)

// isHOK reports whether a file is to be taken for one in the format HOK: it
// begins as one, or is called so.
func isHOK(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, len(engine.Magic))
	if _, err := io.ReadFull(f, begin); err == nil && string(begin) == engine.Magic {
		return true
	}
	return len(path) > 4 && path[len(path)-4:] == ".hok"
}

// openHOK opens a file in the format HOK after reading all of it.
func openHOK(path string) (*engine.HOK, *os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	info, err := f.Stat()
	if err == nil {
		var h *engine.HOK
		if h, err = engine.OpenHOK(path, f, info.Size()); err == nil {
			return h, f, nil
		}
	}
	f.Close()
	switch {
	case errors.Is(err, engine.ErrVersion):
		err = &ingest.Error{File: path, Code: "invalid", Detail: err.Error()}
	case errors.Is(err, engine.ErrCorrupt):
		err = &ingest.Error{File: path, Code: "corrupt", Detail: "it is damaged, or not in the format hok; nothing of it is taken: " + strings.TrimPrefix(err.Error(), path+": ")}
	}
	return nil, nil, err
}

// hokFile imports a file in the format HOK.
func (i *importer) hokFile(path string) (ingest.FileResult, error) {
	result := ingest.FileResult{File: path, Dialect: formatHOK, Reasons: map[string]int64{}}
	h, file, err := openHOK(path)
	if err != nil {
		return result, err
	}
	defer file.Close()
	result.Channels = len(h.Channels())
	result.Instrument = onlyInstrument(h.Channels())
	rows, first, last := h.Rows()
	result.Rows, result.From, result.To = rows, first, last+1
	if i.DryRun {
		result.Accepted = rows
		return result, nil
	}
	bar := newBar(i.terminal, path, rows)
	defer bar.finish()
	if i.server != nil {
		i.rejected = admit.Result{}
		result.Accepted, err = i.sendHOK(h, bar.set)
		result.Settle(&i.rejected)
		return result, err
	}
	if err := i.open(); err != nil {
		return result, err
	}
	accepted, refused, err := i.opened.DB.ImportHOK(i.terminal.ctx, i.tenant, h, bar.set)
	result.Accepted, result.Rejected = accepted, refused
	if refused > 0 {
		result.Reasons["channel_limit"] = refused
	}
	return result, err
}

// onlyInstrument returns the instrument of all of the channels, nothing where
// they have several.
func onlyInstrument(channels []model.Channel) string {
	instrument := ""
	for i := range channels {
		switch name := channels[i].Labels.Instrument(); {
		case i == 0:
			instrument = name
		case name != instrument:
			return ""
		}
	}
	return instrument
}

// sendHOK writes a file to a server. There a version of a channel's properties
// holds from its first row on.
func (i *importer) sendHOK(h *engine.HOK, progress func(rows int64)) (sent int64, err error) {
	channels := h.Channels()
	err = h.Read(i.terminal.ctx, func(channel int, times []int64, values []float64) error {
		c := &channels[channel]
		for len(times) > 0 {
			properties, n := versionOf(c.History, times)
			batch := &model.Batch{Tenant: i.tenant, Columns: []model.Column{{
				Labels: c.Labels, Properties: properties, Times: times[:n], Values: values[:n],
			}}}
			if err := i.send(i.terminal.ctx, batch); err != nil {
				return err
			}
			times, values = times[n:], values[n:]
			sent += int64(n)
			progress(sent)
		}
		return context.Cause(i.terminal.ctx)
	})
	return sent, err
}

// versionOf returns the properties in force at the first of ascending times,
// nil for none, and how many of the times they hold for.
func versionOf(history model.History, times []int64) (*model.Properties, int) {
	if len(history) == 0 {
		return nil, len(times)
	}
	at := 0
	for at+1 < len(history) && history[at+1].ValidFrom <= times[0] {
		at++
	}
	n := len(times)
	if at+1 < len(history) {
		n = 0
		for n < len(times) && times[n] < history[at+1].ValidFrom {
			n++
		}
	}
	return &history[at].Properties, n
}
