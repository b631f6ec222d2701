// Package files answers POST /api/v1/files: it imports a file of an instrument
// that is the body of a request.
package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/mapping"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/unpack"
)

// Writer imports files. It is safe for concurrent use.
type Writer struct {
	To *admit.Writer
	// MaxBody bounds a file's bytes, as sent and unpacked; 0 is
	// policy.BodyBytes.
	MaxBody int64
}

// Parameters are those of the query, as the flags of hokan import.
var Parameters = []struct{ Name, Doc string }{
	{"instrument", "The label instrument of every channel"},
	{"group", "The measurement group that the channels belong to"},
	{"zone", "IANA time zone of times without an offset, such as Asia/Shanghai, or an offset such as +08:00"},
	{"start", "Replaces the trigger time: YYYY-MM-DD hh:mm:ss[±hh:mm]"},
	{"map", "How a table is written that no instrument's format describes, as --map of hokan import: KEY=VALUE,…; auto: it is guessed"},
	{"name", "Of the file, for messages"},
	{"dry_run", "true: read everything, keep nothing, and show the map that is guessed of a table"},
	{"unit", "Of every time in the answer: s, ms, us or ns; left out: ms"},
}

// memory is what one import needs beside its file.
type memory struct {
	body    unpack.Body
	request admit.Request
}

var memories = sync.Pool{New: func() any { return &memory{} }}

// Import reads a file and keeps what it may of it. Every error is an
// *api.Error. Where every sample was refused, the code is nothing_accepted and
// the body is given beside the error.
func (w *Writer) Import(ctx context.Context, tenant model.Tenant, q url.Values, header http.Header, from io.Reader) (*api.ImportBody, error) {
	if media, _, _ := mime.ParseMediaType(header.Get("Content-Type")); strings.HasPrefix(media, "multipart/") { // its own header would be read with the file
		return nil, api.NewError("unsupported_media_type", media+": send the file itself, as with curl --data-binary @FILE")
	}
	options, name, err := optionsOf(tenant, q)
	if err != nil {
		return nil, err
	}
	answer, err := api.NewImportBody(q.Get("unit"))
	if err != nil {
		return nil, err
	}
	m := memories.Get().(*memory)
	defer func() {
		m.body.Release()
		m.request.Reset()
		memories.Put(m)
	}()
	most := w.MaxBody
	if most == 0 {
		most = policy.BodyBytes.Default
	}
	if err := m.body.Read(ctx, tenant, header.Get("Content-Encoding"), from, most); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(m.body.Bytes, []byte(engine.Magic)) {
		return nil, api.NewError("unsupported_media_type", "the file is in the format hok: hokan import --server brings it in")
	}
	one := &one{Writer: w, request: &m.request}
	result, err := ingest.ImportFile(ctx, one.append, bytes.NewReader(m.body.Bytes), name, *options)
	if w.To.Count != nil && !options.DryRun && len(result.Reasons) > 0 { // what the reader refused, which never came to the way in
		w.To.Count(&admit.Result{Rejected: result.Rejected, Reasons: result.Reasons})
	}
	result.Settle(&one.rejected)
	for i := range result.Errors {
		result.Errors[i].Detail = asParameters(result.Errors[i].Detail)
	}
	if err != nil {
		return nil, failure(err, &result)
	}
	answer.Add(result, nil)
	if result.Accepted == 0 && result.Rejected > 0 {
		return answer, api.NewError("nothing_accepted", fmt.Sprintf("all %d samples are refused", result.Rejected))
	}
	return answer, nil
}

// optionsOf returns what the query says.
func optionsOf(tenant model.Tenant, q url.Values) (*ingest.FileOptions, string, error) {
	o := &ingest.FileOptions{
		Tenant: tenant, Instrument: q.Get("instrument"), Group: q.Get("group"), Start: q.Get("start"), DryRun: q.Get("dry_run") == "true",
	}
	if dry := q.Get("dry_run"); dry != "" && dry != "true" && dry != "false" {
		return nil, "", api.NewError("malformed", "dry_run is true or false")
	}
	if o.Instrument == "" {
		return nil, "", api.NewError("bad_label", "the query parameter instrument is required")
	}
	name := q.Get("name")
	if name == "" {
		name = "file"
	}
	var err error
	if zone := q.Get("zone"); zone != "" {
		if o.Zone, err = query.ParseZone(zone); err != nil {
			return nil, "", api.AsError(err)
		}
	}
	if text := q.Get("map"); text != "" {
		if o.Map, err = mapping.Parse(text); err != nil {
			return nil, "", api.NewError("malformed", "map: "+err.Error())
		}
	}
	if err := o.Validate(); err != nil {
		return nil, "", failure(err, &ingest.FileResult{})
	}
	return o, name, nil
}

// failure says why a file was not read to its end, and what of it is kept.
func failure(err error, result *ingest.FileResult) error {
	var e *api.Error
	var refused *ingest.Error
	if errors.As(err, &refused) {
		place := *refused
		place.Detail = asParameters(place.Detail)
		text := place.Error()
		e = api.NewError(refused.Code, text[len(refused.Code)+2:])
	} else {
		e = api.AsError(err)
	}
	if result.Accepted > 0 {
		told := *e
		told.Detail += fmt.Sprintf("; %d samples of the file's beginning are kept: sending it again writes the same", result.Accepted)
		e = &told
	}
	return e
}

// flagNames are the flags of hokan import that messages name, each with the
// parameter that stands for it here.
var flagNames = strings.NewReplacer("--map ", "map=", "--zone", "zone", "--start", "start",
	"--dry-run", "dry_run=true", "--group", "group", "--instrument", "instrument")

// asParameters names parameters in place of flags.
func asParameters(text string) string { return flagNames.Replace(text) }

// one is the import of one file.
type one struct {
	*Writer
	request  *admit.Request
	rejected admit.Result // by the way in, not by the reader
}

// append hands a batch over.
func (o *one) append(ctx context.Context, b *model.Batch) error {
	o.request.Reset()
	o.request.AddBatch(b)
	result, err := o.To.Write(ctx, o.request)
	if result != nil {
		o.rejected.AddRefused(result)
	}
	if errors.Is(err, admit.ErrNothingAccepted) {
		return nil // the file has more
	}
	return err
}
