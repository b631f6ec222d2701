package api

import (
	"errors"

	"github.com/hokan-db/hokan/ingest"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/query"
)

// ImportBody answers an import of files.
type ImportBody struct {
	Unit     string         `json:"unit"`
	Files    []ImportedFile `json:"files"`
	Accepted int64          `json:"accepted"`
	Rejected int64          `json:"rejected"`
	unit     query.Unit
}

// ImportedFile says what became of one file: samples accepted and rejected,
// rejections by reason, and the first of them with their places. From and To
// are nil where no row was kept.
type ImportedFile struct {
	File           string           `json:"file"`
	Dialect        string           `json:"dialect"`
	Instrument     string           `json:"instrument"`
	Channels       int              `json:"channels"`
	Rows           int64            `json:"rows"`
	From           *int64           `json:"from"`
	To             *int64           `json:"to"`
	Accepted       int64            `json:"accepted"`
	Rejected       int64            `json:"rejected"`
	Reasons        map[string]int64 `json:"reasons"`
	Errors         []ImportError    `json:"errors"`
	SkippedColumns []string         `json:"skipped_columns,omitempty"`
	Warnings       []string         `json:"warnings,omitempty"` // what was kept and looks wrong
	Map            string           `json:"map,omitempty"`      // that was taken for a table, or is guessed
}

// ImportError is one refusal. Line and column count from 1; 0 is none.
type ImportError struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// NewImportBody returns a body without files. unit is as in a query.
func NewImportBody(unit string) (*ImportBody, error) {
	u, err := query.ParseUnit(unit)
	if err != nil {
		return nil, AsError(err)
	}
	return &ImportBody{Unit: u.Name, Files: []ImportedFile{}, unit: u}, nil
}

// Add takes in the result of one file and why it was not read to its end, nil
// if it was.
func (b *ImportBody) Add(r ingest.FileResult, err error) {
	f := ImportedFile{
		File: r.File, Dialect: r.Dialect, Instrument: r.Instrument, Channels: r.Channels, Rows: r.Rows,
		Accepted: r.Accepted, Rejected: r.Rejected, Reasons: r.Reasons, Errors: []ImportError{},
		SkippedColumns: r.SkippedColumns, Warnings: r.Warnings, Map: r.Map,
	}
	if f.Reasons == nil {
		f.Reasons = map[string]int64{}
	}
	if r.From < r.To {
		from, to := b.unit.Floor(r.From), b.unit.Floor(r.To)
		f.From, f.To = &from, &to
	}
	for _, e := range r.Errors {
		f.Errors = append(f.Errors, ImportError{e.Line, e.Column, e.Code, e.Detail})
	}
	var refused *ingest.Error
	if errors.As(err, &refused) {
		f.Errors = append(f.Errors, ImportError{refused.Line, refused.Column, refused.Code, refused.Detail})
	} else if err != nil {
		e := AsError(err)
		f.Errors = append(f.Errors, ImportError{Code: e.Code, Detail: e.Detail})
	}
	b.Files = append(b.Files, f)
	b.Accepted += r.Accepted
	b.Rejected += r.Rejected
}

// SamplesBody answers POST /api/v1/samples.
type SamplesBody admit.Result

// SampleError is one rejected sample: the position of its channel in the
// request and its own in the channel.
type SampleError = admit.Refusal
