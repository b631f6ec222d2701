package api

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// ExportRequest asks for GET /api/v1/export.
type ExportRequest struct {
	Selection
	Format string // csv or hok
	Zone   string // IANA name; "" is UTC
}

// Export prepares an export. Whoever gets it writes and closes it; its body is
// no JSON but a file.
func (a *API) Export(ctx context.Context, t model.Tenant, r ExportRequest) (*query.Export, error) {
	return answer(a.export(ctx, t, r))
}

func (a *API) export(ctx context.Context, t model.Tenant, r ExportRequest) (*query.Export, error) {
	if r.Format != "csv" && r.Format != "hok" {
		return nil, NewError("invalid", "format "+quote(r.Format)+" is not csv or hok")
	}
	if r.Format == "hok" && r.Zone != "" {
		return nil, NewError("invalid", "format hok takes no zone: its times are whole")
	}
	scope, window, _, err := a.read(t, r.Selection)
	if err != nil {
		return nil, err
	}
	zone, err := query.ParseZone(r.Zone)
	if err != nil {
		return nil, err
	}
	return query.NewExport(ctx, a.DB, query.ExportRequest{Scope: scope, Window: window, Zone: zone, Made: a.Clock()})
}
