package api

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// TableRequest asks for GET /api/v1/table.
type TableRequest struct {
	Selection
	Limit int    // rows; 0: left out
	After string // the cursor of the page before
}

// TableBody answers GET /api/v1/table. Next is nil after the last page.
type TableBody struct {
	Unit     string    `json:"unit"`
	Channels []Channel `json:"channels"`
	Times    []int64   `json:"times"`
	Rows     Rows      `json:"rows"`
	Next     *string   `json:"next"`
}

// Table gives samples joined on time, a page at a time.
func (a *API) Table(ctx context.Context, t model.Tenant, r TableRequest) (*TableBody, error) {
	return answer(a.table(ctx, t, r))
}

func (a *API) table(ctx context.Context, t model.Tenant, r TableRequest) (*TableBody, error) {
	scope, window, unit, err := a.read(t, r.Selection)
	if err != nil {
		return nil, err
	}
	table, err := query.Table(ctx, a.DB, query.TableRequest{Scope: scope, Window: window, Limit: r.Limit, After: r.After})
	if err != nil {
		return nil, err
	}
	body := &TableBody{
		Unit:     unit.Name,
		Channels: channelsOf(table.Channels),
		Times:    make([]int64, len(table.Times)),
		Rows:     Rows{len(table.Channels), table.Values, table.Present},
		Next:     optional(table.Next),
	}
	for i, at := range table.Times {
		body.Times[i] = unit.Floor(at)
	}
	return body, nil
}
